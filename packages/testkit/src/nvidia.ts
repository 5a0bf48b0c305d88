import { sign } from 'node:crypto'
import * as d from './der.ts'
import { AUTHORITY, keyUsage, makeCertificate, makeKey, type TestCertificate, type TestKey } from './x509.ts'

/** A fake GPU: SPDM answers signed under a fake NVIDIA root. */

export interface GpuSpec {
  readonly issuer: TestCertificate
  readonly key?: TestKey
  readonly nonce?: Uint8Array
  readonly fwid?: Uint8Array
  /** In the certificate; the same as in the report unless told. Null leaves it out. */
  readonly certifiedFwid?: Uint8Array | null
  readonly requestVersion?: number
  readonly requestAttributes?: number
  readonly responseCode?: number
  readonly firstBlock?: number
  readonly specification?: number
  readonly opaqueTwice?: boolean
  readonly serial?: number
}

export interface TestGpu {
  readonly report: Uint8Array
  readonly chain: readonly Uint8Array[]
}

export function makeNvidiaRoot(): TestCertificate {
  return makeCertificate({ subject: 'NVIDIA Device Identity CA', keyKind: 'P-384', extensions: AUTHORITY })
}

export function makeGpu(spec: GpuSpec): TestGpu {
  const key = spec.key ?? makeKey('P-384')
  const fwid = spec.fwid ?? new Uint8Array(48).fill(0xf1)
  const certified = spec.certifiedFwid === undefined ? fwid : spec.certifiedFwid
  const dice = certified && {
    oid: '2.23.133.5.4.1',
    value: d.sequence(d.sequence(d.oid('2.16.840.1.101.3.4.2.2'), d.octetString(certified))),
  }
  const leaf = makeCertificate({
    subject: 'GPU',
    issuer: spec.issuer,
    key,
    extensions: [keyUsage('digitalSignature'), ...(dice ? [dice] : [])],
    ...(spec.serial !== undefined && { serial: spec.serial }),
  })
  const block = (index: number) =>
    d.join(
      Uint8Array.of(index, spec.specification ?? 1),
      u16(51),
      Uint8Array.of(1),
      u16(48),
      new Uint8Array(48).fill(index),
    )
  const record = d.join(...[0, 1, 2].map((i) => block((spec.firstBlock ?? 1) + i)))
  const field = (type: number, value: Uint8Array) => d.join(u16(type), u16(value.length), value)
  const opaque = d.join(
    field(6, Uint8Array.of(0, 0x9f, 0, 0x96, 1, 0, 0, 0)),
    field(3, new TextEncoder().encode('550.90.07\0')),
    field(20, fwid),
    ...(spec.opaqueTwice ? [field(20, fwid)] : []),
  )
  const signed = d.join(
    Uint8Array.of(spec.requestVersion ?? 0x11, 0xe0, spec.requestAttributes ?? 1, 0xff),
    spec.nonce ?? new Uint8Array(32),
    Uint8Array.of(0),
    Uint8Array.of(0x11, spec.responseCode ?? 0x60, 0, 0, 3),
    Uint8Array.of(record.length, record.length >> 8, 0),
    record,
    new Uint8Array(32).fill(0x77),
    u16(opaque.length),
    opaque,
  )
  const signature = sign('sha384', signed, { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return { report: d.join(signed, signature), chain: [leaf.der, spec.issuer.der] }
}

function u16(n: number): Uint8Array {
  return Uint8Array.of(n, n >> 8)
}
