import { constants, publicEncrypt, type KeyObject } from 'node:crypto'
import { toBase64, utf8 } from '@vouchsafe/core/base'
import { ImageError } from '../../errors.ts'
import { asArray, asObject, member, readAs } from '../../oci/json.ts'
import { malformed, readBase64, readEncryptionJson } from '../read-json.ts'
import type { KeyHolder, Recipients } from '../recipients.ts'

/** Of the mask and label of RSA-OAEP. SoftHSM knows only the first; tokens that know the second are better off with it. */
export type OaepHash = 'sha1' | 'sha256'

/** A private key that stays in its token. */
export interface TokenKey {
  /** @returns `undefined` when the ciphertext is not for this key. @throws {ImageError} `encryption.pkcs11`. */
  decryptOaep(ciphertext: Uint8Array, hash: OaepHash): Promise<Uint8Array | undefined>
}

const OVERHEAD: Readonly<Record<OaepHash, number>> = { sha1: 42, sha256: 66 }
const MAX_RECIPIENTS = 64

/**
 * Recipients whose private key is in a token. Wrapping needs the public key alone, so no token is touched.
 *
 * @param oaepHash - `sha256`, upstream's default, unless told. The options do not fit a 2048-bit key then: such keys
 *   want `sha1`, which is no weakness in OAEP.
 * @throws {ImageError} `encryption.recipient`.
 */
export function pkcs11Recipients(keys: readonly KeyObject[], oaepHash: OaepHash = 'sha256'): Recipients {
  for (const key of keys)
    if (key.asymmetricKeyType !== 'rsa')
      throw new ImageError('encryption.recipient', `PKCS#11 recipients have RSA keys, not ${key.asymmetricKeyType}`)
  return {
    scheme: 'pkcs11',
    wrap(privateOptions) {
      const recipients = keys.map((key) => {
        const bytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8
        if (privateOptions.length > bytes - OVERHEAD[oaepHash])
          throw new ImageError(
            'encryption.recipient',
            `an RSA key of ${bytes * 8} bits takes ${bytes - OVERHEAD[oaepHash]} bytes with OAEP ${oaepHash}, ${privateOptions.length} are wanted: use sha1, or a larger key`,
          )
        const padding = constants.RSA_PKCS1_OAEP_PADDING
        const blob = publicEncrypt({ key, padding, oaepHash }, privateOptions)
        return { version: 0, blob: toBase64(blob), hash: oaepHash }
      })
      return Promise.resolve(recipients.length === 0 ? [] : [utf8(JSON.stringify({ version: 0, recipients }))])
    },
  }
}

/**
 * Holders of token keys; each recipient of a packet is tried with each of them. Where none opens it, the first token that could
 * not be used is what is told.
 */
export function pkcs11Keys(keys: readonly TokenKey[]): KeyHolder {
  return {
    scheme: 'pkcs11',
    async unwrap(packet) {
      let failure: ImageError | undefined
      for (const { blob, hash } of readPacket(packet))
        for (const key of keys) {
          try {
            const opened = await key.decryptOaep(blob, hash)
            if (opened !== undefined) return opened
          } catch (error) {
            // a token that is not there: another may be
            if (!(error instanceof ImageError)) throw error
            failure ??= error
          }
        }
      if (failure !== undefined) throw failure
      return undefined
    },
  }
}

/** @source ocicrypt, crypto/pkcs11: Pkcs11Blob. A recipient without hash is of the time when there was only SHA-1. */
function readPacket(packet: Uint8Array): readonly { readonly blob: Uint8Array; readonly hash: OaepHash }[] {
  const what = 'PKCS#11 packet'
  const object = readEncryptionJson(packet, what)
  if (member(object, 'version') !== 0) throw malformed(what, 'version is not 0')
  const recipients = readAs('encryption.malformed', () =>
    asArray(member(object, 'recipients'), `${what}.recipients`, MAX_RECIPIENTS).map((one) => asObject(one, what)),
  )
  return recipients.map((recipient) => {
    if (member(recipient, 'version') !== 0) throw malformed(what, 'a recipient whose version is not 0')
    const hash = member(recipient, 'hash') ?? 'sha1'
    if (hash !== 'sha1' && hash !== 'sha256') throw malformed(what, `hash ${JSON.stringify(hash)}`)
    return { blob: readBase64(member(recipient, 'blob'), `${what}.blob`), hash }
  })
}
