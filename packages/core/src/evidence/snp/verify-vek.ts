import type { CryptoPort } from '../../base/crypto.ts'
import { VouchsafeError } from '../../base/errors.ts'
import {
  type Anchor,
  attribute,
  type Certificate,
  OID,
  once,
  parseCertificate,
  type Revocation,
  type EndorsementMemo,
  type VerifiedChain,
  verifyChain,
} from '../../x509/index.ts'
import type { SnpProduct } from './tcb.ts'
import { readVek, type Vek } from './vek.ts'

/** The authorities of one product line: its root, and what the root has issued for chips and for cloud providers. */
export interface SnpRoot {
  readonly product: SnpProduct
  /** ARK */
  readonly anchor: Anchor
  /** ASK and ASVK */
  readonly intermediates: readonly Certificate[]
}

/** What the endorsement of an SNP platform is held against. */
export interface SnpTrust {
  /** One entry a product line; evidence of any other line is refused. */
  readonly roots: readonly SnpRoot[]
  readonly revocation: Revocation
  readonly at: Date
  readonly memo?: EndorsementMemo
}

/** A chip's or provider's key certificate whose chain was checked. */
export interface VerifiedVek {
  readonly certificate: Certificate
  readonly vek: Vek
  readonly chain: VerifiedChain
}

/**
 * Verifies an endorsement key certificate by itself, as whoever fetches and keeps certificates does.
 *
 * @param judge - Called with what the certificate says, before its chain is walked: may refuse by throwing.
 * @throws {VouchsafeError} `endorsement.*`
 */
export async function verifyVek(
  der: Uint8Array,
  { roots, revocation, at, memo }: SnpTrust,
  crypto: CryptoPort,
  judge: (vek: Vek) => void = () => undefined,
): Promise<VerifiedVek> {
  const { leaf, vek } = await once(crypto, memo, 'vek', der, () => {
    const certificate = parseCertificate(der)
    return { leaf: certificate, vek: readVek(certificate) }
  })
  judge(vek)
  const mine = roots.filter((root) => root.product === vek.product)
  if (mine.length === 0)
    throw new VouchsafeError('endorsement.untrusted', `SNP: no root is configured for ${vek.product}`)
  const chain = await verifyChain({
    leaf,
    intermediates: mine.flatMap((root) => root.intermediates),
    anchors: mine.map((root) => root.anchor),
    at,
    crypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: 'any',
    revocation,
    ...(memo && { memo }),
  })
  // the names are AMD's: the key for chips may not issue provider keys, nor the reverse
  const issuer = `SEV-${vek.kind === 'vlek' ? 'VLEK-' : ''}${vek.product}`
  const names = chain.path.slice(1).map((c) => attribute(c.subject, OID.commonName))
  if (names.length !== 1 || names[0] !== issuer)
    throw new VouchsafeError(
      'endorsement.mismatch',
      `certificate ${leaf.label}: issued by ${names.join(', ')}, wanted ${issuer}`,
    )
  return { certificate: leaf, vek, chain }
}
