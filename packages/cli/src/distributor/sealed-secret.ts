import { createCipheriv, createDecipheriv, createPublicKey, randomBytes } from 'node:crypto'
import { VouchsafeError, concat, fromBase64, fromHex } from '@vouchsafe/core'
import { TEMPLATES, type Tpm, type TpmKey, publicAreaFor } from '@vouchsafe/tpm'
import { openGotpmImport, readGotpm, sealForGotpmImport, writeGotpm } from '@vouchsafe/tpm/gotpm'

const WRAPPING_KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16
const MAX_BLOB_BYTES = 16 * 1024
/** What a TPM takes in one piece. */
const MAX_DIRECT_BYTES = 128
const PURPOSE = new TextEncoder().encode('vouchsafe/distributor/indirect/v1')

/**
 * Seals a secret to a client's TPM and, where registers are given, to that state: as go-tpm-tools' import blob, which the
 * original's client opens.
 *
 * - `direct`: the secret itself, at most 128 bytes.
 * - `indirect`: a wrapping key is sealed, and the secret travels beside it under that key (AES-256-GCM): a hypervisor that
 *   watches the commands of its virtual TPM sees the key, and not the ciphertext that stays in encrypted memory.
 *   Form: 4 bytes length, import blob, 12 bytes IV, ciphertext, 16 bytes tag.
 *
 * @param endorsementKey - DER SubjectPublicKeyInfo, base64, from the platform's record.
 */
export function sealSecret(
  secret: Uint8Array,
  endorsementKey: string,
  registers: Readonly<Record<string, string>>,
  layout: 'direct' | 'indirect',
): Uint8Array {
  if (layout === 'direct') {
    if (secret.length === 0 || secret.length > MAX_DIRECT_BYTES)
      throw new VouchsafeError(
        'input.too-large',
        `${secret.length} bytes cannot be sealed in one piece: a TPM takes 1 to ${MAX_DIRECT_BYTES}`,
      )
    return importBlob(secret, endorsementKey, registers)
  }
  const key = randomBytes(WRAPPING_KEY_BYTES)
  const blob = importBlob(new Uint8Array(key), endorsementKey, registers)
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(concat(PURPOSE, blob))
  const ciphertext = concat(cipher.update(secret), cipher.final(), cipher.getAuthTag())
  key.fill(0)
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, blob.length)
  return concat(length, blob, iv, ciphertext)
}

/** @throws {VouchsafeError} `release.sealed-payload`; {TpmError} when it is for another TPM or state */
export async function openSealed(
  tpm: Tpm,
  endorsementKey: TpmKey,
  sealed: Uint8Array,
  layout: 'direct' | 'indirect',
): Promise<Uint8Array> {
  const unseal = (blob: Uint8Array) =>
    openGotpmImport(tpm, readGotpm('import-blob', blob, 'binarypb'), { endorsementKey })
  if (layout === 'direct') return unseal(sealed)
  const length = sealed.length < 4 ? 0 : new DataView(sealed.buffer, sealed.byteOffset, 4).getUint32(0)
  if (length === 0 || length > MAX_BLOB_BYTES || sealed.length < 4 + length + IV_BYTES + TAG_BYTES)
    throw new VouchsafeError('release.sealed-payload', 'indirectly sealed secret: cut short')
  const blob = sealed.slice(4, 4 + length)
  const iv = sealed.subarray(4 + length, 4 + length + IV_BYTES)
  const key = await unseal(blob)
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, iv).setAAD(concat(PURPOSE, blob))
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
    const ciphertext = sealed.subarray(4 + length + IV_BYTES, -TAG_BYTES)
    return concat(decipher.update(ciphertext), decipher.final())
  } catch (cause) {
    throw new VouchsafeError('release.sealed-payload', 'indirectly sealed secret: it does not open', { cause })
  } finally {
    key.fill(0)
  }
}

function importBlob(data: Uint8Array, spki: string, registers: Readonly<Record<string, string>>): Uint8Array {
  const key = createPublicKey({ key: Buffer.from(fromBase64(spki, 'endorsementKey')), format: 'der', type: 'spki' })
  const template = key.asymmetricKeyType === 'rsa' ? TEMPLATES.ekRsa2048 : TEMPLATES.ekEccP256
  const values = new Map(Object.entries(registers).map(([n, v]) => [Number(n), fromHex(v, `register ${n}`, 32)]))
  const message = sealForGotpmImport({
    endorsementKey: publicAreaFor(key, template),
    data,
    ...(values.size > 0 && { pcrs: { bank: 'sha256', values } }),
  })
  return writeGotpm('import-blob', message, 'binarypb')
}
