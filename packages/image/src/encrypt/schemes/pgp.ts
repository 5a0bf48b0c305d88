import type * as openpgp from 'openpgp'
import { ImageError } from '../../errors.ts'
import { malformed, MAX_PACKET_BYTES } from '../read-json.ts'
import type { KeyHolder, Recipients } from '../recipients.ts'

/** Loaded when the first OpenPGP key is: it is by far the largest library here, and few images need it. */
async function load() {
  const library = await import('openpgp')
  /** What stock ocicrypt reads: AES-256, integrity-protected, not compressed. */
  const config: openpgp.PartialConfig = {
    preferredSymmetricAlgorithm: library.enums.symmetric.aes256,
    preferredCompressionAlgorithm: library.enums.compression.uncompressed,
    aeadProtect: false,
    maxDecompressedMessageSize: MAX_PACKET_BYTES,
  }
  return { library, config }
}

/** Public keys of a ring, armoured or binary. */
export async function readPgpPublicKeys(bytes: Uint8Array, what: string): Promise<readonly openpgp.PublicKey[]> {
  const { library } = await load()
  try {
    return await (isArmoured(bytes)
      ? library.readKeys({ armoredKeys: new TextDecoder().decode(bytes) })
      : library.readKeys({ binaryKeys: bytes }))
  } catch (cause) {
    throw new ImageError('encryption.recipient', `${what}: no OpenPGP keys: ${(cause as Error).message}`, { cause })
  }
}

/** The keys of a ring that belong to an address, a name in angle brackets, a fingerprint or its last 16 digits. */
export function findPgpKeys(keys: readonly openpgp.PublicKey[], who: string): readonly openpgp.PublicKey[] {
  const wanted = who.replace(/^0x/i, '').toLowerCase()
  const isId = /^[0-9a-f]{16}(?:[0-9a-f]{24})?$/.test(wanted)
  return keys.filter((key) =>
    isId
      ? [key, ...key.subkeys].some((part) => part.getFingerprint().endsWith(wanted))
      : key.users.some(({ userID }) => userID?.email.toLowerCase() === wanted),
  )
}

/**
 * The private keys of a ring that can be used: those without a passphrase, and those that the given one opens.
 *
 * @throws {ImageError} `encryption.recipient` where there are none.
 */
export async function readPgpPrivateKeys(
  bytes: Uint8Array,
  what: string,
  passphrase?: string,
): Promise<readonly openpgp.PrivateKey[]> {
  const { library } = await load()
  try {
    const keys = await (isArmoured(bytes)
      ? library.readPrivateKeys({ armoredKeys: new TextDecoder().decode(bytes) })
      : library.readPrivateKeys({ binaryKeys: bytes }))
    const unlocked = keys.map(async (key) => {
      if (key.isDecrypted()) return [key]
      if (passphrase === undefined) return []
      return library.decryptKey({ privateKey: key, passphrase }).then(
        (opened) => [opened],
        () => [],
      )
    })
    const usable = (await Promise.all(unlocked)).flat()
    if (usable.length > 0) return usable
    throw new Error(
      `all are locked, and ${passphrase === undefined ? 'no passphrase was given' : 'the passphrase opens none'}`,
    )
  } catch (cause) {
    throw new ImageError('encryption.recipient', `${what}: no OpenPGP private keys: ${(cause as Error).message}`, {
      cause,
    })
  }
}

/** True for bytes that begin as an OpenPGP key does: told from PEM and DER by that. */
export function isPgpRing(bytes: Uint8Array): boolean {
  const tag = bytes[0] ?? 0
  // binary: an old or new format packet header of a public or secret key
  const packet = (tag & 0x80) === 0 ? 0 : (tag & 0x40) === 0 ? (tag >> 2) & 0xf : tag & 0x3f
  return packet === 5 || packet === 6 || isArmoured(bytes)
}

/** @throws {ImageError} `encryption.recipient`, when wrapping, for keys that may not encrypt or have expired. */
export function pgpRecipients(keys: readonly openpgp.PublicKey[]): Recipients {
  return {
    scheme: 'pgp',
    async wrap(privateOptions) {
      if (keys.length === 0) return []
      const { library, config } = await load()
      for (const key of keys)
        await key
          .getEncryptionKey(undefined, new Date(), undefined, { ...library.config, ...config })
          .catch((cause: Error) => {
            const who = `${key.getUserIDs().join(', ')} (${key.getFingerprint()})`
            throw new ImageError('encryption.recipient', `OpenPGP key of ${who}: encrypts nothing: ${cause.message}`, {
              cause,
            })
          })
      try {
        const message = await library.createMessage({ binary: new Uint8Array(privateOptions) })
        const options = { message, encryptionKeys: [...keys], format: 'binary' as const, config }
        return [new Uint8Array(await library.encrypt(options))]
      } catch (cause) {
        throw new ImageError('encryption.recipient', `OpenPGP: ${(cause as Error).message}`, { cause })
      }
    },
  }
}

/**
 * Holders of OpenPGP private keys, already unlocked: see `readPgpPrivateKeys`. Messages without integrity protection are not
 * opened.
 */
export function pgpKeys(keys: readonly openpgp.PrivateKey[]): KeyHolder {
  return {
    scheme: 'pgp',
    async unwrap(packet) {
      const { library, config } = await load()
      let message: openpgp.Message<Uint8Array<ArrayBuffer>>
      try {
        message = await library.readMessage({ binaryMessage: new Uint8Array(packet), config })
      } catch (cause) {
        throw malformed('OpenPGP packet', (cause as Error).message, cause)
      }
      try {
        const options = { message, decryptionKeys: [...keys], format: 'binary' as const, config }
        const { data } = await library.decrypt(options)
        return new Uint8Array(data)
      } catch {
        return undefined
      }
    },
  }
}

function isArmoured(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(0, 256)).includes('-----BEGIN PGP')
}
