import { Secret, VouchsafeError, utf8 } from '@vouchsafe/core'
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption'

/*
 * Encrypted data files are age files (age-encryption.org/v1), so that owners can also make them with the `age` command.
 * The data key that a broker keeps and releases is the age identity. See docs/spec/data-files.md.
 */

/** `AGE-SECRET-KEY-1` and 58 characters of bech32. */
const IDENTITY = /^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/

/** A new key for one data file: what an owner puts into the broker as a resource. */
export async function generateDataKey(): Promise<Secret> {
  return new Secret(utf8(await generateX25519Identity()))
}

/** The public half of a data key, `age1…`: whoever has it can encrypt, and cannot decrypt. */
export function dataRecipient(key: Secret): Promise<string> {
  return identityToRecipient(identityOf(key))
}

/**
 * Encrypts a data file to a data key. Streams: a file may be larger than memory.
 *
 * @param recipient - From `dataRecipient`.
 */
export async function encryptDataFile(
  plaintext: ReadableStream<Uint8Array>,
  recipient: string,
): Promise<ReadableStream<Uint8Array>> {
  const encrypter = new Encrypter()
  encrypter.addRecipient(recipient)
  return encrypter.encrypt(plaintext)
}

/**
 * Opens a data file. Every 64 KiB are authenticated before they come out, but only the stream's end says that nothing
 * was cut off: act on the data when the stream has closed, not before.
 *
 * @throws {VouchsafeError} `input.malformed` when key and file do not belong together or the header was altered;
 *   the stream errors likewise when a later part was altered or cut off.
 */
export async function decryptDataFile(
  ciphertext: ReadableStream<Uint8Array>,
  key: Secret,
): Promise<ReadableStream<Uint8Array>> {
  const decrypter = new Decrypter()
  decrypter.addIdentity(identityOf(key))
  try {
    return await decrypter.decrypt(ciphertext)
  } catch (cause) {
    throw new VouchsafeError('input.malformed', 'the data file does not open with this data key', { cause })
  }
}

function identityOf(key: Secret): string {
  const text = Buffer.from(key.expose()).toString('latin1')
  if (!IDENTITY.test(text))
    throw new VouchsafeError('input.malformed', 'data key: not an age identity of the form AGE-SECRET-KEY-1…')
  return text
}
