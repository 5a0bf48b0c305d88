import { parseCertificate, type Certificate } from './certificate.ts'

/**
 * What a chain that ends here proves (decision 10), best first. The class belongs to the anchor, never to the evidence:
 * nothing that an attester sends can change it.
 */
export const ANCHOR_CLASSES = ['hardware', 'platform-vtpm', 'tpm', 'simulated'] as const
export type AnchorClass = (typeof ANCHOR_CLASSES)[number]

/** A certificate that the caller trusts, pinned as a whole: the full DER counts, not its name and not its key alone. */
export interface Anchor {
  readonly certificate: Certificate
  readonly class: AnchorClass
  /** For people: `AMD ARK Milan`. */
  readonly name: string
}

/** @throws {VouchsafeError} `endorsement.malformed` */
export function parseAnchor(der: Uint8Array, description: { class: AnchorClass; name: string }): Anchor {
  return { certificate: parseCertificate(der), class: description.class, name: description.name }
}
