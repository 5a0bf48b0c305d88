import type { SignatureAlgorithm } from '../jwt/algorithms.ts'
import type { DerNode } from './der.ts'

/** Object identifiers of public keys, with Go's number for each. */
export const KEY_ALGORITHMS: ReadonlyMap<
  string,
  { readonly kind: 'RSA' | 'EC' | 'Ed25519'; readonly goNumber: number }
> = new Map([
  ['1.2.840.113549.1.1.1', { kind: 'RSA', goNumber: 1 }],
  ['1.2.840.10045.2.1', { kind: 'EC', goNumber: 3 }],
  ['1.3.101.112', { kind: 'Ed25519', goNumber: 4 }],
])

export const CURVES: ReadonlyMap<string, 'P-256' | 'P-384' | 'P-521'> = new Map([
  ['1.2.840.10045.3.1.7', 'P-256'],
  ['1.3.132.0.34', 'P-384'],
  ['1.3.132.0.35', 'P-521'],
])

/** Bytes of one coordinate. */
export const COORDINATE_BYTES = { 'P-256': 32, 'P-384': 48, 'P-521': 66 } as const

type Known = { readonly goNumber: number; readonly jose?: SignatureAlgorithm }

/** SHA-1 and MD5 have no JOSE name here: such signatures are never accepted, as in Go. */
const SIGNATURES: ReadonlyMap<string, Known> = new Map<string, Known>([
  ['1.2.840.113549.1.1.4', { goNumber: 2 }],
  ['1.2.840.113549.1.1.5', { goNumber: 3 }],
  ['1.2.840.113549.1.1.11', { goNumber: 4, jose: 'RS256' }],
  ['1.2.840.113549.1.1.12', { goNumber: 5, jose: 'RS384' }],
  ['1.2.840.113549.1.1.13', { goNumber: 6, jose: 'RS512' }],
  ['1.2.840.10045.4.1', { goNumber: 9 }],
  ['1.2.840.10045.4.3.2', { goNumber: 10, jose: 'ES256' }],
  ['1.2.840.10045.4.3.3', { goNumber: 11, jose: 'ES384' }],
  ['1.2.840.10045.4.3.4', { goNumber: 12, jose: 'ES512' }],
  ['1.3.101.112', { goNumber: 16, jose: 'EdDSA' }],
])

const PSS = '1.2.840.113549.1.1.10'
const PSS_HASHES: ReadonlyMap<string, Known> = new Map<string, Known>([
  ['2.16.840.1.101.3.4.2.1', { goNumber: 13, jose: 'PS256' }],
  ['2.16.840.1.101.3.4.2.2', { goNumber: 14, jose: 'PS384' }],
  ['2.16.840.1.101.3.4.2.3', { goNumber: 15, jose: 'PS512' }],
])

/** Go's number of a signature algorithm (0: unknown) and its JOSE name, if it may be relied on. */
export function signatureAlgorithmOf(node: DerNode): Known {
  const [id, parameters] = node.children()
  const oid = id?.oid() ?? ''
  if (oid !== PSS) return SIGNATURES.get(oid) ?? { goNumber: 0 }
  const hashField = parameters?.children().find((n) => n.tag === 0xa0)
  const hash = hashField?.children()[0]?.children()[0]?.oid() ?? ''
  return PSS_HASHES.get(hash) ?? { goNumber: 0 }
}
