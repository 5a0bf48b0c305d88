import { newRecord, numberFromBigInt, type MutableRecord, type Value } from '../../value/index.ts'
import { encodeBase64 } from '../base64.ts'
import { BuiltinError } from '../contract.ts'
import { CURVES, COORDINATE_BYTES } from './algorithms.ts'
import { malformed, readDer, TAG, type DerNode } from './der.ts'
import type { PemBlock } from './pem.ts'

/** An RSA private key: all numbers of PKCS #1. */
export type RsaPrivateKey = {
  readonly kind: 'RSA'
  readonly n: bigint
  readonly e: bigint
  readonly d: bigint
  readonly primes: readonly [bigint, bigint]
  readonly dp: bigint
  readonly dq: bigint
  readonly qi: bigint
}

export type PrivateKey =
  | RsaPrivateKey
  | { readonly kind: 'EC'; readonly d: bigint; readonly x: bigint; readonly y: bigint }
  | { readonly kind: 'Ed25519'; readonly seed: Uint8Array }

function bytesToBigInt(bytes: Uint8Array): bigint {
  let n = 0n
  for (const b of bytes) n = (n << 8n) | BigInt(b)
  return n
}

/** Big-endian bytes of a non-negative number, without zeros in front. */
export function bigIntToBytes(n: bigint): Uint8Array {
  const text = n.toString(16)
  const even = text.length % 2 === 0 ? text : `0${text}`
  return Uint8Array.from(even.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

function rsa(node: DerNode): RsaPrivateKey {
  const numbers = node
    .expect(TAG.sequence)
    .children()
    .map((child) => child.integer())
  const [version, n, e, d, p, q, dp, dq, qi] = numbers
  if (version !== 0n || n === undefined || e === undefined || d === undefined || p === undefined || q === undefined) {
    throw malformed('RSA private key')
  }
  if (dp === undefined || dq === undefined || qi === undefined) throw malformed('RSA private key')
  return { kind: 'RSA', n, e, d, primes: [p, q], dp, dq, qi }
}

function ec(node: DerNode, curveOid: string | undefined): PrivateKey {
  const [, d, ...rest] = node.expect(TAG.sequence).children()
  const named =
    rest
      .find((c) => c.tag === 0xa0)
      ?.children()[0]
      ?.oid() ?? curveOid
  const curve = CURVES.get(named ?? '')
  const point = rest
    .find((c) => c.tag === 0xa1)
    ?.children()[0]
    ?.bits()
  if (d === undefined || curve === undefined || point === undefined) throw malformed('EC private key')
  const size = COORDINATE_BYTES[curve]
  return {
    kind: 'EC',
    d: bytesToBigInt(d.expect(TAG.octetString).content),
    x: bytesToBigInt(point.subarray(1, 1 + size)),
    y: bytesToBigInt(point.subarray(1 + size)),
  }
}

function pkcs8(node: DerNode): PrivateKey {
  const [, algorithm, key] = node.expect(TAG.sequence).children()
  const [id, parameters] = algorithm?.children() ?? []
  if (id === undefined || key === undefined) throw malformed('private key')
  const inner = readDer(key.expect(TAG.octetString).content)
  switch (id.oid()) {
    case '1.2.840.113549.1.1.1':
      return rsa(inner)
    case '1.2.840.10045.2.1':
      return ec(inner, parameters?.oid())
    case '1.3.101.112':
      return { kind: 'Ed25519', seed: inner.expect(TAG.octetString).content }
    default:
      throw new BuiltinError('x509: unknown private key algorithm')
  }
}

/** The private key in a PEM block; undefined for blocks of other kinds. */
export function privateKeyIn({ label, bytes }: PemBlock): PrivateKey | undefined {
  if (label === 'RSA PRIVATE KEY') return rsa(readDer(bytes))
  if (label === 'EC PRIVATE KEY') return ec(readDer(bytes), undefined)
  return label === 'PRIVATE KEY' ? pkcs8(readDer(bytes)) : undefined
}

/** In the shape that Go's private keys have as JSON. */
export function privateKeyToGo(key: PrivateKey): Value {
  const big = numberFromBigInt
  switch (key.kind) {
    case 'RSA': {
      const precomputed = record({ Dp: big(key.dp), Dq: big(key.dq), Qinv: big(key.qi), CRTValues: [] })
      return record({
        N: big(key.n),
        E: big(key.e),
        D: big(key.d),
        Primes: key.primes.map(big),
        Precomputed: precomputed,
      })
    }
    case 'EC':
      return record({ Curve: newRecord(), X: big(key.x), Y: big(key.y), D: big(key.d) })
    case 'Ed25519':
      return encodeBase64(key.seed, 'standard', true)
  }
}

/** An RSA private key as JWK. */
export function rsaToJwk(key: RsaPrivateKey): Value {
  const text = (n: bigint): string => encodeBase64(bigIntToBytes(n), 'url', false)
  const [p, q] = key.primes
  return record({
    kty: 'RSA',
    n: text(key.n),
    e: text(key.e),
    d: text(key.d),
    p: text(p),
    q: text(q),
    dp: text(key.dp),
    dq: text(key.dq),
    qi: text(key.qi),
  })
}

function record(members: Readonly<Record<string, Value>>): MutableRecord {
  return Object.assign(newRecord(), members)
}
