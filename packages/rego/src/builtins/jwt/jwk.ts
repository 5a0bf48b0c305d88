import { isArray, isRecord, recordGet, type RegoRecord } from '../../value/index.ts'
import { decodeBase64 } from '../base64.ts'
import { BuiltinError, within } from '../contract.ts'
import { unmarshal } from '../json-text.ts'
import { COORDINATE_BYTES, CURVES } from '../x509/algorithms.ts'
import {
  concatBytes,
  DER_NULL,
  derBitString,
  derElement,
  derInteger,
  derOctetString,
  derOid,
  derSequence,
} from '../x509/der-write.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** A public key that a token may be checked with. */
export type VerificationKey = {
  readonly spki: Bytes
  readonly alg: string | undefined
  readonly kid: string | undefined
}

const RSA = derSequence(derOid('1.2.840.113549.1.1.1'), DER_NULL)
const ED25519 = derSequence(derOid('1.3.101.112'))

function text(jwk: RegoRecord, name: string): string {
  const v = recordGet(jwk, name)
  if (typeof v !== 'string') throw new BuiltinError(`failed to parse a JWK key (set): ${name} is missing`)
  return v
}

function optionalText(jwk: RegoRecord, name: string): string | undefined {
  const v = recordGet(jwk, name)
  return typeof v === 'string' ? v : undefined
}

function bytes(jwk: RegoRecord, name: string): Bytes {
  return decodeBase64(text(jwk, name).replaceAll('=', ''), 'url', false)
}

function curveOf(jwk: RegoRecord): { readonly algorithm: Bytes; readonly size: number } {
  const crv = text(jwk, 'crv')
  for (const [oid, name] of CURVES) {
    if (name === crv) {
      return { algorithm: derSequence(derOid('1.2.840.10045.2.1'), derOid(oid)), size: COORDINATE_BYTES[name] }
    }
  }
  throw new BuiltinError('failed to parse a JWK key (set): unknown curve')
}

function coordinate(jwk: RegoRecord, name: string, size: number): Bytes {
  const given = bytes(jwk, name)
  if (given.length > size) throw new BuiltinError(`failed to parse a JWK key (set): ${name} is too long`)
  return concatBytes(new Uint8Array(size - given.length), given)
}

function point(jwk: RegoRecord, size: number): Bytes {
  return derBitString(concatBytes(Uint8Array.of(4), coordinate(jwk, 'x', size), coordinate(jwk, 'y', size)))
}

/** SubjectPublicKeyInfo of a JWK; undefined for keys that are not public. */
function publicKeyOf(jwk: RegoRecord): Bytes | undefined {
  switch (text(jwk, 'kty')) {
    case 'RSA':
      return derSequence(RSA, derBitString(derSequence(derInteger(bytes(jwk, 'n')), derInteger(bytes(jwk, 'e')))))
    case 'EC': {
      const { algorithm, size } = curveOf(jwk)
      return derSequence(algorithm, point(jwk, size))
    }
    case 'OKP':
      if (text(jwk, 'crv') !== 'Ed25519') return undefined
      return derSequence(ED25519, derBitString(bytes(jwk, 'x')))
    case 'oct':
      return undefined
    default:
      throw new BuiltinError('failed to parse a JWK key (set): unknown kty')
  }
}

/** PKCS #8 of a private JWK. @throws {BuiltinError} if it has no private part */
export function privateKeyOf(jwk: RegoRecord): Bytes {
  const zero = derInteger(Uint8Array.of(0))
  switch (text(jwk, 'kty')) {
    case 'RSA': {
      const numbers = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => derInteger(bytes(jwk, name)))
      return derSequence(zero, RSA, derOctetString(derSequence(zero, ...numbers)))
    }
    case 'EC': {
      const { algorithm, size } = curveOf(jwk)
      const one = derInteger(Uint8Array.of(1))
      const inner = [one, derOctetString(coordinate(jwk, 'd', size)), derElement(0xa1, point(jwk, size))]
      return derSequence(zero, algorithm, derOctetString(derSequence(...inner)))
    }
    case 'OKP':
      if (text(jwk, 'crv') !== 'Ed25519') throw new BuiltinError('unsupported key')
      return derSequence(zero, ED25519, derOctetString(derOctetString(bytes(jwk, 'd'))))
    default:
      throw new BuiltinError('unsupported key')
  }
}

/** The bytes of a symmetric JWK. */
export function secretOf(jwk: RegoRecord): Bytes {
  if (text(jwk, 'kty') !== 'oct') throw new BuiltinError('the key is not symmetric')
  return bytes(jwk, 'k')
}

/** The public keys of a JWK or JWK set. */
export function verificationKeys(json: string): VerificationKey[] {
  const parsed = within('failed to parse a JWK key (set)', () => unmarshal(json))
  if (!isRecord(parsed)) throw new BuiltinError('failed to parse a JWK key (set): not an object')
  const listed = recordGet(parsed, 'keys')
  const all = isArray(listed) ? listed : [parsed]
  return all.flatMap((jwk) => {
    if (!isRecord(jwk)) throw new BuiltinError('failed to parse a JWK key (set): a key is not an object')
    const spki = publicKeyOf(jwk)
    return spki === undefined ? [] : [{ spki, alg: optionalText(jwk, 'alg'), kid: optionalText(jwk, 'kid') }]
  })
}
