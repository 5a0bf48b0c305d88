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
  sameBytes,
  type EndorsementMemo,
  type VerifiedChain,
  verifyChain,
} from '../../x509/index.ts'
import { SNP_PRODUCTS, type SnpProduct } from './tcb.ts'
import { readVek, type Vek } from './vek.ts'

/** The authorities of one product line: its root, and what the root has issued for chips and for cloud providers. */
export interface SnpRoot {
  readonly product: SnpProduct
  /** ARK */
  readonly anchor: Anchor
  /** ASK and ASVK */
  readonly intermediates: readonly Certificate[]
}

/**
 * The roots of the product lines that these anchors are ARKs of, each with whatever of the intermediates it issued. What
 * is no ARK counts for nothing here: an anchor of another vendor vouches for no chip of AMD.
 */
export function snpRootsOf(anchors: readonly Anchor[], intermediates: readonly Certificate[]): readonly SnpRoot[] {
  return anchors.flatMap((anchor) => {
    const { subject } = anchor.certificate
    const product = SNP_PRODUCTS.find((p) => attribute(subject, OID.commonName) === `ARK-${p}`)
    if (product === undefined) return []
    return [{ product, anchor, intermediates: intermediates.filter((c) => sameBytes(c.issuer.raw, subject.raw)) }]
  })
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
  const known = once(memo, 'vek', der, () => {
    const certificate = parseCertificate(der)
    return { leaf: certificate, vek: readVek(certificate) }
  })
  const { leaf, vek } = known instanceof Promise ? await known : known
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
  const [, authority] = chain.path
  if (chain.path.length !== 2 || authority === undefined || attribute(authority.subject, OID.commonName) !== issuer) {
    const names = chain.path.slice(1).map((c) => attribute(c.subject, OID.commonName))
    throw new VouchsafeError(
      'endorsement.mismatch',
      `certificate ${leaf.label}: issued by ${names.join(', ')}, wanted ${issuer}`,
    )
  }
  return { certificate: leaf, vek, chain }
}
