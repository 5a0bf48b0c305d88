import { createPublicKey, verify } from 'node:crypto'
import * as openpgp from 'openpgp'
import { ImageError } from '../errors.ts'
import { MAX_SIGNATURE_BYTES, parsePayload, type Payload } from './payload.ts'
import type { SimpleSignature } from './stored-signature.ts'

/** Keys that simple signatures are checked with. */
export interface KeyRing {
  readonly keys: readonly openpgp.PublicKey[]
}

/** Who may have signed, and when that counts. */
export interface SimpleTrust {
  /** Any key of any ring may have signed. No ring trusts nobody. */
  readonly rings: readonly KeyRing[]
  /** Keys and signatures must be valid now, not only when they were made. */
  readonly at: Date
  /** Signatures over SHA-1 digests, as some of 2021 are: a collision can be bought. Refused unless told. */
  readonly dangerouslyAcceptSha1?: boolean
}

/** Who signed, after all checks. */
export interface SimpleSigner {
  /** Upper-case hexadecimal fingerprint of the primary key, also where a subkey signed. */
  readonly fingerprint: string
}

const MAX_RING_BYTES = 4 * 1024 * 1024
const MAX_RING_KEYS = 256

/** @throws {ImageError} `key.malformed` @param what - The file or address, for messages. */
export async function parseKeyRing(bytes: Uint8Array, what: string): Promise<KeyRing> {
  if (bytes.length > MAX_RING_BYTES) throw new ImageError('key.malformed', `${what}: over ${MAX_RING_BYTES} bytes`)
  const text = Buffer.from(bytes.subarray(0, 64)).toString('latin1').trimStart()
  let keys: readonly openpgp.Key[]
  try {
    keys = text.startsWith('-----BEGIN PGP')
      ? await openpgp.readKeys({ armoredKeys: Buffer.from(bytes).toString('latin1') })
      : await openpgp.readKeys({ binaryKeys: bytes })
  } catch (cause) {
    throw new ImageError('key.malformed', `${what}: not an OpenPGP key ring: ${(cause as Error).message}`, { cause })
  }
  if (keys.length === 0 || keys.length > MAX_RING_KEYS)
    throw new ImageError('key.malformed', `${what}: ${keys.length} OpenPGP keys; 1 to ${MAX_RING_KEYS}`)
  return { keys: keys.map((key) => key.toPublic()) }
}

/**
 * Checks a simple signature: one OpenPGP signature over one literal text, by a key of the rings that is valid now, and
 * only then what the text says.
 *
 * @throws {ImageError} `signature.malformed`, `signature.unverified`, `signature.mismatch`.
 * @source containers-signature(5); RFC 9580 sections 5.2 and 10.3
 */
export async function verifySimpleSignature(
  signature: SimpleSignature,
  trust: SimpleTrust,
): Promise<{ readonly payload: Payload; readonly signer: SimpleSigner }> {
  const { message, place } = signature
  const keys = trust.rings.flatMap((ring) => ring.keys)
  const malformed = (why: string, cause?: unknown) =>
    new ImageError('signature.malformed', `${place}: ${why}`, cause === undefined ? {} : { cause })
  if ((message[0] ?? 0) < 0x80) throw malformed('not a binary OpenPGP message')
  let outcomes: readonly Outcome[]
  let pair: ReturnType<typeof onePair>
  try {
    const opened = await openpgp.readMessage({ binaryMessage: message, config: UNPACKED })
    pair = onePair(opened, malformed)
    const config = trust.dangerouslyAcceptSha1 === true ? { rejectMessageHashAlgorithms: WITHOUT_SHA1 } : {}
    const verificationKeys = [...keys]
    const options = { message: opened, verificationKeys, format: 'binary', date: trust.at, config } as const
    outcomes = (await openpgp.verify(options)).signatures
  } catch (cause) {
    throw cause instanceof ImageError ? cause : malformed((cause as Error).message, cause)
  }
  const { literal, third } = pair
  const fingerprint =
    third === undefined
      ? await checkModern(outcomes, keys, trust, place)
      : await checkThird(literal, third, keys, trust, place)
  return { payload: parsePayload(literal, 'simple'), signer: { fingerprint } }
}

/** A message is compressed as a rule, and unpacked before anything of it is checked. */
const UNPACKED = { maxDecompressedMessageSize: MAX_SIGNATURE_BYTES }

type Outcome = Awaited<ReturnType<typeof openpgp.verify>>['signatures'][number]

/**
 * The signed text, and the signature packet where it is one of version 3, which the library does not read. The library
 * shows packets up to the text, and keeps all of them as a list in `stream`: were that to change, nothing is found here
 * and every signature is refused.
 */
