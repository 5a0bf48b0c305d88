import { constants, sign } from 'node:crypto'
import * as d from './der.ts'
import { toPem } from './intel.ts'
import type { TestCertificate } from './x509.ts'

/** A fake of Google's launch endorsements: protobuf, written by hand so that it can be wrong. */

export function protobufBytes(number: number, value: Uint8Array): Uint8Array {
  return d.join(varint(BigInt(number * 8 + 2)), varint(BigInt(value.length)), value)
}

export function protobufNumber(number: number, value: bigint): Uint8Array {
  return d.join(varint(BigInt(number * 8)), varint(value))
}

export interface LaunchEndorsementSpec {
  readonly signer: TestCertificate
  readonly bundle?: readonly TestCertificate[]
  readonly changeList?: bigint
  readonly commit?: Uint8Array
  readonly digest?: Uint8Array
  readonly snp?: readonly (readonly [vcpus: bigint, measurement: Uint8Array])[]
  readonly svsmMeasurement?: Uint8Array
  readonly tdx?: readonly (readonly [ramGib: bigint, earlyAccept: bigint, mrTd: Uint8Array])[]
  /** More fields of the signed message. */
  readonly extra?: Uint8Array
}

export function makeLaunchEndorsement(spec: LaunchEndorsementSpec): Uint8Array {
  const snp = (spec.snp ?? []).map(([vcpus, m]) =>
    protobufBytes(2, d.join(protobufNumber(1, vcpus), protobufBytes(2, m))),
  )
  const tdx = (spec.tdx ?? []).map(([ram, early, m]) =>
    protobufBytes(2, d.join(protobufNumber(1, ram), protobufNumber(2, early), protobufBytes(3, m))),
  )
  const golden = d.join(
    ...(spec.changeList === 0n ? [] : [protobufNumber(2, spec.changeList ?? 628_000_000n)]),
    ...(spec.commit ? [protobufBytes(3, spec.commit)] : []),
    protobufBytes(4, spec.signer.der),
    protobufBytes(5, spec.digest ?? new Uint8Array(48).fill(0xd1)),
    protobufBytes(6, new TextEncoder().encode(toPem(...(spec.bundle ?? [spec.signer])))),
    ...(spec.snp
      ? [
          protobufBytes(
            7,
            d.join(
              protobufNumber(1, 3n),
              ...snp,
              ...(spec.svsmMeasurement ? [protobufBytes(7, spec.svsmMeasurement)] : []),
            ),
          ),
        ]
      : []),
    ...(spec.tdx ? [protobufBytes(8, d.join(protobufNumber(1, 4n), ...tdx))] : []),
    spec.extra ?? new Uint8Array(0),
  )
  const key = { key: spec.signer.key.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  return d.join(protobufBytes(1, golden), protobufBytes(2, sign('sha256', golden, key)))
}

function varint(value: bigint): Uint8Array {
  const octets: number[] = []
  let rest = value
  do {
    octets.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Uint8Array.from(octets)
}
