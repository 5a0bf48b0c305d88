import type { CryptoPort } from '../base/crypto.ts'
import { toHex } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { SIMULATOR_OID } from '../evidence/tpm/enrolment.ts'
import { type Anchor, type AnchorClass, parseAnchor } from '../x509/index.ts'

const PLAIN = /^[0-9a-f]{64}$/
const COLONS = /^[0-9A-F]{2}(?::[0-9A-F]{2}){31}$/

/**
 * Makes an anchor of a root that came from anywhere: what is trusted is the fingerprint, never the place it was
 * downloaded from (E18).
 *
 * @param der - The root, as downloaded or as kept.
 * @param pin - `sha256`: all 32 bytes of the certificate's SHA-256, as lower-case hexadecimal or as OpenSSL prints it
 *   (`AB:CD:…`). Shorter ones, SHA-1 among them, are refused. `class`: what tokens under this root prove.
 * @throws {VouchsafeError} `input.malformed` for a fingerprint of another form, `endorsement.untrusted` for another
 *   root, or for a simulator's root that is pinned as anything but simulated; `endorsement.malformed`.
 */
export function pinPkiRoot(
  der: Uint8Array,
  pin: { readonly sha256: string; readonly class: AnchorClass; readonly name: string },
  crypto: CryptoPort,
): Anchor {
  const wanted = parseFingerprint(pin.sha256)
  const found = toHex(crypto.digest('sha256', der))
  if (found !== wanted)
    throw new VouchsafeError('endorsement.untrusted', `root ${pin.name}: its SHA-256 is ${found}, pinned is ${wanted}`)
  const anchor = parseAnchor(der, { class: pin.class, name: pin.name })
  if (anchor.certificate.extensions.has(SIMULATOR_OID) && pin.class !== 'simulated')
    throw new VouchsafeError(
      'endorsement.untrusted',
      `root ${pin.name}: it is a simulator’s, and was pinned as ${pin.class}`,
    )
  return anchor
}

function parseFingerprint(text: string): string {
  if (PLAIN.test(text)) return text
  if (COLONS.test(text)) return text.replaceAll(':', '').toLowerCase()
  const digits = text.replaceAll(':', '').length
  throw new VouchsafeError(
    'input.malformed',
    digits === 40
      ? 'fingerprint: 20 bytes, which is SHA-1: pin the SHA-256 of the certificate, 32 bytes'
      : `fingerprint: ${digits} characters beside colons, wanted the 64 hexadecimal digits of a SHA-256`,
  )
}
