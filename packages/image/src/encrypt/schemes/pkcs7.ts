import {
  constants,
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  X509Certificate,
} from 'node:crypto'
import { concat, toHex } from '@vouchsafe/core/base'
import * as x509 from '@vouchsafe/core/x509'
import { ImageError } from '../../errors.ts'
import { malformed } from '../read-json.ts'
import type { KeyHolder, Recipients } from '../recipients.ts'

const { DerReader, TAG, contextTag } = x509

const OID = {
  data: '1.2.840.113549.1.7.1',
  envelopedData: '1.2.840.113549.1.7.3',
  rsaEncryption: '1.2.840.113549.1.1.1',
} as const
/** Content ciphers that authenticate, by object identifier. What writes CBC here is not read: nothing would prove it. */
const CIPHERS = {
  '2.16.840.1.101.3.4.1.6': { name: 'aes-128-gcm', keyBytes: 16 },
  '2.16.840.1.101.3.4.1.46': { name: 'aes-256-gcm', keyBytes: 32 },
} as const
/** Encoded: envelopedData, data, rsaEncryption, aes128-GCM. */
const ENCODED = {
  envelopedData: Uint8Array.of(6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3),
  data: Uint8Array.of(6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1),
  rsaEncryption: Uint8Array.of(6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1),
  aes128Gcm: Uint8Array.of(6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 6),
} as const
/** A SEQUENCE without the bit that says it is constructed: upstream writes the parameters of GCM so. */
const BROKEN_SEQUENCE = 0x10
const TAG_BYTES = 16
const NONCE_BYTES = 12
const MIN_RSA_BITS = 2048

/**
 * Recipients by X.509 certificate with an RSA key.
 *
 * The form is upstream's to the byte: EnvelopedData with RSA PKCS#1 v1.5 key transport and AES-128-GCM, whose
 * parameters are neither RFC 5084 nor DER. Certificates are names of keys here; dates and issuers are not judged.
 *
 * @throws {ImageError} `encryption.recipient`.
 */
export function pkcs7Recipients(certificates: readonly X509Certificate[]): Recipients {
  for (const { publicKey, subject } of certificates) {
    const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0
    if (publicKey.asymmetricKeyType !== 'rsa' || bits < MIN_RSA_BITS)
      throw new ImageError(
        'encryption.recipient',
        `certificate of ${subject}: PKCS#7 wants an RSA key of at least ${MIN_RSA_BITS} bits`,
      )
  }
  return {
    scheme: 'pkcs7',
    wrap(privateOptions) {
      return Promise.resolve(certificates.length === 0 ? [] : [writeEnveloped(certificates, privateOptions)])
    },
  }
}

/** Holders of certificates and their RSA keys, in pairs. */
export function pkcs7Keys(
  holders: readonly { readonly certificate: X509Certificate; readonly key: KeyObject }[],
): KeyHolder {
  const known = new Map(holders.map(({ certificate, key }) => [toHex(issuerAndSerial(certificate)), key]))
  return {
    scheme: 'pkcs7',
    unwrap(packet) {
      const enveloped = readEnveloped(packet)
      for (const { name, wrappedKey } of enveloped.recipients) {
        const key = known.get(toHex(name))
        const opened = key === undefined ? undefined : openContent(key, wrappedKey, enveloped)
        if (opened !== undefined) return Promise.resolve(opened)
      }
      return Promise.resolve(undefined)
    },
  }
}

interface Enveloped {
  readonly recipients: readonly { readonly name: Uint8Array; readonly wrappedKey: Uint8Array }[]
  readonly cipher: (typeof CIPHERS)[keyof typeof CIPHERS]
  readonly nonce: Uint8Array
  readonly content: Uint8Array
}

/** @source RFC 5652 section 6, and what ocicrypt's PKCS#7 library makes of it */
function readEnveloped(packet: Uint8Array): Enveloped {
  const what = 'PKCS#7 packet'
  try {
    const outer = new DerReader(what, new Uint8Array(packet))
    const info = outer.sequence('ContentInfo')
    outer.end()
    if (info.oid('contentType') !== OID.envelopedData) throw info.malformed('contentType', 'not enveloped data')
    const body = info.inside('content', contextTag(0, 'constructed')).sequence('EnvelopedData')
    body.smallInteger('version', 2)
    const set = body.set('recipientInfos')
    const recipients: Enveloped['recipients'][number][] = []
    while (!set.done) {
      const recipient = set.sequence('RecipientInfo')
      recipient.smallInteger('version', 0)
      const name = recipient.take('issuerAndSerialNumber', TAG.sequence).raw
      const transport = recipient.sequence('keyEncryptionAlgorithm')
      if (transport.oid('algorithm') !== OID.rsaEncryption)
        throw transport.malformed('algorithm', 'not RSA key transport')
      recipients.push({ name, wrappedKey: recipient.octetString('encryptedKey') })
      recipient.end()
    }
    const content = body.sequence('encryptedContentInfo')
    if (content.oid('contentType') !== OID.data) throw content.malformed('contentType', 'not data')
    const algorithm = content.sequence('contentEncryptionAlgorithm')
    const oid = algorithm.oid('algorithm')
    if (!Object.hasOwn(CIPHERS, oid)) throw algorithm.malformed('algorithm', `${oid} is not AES-GCM`)
    const nonce = readParameters(algorithm.any('parameters').raw)
    const bytes = readContent(content)
    if (bytes.length < TAG_BYTES) throw content.malformed('encryptedContent', 'shorter than its tag')
    content.end()
    return { recipients, cipher: CIPHERS[oid as keyof typeof CIPHERS], nonce, content: bytes }
  } catch (cause) {
    throw malformed(what, (cause as Error).message.replace(`${what}: `, ''), cause)
  }
}