function onePair(
  message: openpgp.Message<Uint8Array>,
  malformed: (why: string) => ImageError,
): { literal: Uint8Array; third?: Uint8Array } {
  const opened = message.unwrapCompressed()
  const third: Uint8Array[] = []
  let signatures = 0
  let literals = 0
  for (const packet of (opened.packets as { readonly stream?: readonly object[] }).stream ?? []) {
    if (packet instanceof openpgp.SignaturePacket) signatures++
    else if (packet instanceof openpgp.LiteralDataPacket) literals++
    else if (packet instanceof openpgp.UnparseablePacket && packet.tag === openpgp.enums.packet.signature)
      third.push(packet.write())
    else if (!(packet instanceof openpgp.OnePassSignaturePacket)) throw malformed('holds a packet that does not belong')
  }
  const literal = opened.getLiteralData()
  const [old] = third
  if (literals !== 1 || literal === null || signatures + third.length !== 1)
    throw malformed(`${literals} texts and ${signatures + third.length} signatures; one each is wanted`)
  return old === undefined ? { literal } : { literal, third: old }
}

async function checkModern(
  outcomes: readonly Outcome[],
  keys: readonly openpgp.PublicKey[],
  trust: SimpleTrust,
  place: string,
): Promise<string> {
  const [only, ...more] = outcomes
  if (only === undefined || more.length > 0) throw new ImageError('signature.malformed', `${place}: not one signature`)
  try {
    await only.verified
    return (await validAt(keys, only.keyID.toHex(), trust.at)).fingerprint
  } catch (cause) {
    throw new ImageError('signature.unverified', `${place}: ${(cause as Error).message}`, { cause })
  }
}

const WITHOUT_SHA1: Set<openpgp.enums.hash> = new Set([openpgp.enums.hash.md5, openpgp.enums.hash.ripemd])

/** The key that signed, and the fingerprint of its primary key: both made by then, neither expired or revoked. */
async function validAt(
  keys: readonly openpgp.PublicKey[],
  id: string,
  at: Date,
): Promise<{ fingerprint: string; signing: openpgp.Key | openpgp.Subkey }> {
  for (const key of keys)
    for (const part of key.getKeys())
      if (part.getKeyID().toHex() === id) {
        await key.verifyPrimaryKey(at)
        await key.getSigningKey(part.getKeyID(), at)
        return { fingerprint: key.getFingerprint().toUpperCase(), signing: part }
      }
  throw new Error(`no trusted key ${id}`)
}

const HASHES: Readonly<Record<number, string>> = { 2: 'sha1', 8: 'sha256', 9: 'sha384', 10: 'sha512' }

/**
 * A version 3 signature, which old signers make: RSA over text, type and time.
 *
 * @source RFC 4880 section 5.2.2
 */
async function checkThird(
  literal: Uint8Array,
  packet: Uint8Array,
  keys: readonly openpgp.PublicKey[],
  trust: SimpleTrust,
  place: string,
): Promise<string> {
  const refuse = (why: string) => new ImageError('signature.unverified', `${place}: ${why}`)
  const hash = HASHES[packet[16] ?? 0]
  const bits = ((packet[19] ?? 0) << 8) | (packet[20] ?? 0)
  const bytes = packet.subarray(21)
  if (packet[0] !== 3 || packet[1] !== 5 || bytes.length !== Math.ceil(bits / 8))
    throw new ImageError('signature.malformed', `${place}: a signature packet that cannot be read`)
  if (packet[2] !== 0) throw refuse('a signature over something other than a text')
  if (packet[15] !== 1 && packet[15] !== 3) throw refuse('a version 3 signature by a key that is not RSA')
  if (hash === undefined || (hash === 'sha1' && trust.dangerouslyAcceptSha1 !== true))
    throw refuse(`insecure message hash algorithm: ${hash ?? String(packet[16])}`)
  const id = Buffer.from(packet.subarray(7, 15)).toString('hex')
  const made = new Date(new DataView(packet.buffer, packet.byteOffset + 3, 4).getUint32(0) * 1000)
  if (made > trust.at) throw refuse('made in the future')
  try {
    // then as well as now: the library asks the same of later versions
    await validAt(keys, id, made)
    const { fingerprint, signing } = await validAt(keys, id, trust.at)
    const { n, e } = (signing.keyPacket.publicParams ?? {}) as { n?: Uint8Array; e?: Uint8Array }
    if (n === undefined || e === undefined) throw new Error('not an RSA key')
    const jwk = { kty: 'RSA', n: Buffer.from(n).toString('base64url'), e: Buffer.from(e).toString('base64url') }
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const padded = Buffer.concat([Buffer.alloc(Math.max(0, n.length - bytes.length)), bytes])
    const signed = Buffer.concat([literal, packet.subarray(2, 7)])
    if (!verify(hash, signed, key, padded)) throw new Error('signed digest did not match')
    return fingerprint
  } catch (cause) {
    throw new ImageError('signature.unverified', `${place}: ${(cause as Error).message}`, { cause })
  }
}
