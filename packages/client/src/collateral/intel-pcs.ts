import { type CryptoPort, evidence, VouchsafeError, x509 } from '@vouchsafe/core'
import type { CollateralPart } from './entry.ts'
import type { CollateralKeeper, Recipe } from './keeper.ts'

export interface IntelPcsOptions {
  readonly keeper: CollateralKeeper
  readonly anchors: readonly x509.Anchor[]
  readonly crypto: CryptoPort
  /** Intel's own service unless told; a caching service (PCCS) does as well. */
  readonly baseUrl?: string
  /** Intel's own address for the root's revocation list unless told. */
  readonly rootCrlUrl?: string
  readonly memo?: x509.EndorsementMemo
}

/** Which platforms: of one FMSPC, certified by one of Intel's two CAs. */
export interface PlatformId {
  readonly tee: 'tdx' | 'sgx'
  /** 12 hexadecimal digits. */
  readonly fmspc: string
  readonly ca: 'platform' | 'processor'
}

/** Intel's provisioning certification service: all that judging a quote takes, verified as a whole. */
export class IntelPcs {
  readonly #options: IntelPcsOptions
  readonly #base: string
  readonly #rootCrl: string

  constructor(options: IntelPcsOptions) {
    this.#options = options
    this.#base = (options.baseUrl ?? 'https://api.trustedservices.intel.com').replace(/\/+$/, '')
    this.#rootCrl = options.rootCrlUrl ?? 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der'
  }

  /** @throws {VouchsafeError} `endorsement.*` */
  async collateral(id: PlatformId): Promise<evidence.VerifiedDcapCollateral> {
    return this.#options.keeper.get(this.recipe(id))
  }

  /**
   * The collateral for a quote, by what its certificate says. The certificate is not verified here: whoever lies in it
   * gets collateral that the quote then fails against.
   *
   * @throws {VouchsafeError} `input.malformed`, `endorsement.*`
   */
  async forQuote(raw: Uint8Array): Promise<evidence.VerifiedDcapCollateral> {
    return this.collateral(await platformOf(raw))
  }

  recipe({ tee, fmspc, ca }: PlatformId): Recipe<evidence.VerifiedDcapCollateral> {
    const { anchors, crypto, memo } = this.#options
    return {
      key: `intel/${tee}/${fmspc}/${ca}`,
      urls: [
        `${this.#base}/${tee}/certification/v4/tcb?fmspc=${fmspc}`,
        `${this.#base}/${tee}/certification/v4/qe/identity`,
        `${this.#base}/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`,
        this.#rootCrl,
      ],
      refreshes: true,
      verify: async ([tcbInfo, qeIdentity, pckCrl, rootCrl], at) => {
        if (tcbInfo === undefined || qeIdentity === undefined || pckCrl === undefined || rootCrl === undefined)
          throw new VouchsafeError('endorsement.malformed', 'collateral: an answer is missing')
        const input = {
          tcbInfo: signed(tcbInfo, 'tcbInfo'),
          qeIdentity: signed(qeIdentity, 'enclaveIdentity'),
          pckCrl: pckCrl.body,
          rootCrl: rootCrl.body,
        }
        const value = await evidence.verifyDcapCollateral(input, { anchors, at, ...(memo && { memo }) }, crypto)
        if (value.tcbInfo.fmspc !== fmspc || value.tcbInfo.id.toLowerCase() !== tee)
          throw new VouchsafeError(
            'endorsement.mismatch',
            `tcbInfo: of ${value.tcbInfo.id} ${value.tcbInfo.fmspc}, asked for ${tee} ${fmspc}`,
          )
        return { value, issuedAt: value.tcbInfo.issueDate, validUntil: value.until }
      },
    }
  }
}

async function platformOf(raw: Uint8Array): Promise<PlatformId> {
  const quote = evidence.parseDcapQuote(raw)
  const { leaf, pck } = await evidence.readPckChain(quote.pckChain)
  const issuer = x509.attribute(leaf.issuer, x509.OID.commonName)
  const ca = ({ 'Intel SGX PCK Platform CA': 'platform', 'Intel SGX PCK Processor CA': 'processor' } as const)[
    issuer ?? ''
  ]
  if (ca === undefined)
    throw new VouchsafeError('endorsement.mismatch', `certificate ${leaf.label}: issued by no PCK CA`)
  return { tee: quote.bodyKind === 'sgx' ? 'sgx' : 'tdx', fmspc: pck.fmspc, ca }
}

function signed(part: CollateralPart, member: 'tcbInfo' | 'enclaveIdentity'): evidence.SignedDocument {
  if (part.issuerChain === undefined)
    throw new VouchsafeError('endorsement.malformed', `${member}: the answer brings no issuer chain`)
  return evidence.readSignedDocument(part.body, member, part.issuerChain)
}