/** In one piece; older releases of upstream's library put an OCTET STRING inside. */
function readContent(reader: x509.DerReader): Uint8Array {
  const inner = reader.optionalInside('encryptedContent', contextTag(0, 'constructed'))
  if (inner === undefined) return reader.take('encryptedContent', contextTag(0)).content
  const bytes = inner.octetString('encryptedContent')
  inner.end()
  return bytes
}

/** As upstream writes them, or as RFC 5084 does. */
function readParameters(raw: Uint8Array): Uint8Array {
  const reader = new DerReader('GCM parameters', raw)
  const inner =
    reader.peek() === BROKEN_SEQUENCE
      ? reader.inside('parameters', BROKEN_SEQUENCE).sequence('parameters')
      : reader.sequence('parameters')
  const nonce = inner.any('nonce')
  if ((nonce.tag !== contextTag(4) && nonce.tag !== TAG.octetString) || nonce.content.length !== NONCE_BYTES)
    throw inner.malformed('nonce', `not a nonce of ${NONCE_BYTES} bytes`)
  if (inner.smallInteger('tagBytes', TAG_BYTES) !== TAG_BYTES)
    throw inner.malformed('tagBytes', `tags have ${TAG_BYTES} bytes`)
  inner.end()
  return nonce.content
}

/** `undefined` for whatever does not open: which step failed would be an oracle. */
function openContent(key: KeyObject, wrappedKey: Uint8Array, enveloped: Enveloped): Uint8Array | undefined {
  const { cipher, nonce, content } = enveloped
  try {
    // OpenSSL rejects implicitly: bad padding gives a random key of random length, and GCM then does not open
    const contentKey = privateDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, wrappedKey)
    if (contentKey.length !== cipher.keyBytes) return undefined
    const decipher = createDecipheriv(cipher.name, contentKey, nonce)
    decipher.setAuthTag(content.subarray(-TAG_BYTES))
    return concat(decipher.update(content.subarray(0, -TAG_BYTES)), decipher.final())
  } catch {
    return undefined
  }
}

function writeEnveloped(certificates: readonly X509Certificate[], plain: Uint8Array): Uint8Array {
  const contentKey = randomBytes(16)
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-128-gcm', contentKey, nonce)
  const content = concat(cipher.update(plain), cipher.final(), cipher.getAuthTag())
  const version = der(TAG.integer, Uint8Array.of(0))
  const recipients = certificates.map((certificate) =>
    der(
      TAG.sequence,
      version,
      issuerAndSerial(certificate),
      der(TAG.sequence, ENCODED.rsaEncryption),
      der(
        TAG.octetString,
        publicEncrypt({ key: certificate.publicKey, padding: constants.RSA_PKCS1_PADDING }, contentKey),
      ),
    ),
  )
  const parameters = der(
    BROKEN_SEQUENCE,
    der(TAG.sequence, der(contextTag(4), nonce), der(TAG.integer, Uint8Array.of(TAG_BYTES))),
  )
  const body = der(
    TAG.sequence,
    version,
    der(TAG.set, ...recipients.toSorted(Buffer.compare)),
    der(TAG.sequence, ENCODED.data, der(TAG.sequence, ENCODED.aes128Gcm, parameters), der(contextTag(0), content)),
  )
  return der(TAG.sequence, ENCODED.envelopedData, der(contextTag(0, 'constructed'), body))
}

/** As it stands in the certificate, byte for byte. @source RFC 5280 section 4.1 */
function issuerAndSerial(certificate: X509Certificate): Uint8Array {
  const toBeSigned = new DerReader('certificate', certificate.raw).sequence('Certificate').sequence('tbsCertificate')
  toBeSigned.optional('version', contextTag(0, 'constructed'))
  const serial = toBeSigned.take('serialNumber', TAG.integer).raw
  toBeSigned.take('signature', TAG.sequence)
  return der(TAG.sequence, toBeSigned.take('issuer', TAG.sequence).raw, serial)
}

/** One element with a definite, minimal length. */
function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const body = concat(...content)
  const length = body.length
  const octets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  if (length > 0xffff) throw new ImageError('encryption.recipient', 'too many recipients for one packet')
  return concat(Uint8Array.of(tag, ...octets), body)
}
