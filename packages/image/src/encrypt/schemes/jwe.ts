import { fromBase64Url, fromUtf8, utf8 } from '@vouchsafe/core/base'
import { FlattenedEncrypt, GeneralEncrypt, type GeneralJWE, generalDecrypt } from 'jose'
import { ImageError } from '../../errors.ts'
import { asArray, asString, type JsonObject, member, readAs } from '../../oci/json.ts'
import { malformed, readEncryptionJson, readObject } from '../read-json.ts'
import type { KeyHolder, Recipients } from '../recipients.ts'
import type { AsymmetricKey } from './key-file.ts'

const CONTENT = 'A256GCM'
/** Content encryptions of RFC 7518, for reading. */
const CONTENT_KNOWN = ['A256GCM', 'A192GCM', 'A128GCM', 'A256CBC-HS512', 'A192CBC-HS384', 'A128CBC-HS256']
const RSA_WRAPS = ['RSA-OAEP', 'RSA-OAEP-256']
const EC_KEYS = ['ec prime256v1', 'ec secp384r1', 'ec secp521r1']
const EC_WRAPS = ['ECDH-ES+A256KW', 'ECDH-ES+A192KW', 'ECDH-ES+A128KW']
/** PBES2, direct and RSA1_5 are not among them: the first invites guessing, the last an oracle. */
const WRAPS_KNOWN = [...RSA_WRAPS, ...EC_WRAPS]
const MIN_RSA_BITS = 2048
const MAX_RECIPIENTS = 64

/**
 * Recipients with RSA or EC keys. One gives the flattened form, several the general one, as ocicrypt in Go writes them.
 *
 * @throws {ImageError} `encryption.recipient` for keys that cannot be wrapped for.
 */
export function jweRecipients(keys: readonly AsymmetricKey[]): Recipients {
  const recipients = keys.map((key) => ({ key: key.key, alg: wrapAlgorithm(key) }))
  return {
    scheme: 'jwe',
    async wrap(privateOptions) {
      const [first] = recipients
      if (first === undefined) return []
      if (recipients.length === 1) {
        const jwe = new FlattenedEncrypt(privateOptions).setProtectedHeader({ alg: first.alg, enc: CONTENT })
        return [utf8(JSON.stringify(await jwe.encrypt(first.key)))]
      }
      const jwe = new GeneralEncrypt(privateOptions).setProtectedHeader({ enc: CONTENT })
      for (const { key, alg } of recipients) jwe.addRecipient(key).setUnprotectedHeader({ alg })
      return [utf8(JSON.stringify(await jwe.encrypt()))]
    },
  }
}

/** Holders of RSA and EC private keys. */
export function jweKeys(keys: readonly AsymmetricKey[]): KeyHolder {
  return {
    scheme: 'jwe',
    async unwrap(packet) {
      const jwe = readJwe(packet)
      for (const { key } of keys) {
        const kind = key.asymmetricKeyType === 'rsa' ? RSA_WRAPS : EC_WRAPS
        try {
          const { plaintext } = await generalDecrypt(jwe, key, {
            keyManagementAlgorithms: kind,
            contentEncryptionAlgorithms: CONTENT_KNOWN,
          })
          return plaintext
        } catch {
          // not for this key: JWE tells nothing more on purpose
        }
      }
      return undefined
    },
  }
}

/**
 * Both JSON forms, as the general one, read by the strict reader before the library sees it. go-jose leaves an
 * `encrypted_key` beside `recipients`: it is dropped.
 */
function readJwe(packet: Uint8Array): GeneralJWE {
  const what = 'JWE packet'
  const object = readEncryptionJson(packet, what)
  const text = (from: JsonObject, name: string) =>
    readAs('encryption.malformed', () => asString(member(from, name), `${what}.${name}`))
  const listed = member(object, 'recipients')
  const recipients =
    listed === undefined
      ? [object]
      : readAs('encryption.malformed', () => asArray(listed, `${what}.recipients`, MAX_RECIPIENTS)).map((entry) =>
          readObject(entry, `${what}.recipients`),
        )
  const shared = readHeader(text(object, 'protected'), what)
  return {
    protected: text(object, 'protected'),
    iv: text(object, 'iv'),
    ciphertext: text(object, 'ciphertext'),
    tag: text(object, 'tag'),
    recipients: recipients.map((recipient) => {
      const given = member(recipient, 'header')
      const header = given === undefined ? {} : readObject(given, `${what}.header`)
      const algorithm = member(header, 'alg') ?? member(shared, 'alg')
      if (typeof algorithm !== 'string' || (!WRAPS_KNOWN.includes(algorithm) && listed === undefined))
        throw malformed(what, `key wrapping ${JSON.stringify(algorithm)} is not one of ${WRAPS_KNOWN.join(', ')}`)
      return { encrypted_key: text(recipient, 'encrypted_key'), ...(given === undefined ? {} : { header }) }
    }),
  }
}

function readHeader(encoded: string, what: string): JsonObject {
  let bytes: Uint8Array
  try {
    bytes = fromBase64Url(encoded, what)
    fromUtf8(bytes, what)
  } catch (cause) {
    throw malformed(what, 'protected header is not base64url', cause)
  }
  const header = readEncryptionJson(bytes, `${what}.protected`)
  // compression would tell the key's neighbours by its length, and could expand without end
  if (member(header, 'zip') !== undefined) throw malformed(what, 'is compressed')
  return header
}

function wrapAlgorithm({ key, algorithm }: AsymmetricKey): string {
  const { modulusLength: bits, namedCurve: curve } = key.asymmetricKeyDetails ?? {}
  const kind = [key.asymmetricKeyType, curve].filter((part) => part !== undefined).join(' ')
  const allowed = kind === 'rsa' ? RSA_WRAPS : EC_KEYS.includes(kind) ? EC_WRAPS : []
  const alg = algorithm ?? allowed[0]
  if (alg === undefined || !allowed.includes(alg))
    throw new ImageError(
      'encryption.recipient',
      `a key of type ${kind}${algorithm === undefined ? '' : ` for ${algorithm}`} cannot be a JWE recipient: wanted are RSA, P-256, P-384 and P-521`,
    )
  if (bits !== undefined && bits < MIN_RSA_BITS)
    throw new ImageError('encryption.recipient', `an RSA key of ${bits} bits; at least ${MIN_RSA_BITS} are wanted`)
  return alg
}
