import { Tagged } from 'cborg'
import type { CryptoPort } from '../../base/crypto.ts'
import { concat, fromHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import type { AnchorClass } from '../../x509/index.ts'
import { markVerified, type Verified } from '../verified.ts'
import { type CcaPlatformClaims, type CcaRealmClaims, readPlatformClaims, readRealmClaims } from './claims.ts'
import { readCbor, readCoseSign1, verifyCoseSign1 } from './cose.ts'

/** The attestation key (CPAK) of one piece of hardware, as its maker gives it. Arm has no certificates for them. */
export interface CcaAnchor {
  readonly name: string
  readonly class: AnchorClass
  /** 64 and 66 lower-case hexadecimal digits. */
  readonly implementationId: string
  readonly instanceId: string
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
}

export interface CcaExpectation {
  /** All 64 bytes; `not-checked` as for SNP. */
  readonly challenge: Uint8Array | 'not-checked'
  readonly anchors: readonly CcaAnchor[]
}

/** Everything that is now known to be so. */
export interface CcaFacts {
  readonly format: 'cca'
  readonly anchor: CcaAnchor
  readonly platform: CcaPlatformClaims
  readonly realm: CcaRealmClaims
  readonly challenge: 'as-expected' | 'not-checked'
}

export type VerifiedCcaEvidence = Verified<CcaFacts>

const COLLECTION_TAG = 399
const PLATFORM_TOKEN = 44234
const REALM_TOKEN = 44241
const P384_SPKI = fromHex('3076301006072a8648ce3d020106052b81040022036200')

/**
 * Verifies a CCA token: the platform's key signed the platform token, that token vouches for the realm's key, and the
 * realm's key signed the realm token with our challenge.
 *
 * @param raw - CBOR: a collection of the two tokens, tagged 399.
 * @throws {VouchsafeError} `input.malformed`, `evidence.algorithm`, `evidence.signature`, `evidence.mismatch`,
 *   `evidence.binding`, `evidence.unsupported`; `endorsement.untrusted` for hardware that no anchor names
 * @source draft-ffm-rats-cca-token; Arm Realm Management Monitor specification, attestation token
 */
export async function verifyCcaToken(
  raw: Uint8Array,
  expected: CcaExpectation,
  crypto: CryptoPort,
): Promise<VerifiedCcaEvidence> {
  const tokens = readCollection(raw)
  const platformMessage = readCoseSign1('CCA platform token', tokens.platform)
  const platform = readPlatformClaims(platformMessage.payload)
  const anchor = expected.anchors.find(
    (a) => a.implementationId === platform.implementationId && a.instanceId === platform.instanceId,
  )
  if (anchor === undefined)
    throw new VouchsafeError(
      'endorsement.untrusted',
      `CCA platform token: no anchor names instance ${platform.instanceId}`,
    )
  await verifyCoseSign1('CCA platform token', platformMessage, await crypto.importPublicKey(anchor.spki), crypto)

  const realmMessage = readCoseSign1('CCA realm token', tokens.realm)
  const realm = readRealmClaims(realmMessage.payload)
  if (!crypto.equal(crypto.digest(realm.publicKeyHash, realm.publicKey), platform.challenge))
    throw new VouchsafeError('evidence.mismatch', 'CCA platform token: vouches for another realm key')
  const realmKey = await crypto.importPublicKey(spkiOfRealmKey(realm.publicKey))
  await verifyCoseSign1('CCA realm token', realmMessage, realmKey, crypto)
  const challenge = checkChallenge(realm.challenge, expected.challenge, crypto)
  return markVerified({ format: 'cca', anchor, platform, realm, challenge } as const)
}

/** What both tokens say. Nothing in it is authenticated. @throws {VouchsafeError} as `verifyCcaToken` */
export function parseCcaToken(raw: Uint8Array): {
  readonly platform: CcaPlatformClaims
  readonly realm: CcaRealmClaims
} {
  const tokens = readCollection(raw)
  return {
    platform: readPlatformClaims(readCoseSign1('CCA platform token', tokens.platform).payload),
    realm: readRealmClaims(readCoseSign1('CCA realm token', tokens.realm).payload),
  }
}

function readCollection(raw: Uint8Array): { platform: Uint8Array; realm: Uint8Array } {
  const outer = readCbor('CCA token', new Uint8Array(raw), COLLECTION_TAG)
  const map = outer instanceof Tagged ? (outer.value as unknown) : undefined
  if (!(map instanceof Map) || map.size !== 2)
    throw new VouchsafeError('input.malformed', 'CCA token: not a tagged collection of two tokens')
  const platform: unknown = map.get(PLATFORM_TOKEN)
  const realm: unknown = map.get(REALM_TOKEN)
  if (!(platform instanceof Uint8Array) || !(realm instanceof Uint8Array))
    throw new VouchsafeError('input.malformed', 'CCA token: platform or realm token is missing')
  return { platform, realm }
}

/** An uncompressed point on P-384, or the same as a COSE key. */
function spkiOfRealmKey(key: Uint8Array): Uint8Array {
  if (key.length === 97 && key[0] === 0x04) return concat(P384_SPKI, key)
  const map = readCbor('CCA realm token: public key', key)
  const [x, y]: unknown[] = map instanceof Map ? [map.get(-2), map.get(-3)] : []
  const isP384 = map instanceof Map && map.get(1) === 2 && map.get(-1) === 2
  if (!isP384 || !(x instanceof Uint8Array) || !(y instanceof Uint8Array) || x.length !== 48 || y.length !== 48)
    throw new VouchsafeError('evidence.algorithm', 'CCA realm token: public key is not on P-384')
  return concat(P384_SPKI, Uint8Array.of(4), x, y)
}

function checkChallenge(
  found: Uint8Array,
  expected: CcaExpectation['challenge'],
  crypto: CryptoPort,
): CcaFacts['challenge'] {
  if (expected === 'not-checked') return expected
  if (expected.length !== 64)
    throw new VouchsafeError('internal', `CCA: ${expected.length} bytes of challenge expected, wanted 64`)
  if (!crypto.equal(found, expected))
    throw new VouchsafeError('evidence.binding', 'CCA realm token: challenge is not what was asked for')
  return 'as-expected'
}
