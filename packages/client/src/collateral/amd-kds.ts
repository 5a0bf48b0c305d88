import { type CryptoPort, evidence, toHex, VouchsafeError, x509 } from '@vouchsafe/core'
import type { CollateralPart } from './entry.ts'
import type { CollateralKeeper, Recipe } from './keeper.ts'

export interface AmdKdsOptions {
  readonly keeper: CollateralKeeper
  readonly roots: readonly evidence.SnpRoot[]
  readonly crypto: CryptoPort
  /** AMD's own service unless told; a mirror does as well. */
  readonly baseUrl?: string
  readonly memo?: x509.EndorsementMemo
}

/** Which key of which chip. */
export interface VcekId {
  readonly product: evidence.SnpProduct
  /** 64 bytes, 8 on Turin. */
  readonly hwid: Uint8Array
  readonly tcb: evidence.SnpTcb
}

/** AMD's key distribution service: certificates of chips' keys, and revocation lists, verified before anyone sees them. */
export class AmdKds {
  readonly #options: AmdKdsOptions
  readonly #base: string

  constructor(options: AmdKdsOptions) {
    this.#options = options
    this.#base = (options.baseUrl ?? 'https://kdsintf.amd.com').replace(/\/+$/, '')
  }

  /** DER of the certificate for exactly this chip and TCB. @throws {VouchsafeError} `endorsement.*` */
  async vcek(id: VcekId): Promise<Uint8Array> {
    return this.#options.keeper.get(this.vcekRecipe(id))
  }

  /** The root's current revocation list. @throws {VouchsafeError} `endorsement.*` */
  async revocationList(product: evidence.SnpProduct): Promise<x509.RevocationList> {
    return this.#options.keeper.get(this.crlRecipe(product))
  }

  /**
   * Everything that `verifySnpReport` wants beside roots and time. A report signed by a provider's key cannot be helped
   * here: AMD gives those certificates to providers only, so the guest has to bring its own.
   *
   * @param product - Needed for reports of version 2, which do not say what CPU they are of.
   * @throws {VouchsafeError} `input.malformed`; `endorsement.unavailable`; other `endorsement.*`
   */
  async forReport(
    raw: Uint8Array,
    product?: evidence.SnpProduct,
  ): Promise<{ readonly vek: Uint8Array; readonly revocation: x509.Revocation }> {
    const report = evidence.parseSnpReport(raw)
    const cpu = report.cpu
    const line = cpu === undefined ? product : evidence.productOfCpu(cpu.family, cpu.model)
    if (line === undefined)
      throw new VouchsafeError('input.malformed', 'SNP report: of version 2, so its product has to be told')
    if (report.signingKey === 'vlek')
      throw new VouchsafeError(
        'endorsement.unavailable',
        'SNP report: signed by a VLEK, whose certificate only the guest can bring',
      )
    if (report.chipId.every((byte) => byte === 0))
      throw new VouchsafeError(
        'endorsement.unavailable',
        'SNP report: the chip’s id is hidden, so nobody can ask for its certificate',
      )
    const hwid = line === 'Turin' ? report.chipId.subarray(0, 8) : report.chipId
    const tcb = evidence.decodeTcb('REPORTED_TCB', report.reportedTcb, line)
    const [vek, list] = await Promise.all([this.vcek({ product: line, hwid, tcb }), this.revocationList(line)])
    return { vek, revocation: { lists: [list], require: 'authorities' } }
  }

  vcekRecipe({ product, hwid, tcb }: VcekId): Recipe<Uint8Array> {
    const level = (name: string, value: number) => `${name}SPL=${String(value).padStart(2, '0')}`
    const levels = [
      ...(tcb.fmc === undefined ? [] : [level('fmc', tcb.fmc)]),
      level('bl', tcb.bootloader),
      level('tee', tcb.tee),
      level('snp', tcb.snp),
      level('ucode', tcb.microcode),
    ].join('&')
    const chip = toHex(hwid)
    return {
      key: `amd/vcek/${product}/${chip}?${levels}`,
      urls: [`${this.#base}/vcek/v1/${product}/${chip}?${levels}`],
      refreshes: false, // a chip's key for a TCB never changes
      verify: async ([part], at) => {
        const der = bodyOf(part)
        const { roots, crypto, memo } = this.#options
        const trust = { roots, revocation: 'not-checked', at, ...(memo && { memo }) } as const
        const { certificate, chain } = await evidence.verifyVek(der, trust, crypto, (found) => {
          const same =
            found.kind === 'vcek' && found.product === product && toHex(found.hwid ?? new Uint8Array()) === chip
          if (!same || evidence.formatTcb(found.tcb) !== evidence.formatTcb(tcb))
            throw new VouchsafeError('endorsement.mismatch', `VCEK: not of the ${product} and TCB that were asked for`)
        })
        return { value: certificate.der, issuedAt: certificate.notBefore, validUntil: chain.validUntil }
      },
    }
  }

  crlRecipe(product: evidence.SnpProduct): Recipe<x509.RevocationList> {
    return {
      key: `amd/crl/${product}`,
      urls: [`${this.#base}/vcek/v1/${product}/crl`],
      refreshes: true,
      verify: async ([part], at) => {
        const { roots, crypto, memo } = this.#options
        const root = roots.find((r) => r.product === product)
        if (root === undefined)
          throw new VouchsafeError('endorsement.untrusted', `SNP: no root is configured for ${product}`)
        const list = x509.parseRevocationList(bodyOf(part))
        // judged by itself, so that a list which takes our own intermediate back is kept and obeyed
        await x509.verifyRevocationList(list, root.anchor.certificate, { at, crypto, ...(memo && { memo }) })
        return { value: list, issuedAt: list.thisUpdate, validUntil: list.nextUpdate }
      },
    }
  }
}

function bodyOf(part: CollateralPart | undefined): Uint8Array {
  if (part === undefined) throw new VouchsafeError('endorsement.malformed', 'collateral: an answer is missing')
  return part.body
}
