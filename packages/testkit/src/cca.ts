import { createHash, sign } from 'node:crypto'
import * as d from './der.ts'
import { makeKey, type TestKey } from './x509.ts'

/** A fake Arm CCA platform: CBOR written by hand, so that it can be wrong. */

export type Cbor = number | string | Uint8Array | readonly Cbor[] | ReadonlyMap<number, Cbor>

export function encodeCbor(value: Cbor): Uint8Array {
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value)
  if (typeof value === 'string')
    return d.join(head(3, new TextEncoder().encode(value).length), new TextEncoder().encode(value))
  if (value instanceof Uint8Array) return d.join(head(2, value.length), value)
  if (value instanceof Map) {
    const pairs = [...(value as ReadonlyMap<number, Cbor>)].map(([k, v]) => d.join(encodeCbor(k), encodeCbor(v)))
    // deterministic encoding: shorter keys first, then by their bytes
    return d.join(head(5, pairs.length), ...pairs.toSorted((a, b) => Buffer.compare(a, b)))
  }
  const list = value as readonly Cbor[]
  return d.join(head(4, list.length), ...list.map(encodeCbor))
}

export function cborTag(tag: number, inner: Uint8Array): Uint8Array {
  return d.join(head(6, tag), inner)
}

export interface CcaSpec {
  readonly cpak: TestKey
  readonly rak?: TestKey
  readonly algorithm?: number
  /** Claims that take the place of a healthy platform's, by number; undefined leaves one out. */
  readonly platform?: Readonly<Record<number, Cbor | undefined>>
  readonly realm?: Readonly<Record<number, Cbor | undefined>>
  /** Sign in place of the keys that the token names. */
  readonly platformSigner?: TestKey
  readonly realmSigner?: TestKey
  readonly unprotected?: ReadonlyMap<number, Cbor>
  readonly tag?: number
}

export const TEST_IMPLEMENTATION_ID: Uint8Array = new Uint8Array(32).fill(0x1d)
export const TEST_INSTANCE_ID: Uint8Array = new Uint8Array(33).fill(0x2e).with(0, 1)

export function makeCcaToken(spec: CcaSpec): Uint8Array {
  const rak = spec.rak ?? makeKey('P-384')
  const point = rak.spki.slice(-97)
  const platform = claims(
    {
      265: 'tag:arm.com,2023:cca_platform#1.0.0',
      10: createHash('sha256').update(point).digest(),
      2396: TEST_IMPLEMENTATION_ID,
      256: TEST_INSTANCE_ID,
      2401: Uint8Array.of(0xcf),
      2395: 0x3003,
      2402: 'sha-256',
      2399: [
        new Map<number, Cbor>([
          [1, 'BL'],
          [2, new Uint8Array(32).fill(3)],
          [5, new Uint8Array(32).fill(4)],
        ]),
      ],
    },
    spec.platform,
  )
  const realm = claims(
    {
      10: new Uint8Array(64).fill(0xc4),
      44235: new Uint8Array(64),
      44236: 'sha-256',
      44237: point,
      44238: new Uint8Array(32).fill(0x51),
      44239: [1, 2, 3, 4].map((n) => new Uint8Array(32).fill(n)),
      44240: 'sha-256',
    },
    spec.realm,
  )
  const tokens = new Map<number, Cbor>([
    [44234, coseSign1(platform, spec.platformSigner ?? spec.cpak, spec)],
    [44241, coseSign1(realm, spec.realmSigner ?? rak, spec)],
  ])
  return cborTag(spec.tag ?? 399, encodeCbor(tokens))
}

function claims(healthy: Readonly<Record<number, Cbor>>, changes: CcaSpec['platform']): Uint8Array {
  const all = Object.entries({ ...healthy, ...changes }).filter(([, value]) => value !== undefined)
  return encodeCbor(new Map(all.map(([label, value]) => [Number(label), value as Cbor])))
}

function coseSign1(payload: Uint8Array, key: TestKey, { algorithm = -35, unprotected }: CcaSpec): Uint8Array {
  const header = encodeCbor(new Map([[1, algorithm]]))
  const signed = encodeCbor(['Signature1', header, new Uint8Array(0), payload])
  const signature = sign('sha384', signed, { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return cborTag(18, encodeCbor([header, unprotected ?? new Map<number, Cbor>(), payload, new Uint8Array(signature)]))
}

function head(major: number, n: number): Uint8Array {
  if (n < 24) return Uint8Array.of((major << 5) | n)
  if (n < 0x100) return Uint8Array.of((major << 5) | 24, n)
  return Uint8Array.of((major << 5) | 25, n >> 8, n)
}
