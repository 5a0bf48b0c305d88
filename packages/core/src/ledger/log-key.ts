import { concat, fromBase64, fromHex, toBase64, toHex, utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import type { Hasher } from './merkle.ts'
import { sameBytes } from './proof.ts'

/** Whether a store's evidence is real or simulated. Fixed at `broker init`, for ever (decision 9). */
export const PROFILES = ['production', 'simulated'] as const
export type Profile = (typeof PROFILES)[number]

/** The public half of a log's signing key. */
export interface LogKey {
  /** The log's origin. */
  readonly name: string
  readonly keyHash: Uint8Array
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
}

const ED25519_NOTE = Uint8Array.of(0x01)

/** The name of one tenant's log. It tells a simulated log from a real one in every checkpoint and key. */
export function logOrigin(log: {
  readonly profile: Profile
  readonly broker: string
  readonly tenant: string
}): string {
  for (const part of [log.broker, log.tenant]) {
    if (part === '' || part.includes('/'))
      throw new VouchsafeError('input.malformed', `log origin: bad part ${JSON.stringify(part)}`)
  }
  return noteName(`vouchsafe/${log.profile}/${log.broker}/${log.tenant}`)
}

/** SHA-256(name ‖ LF ‖ 0x01 ‖ key), first four bytes. @source https://c2sp.org/signed-note, Ed25519 signatures */
export function logKeyOf(name: string, publicKey: Uint8Array, crypto: Hasher): LogKey {
  if (publicKey.length !== 32)
    throw new VouchsafeError('input.malformed', `log key: ${publicKey.length} bytes, wanted 32`)
  const hash = crypto.digest('sha256', utf8(`${noteName(name)}\n`), ED25519_NOTE, publicKey)
  return { name, keyHash: hash.slice(0, 4), publicKey: new Uint8Array(publicKey) }
}

/** `name+hash+key`: how agreements and Go's note package write a verifier key. */
export function formatLogKey(key: LogKey): string {
  return `${key.name}+${toHex(key.keyHash)}+${toBase64(concat(ED25519_NOTE, key.publicKey))}`
}

/** @throws {VouchsafeError} `input.malformed`, also when the hash is not that of name and key. */
export function parseLogKey(text: string, crypto: Hasher): LogKey {
  const [name = '', hash = '', ...rest] = text.split('+')
  // base64 has a + of its own
  const encoded = fromBase64(rest.join('+'), 'log key')
  if (encoded.length !== 33 || encoded[0] !== 0x01) throw new VouchsafeError('input.malformed', 'log key: not Ed25519')
  const key = logKeyOf(name, encoded.slice(1), crypto)
  if (!sameBytes(fromHex(hash, 'log key: hash', 4), key.keyHash))
    throw new VouchsafeError('input.malformed', 'log key: its hash is not that of its name and key')
  return key
}

/** @internal Key names of notes: not empty, no spaces, no plus, no control characters. */
export function noteName(name: string): string {
  if (name === '' || name.length > 512 || !name.isWellFormed() || /[\s\p{Z}+\u0000-\u001f\u007f]/u.test(name))
    throw new VouchsafeError('input.malformed', `not a name for a log: ${JSON.stringify(name.slice(0, 80))}`)
  return name
}
