import { ByteReader } from '@vouchsafe/tpm/codec'
import { toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { isZero, parsed } from '../parsed.ts'

/** A GPU's attestation report as parsed: an SPDM request and its answer. Nothing in it is authenticated. */
export interface GpuReport {
  /** 32 bytes, chosen by whoever asked. */
  readonly nonce: Uint8Array
  /** By index from 1, lower-case hexadecimal. All zero where the GPU measures nothing. */
  readonly measurements: ReadonlyMap<number, string>
  /** FWID: hash of the firmware that holds the signing key, 96 hexadecimal digits. */
  readonly fwid: string
  readonly driverVersion: string
  readonly vbiosVersion: string
  /** All that the GPU adds in its own words, by type number, as bytes. */
  readonly opaque: ReadonlyMap<number, Uint8Array>
  /** Request and answer up to the signature. */
  readonly signed: Uint8Array
  /** ECDSA P-384 over SHA-384, r ‖ s. */
  readonly signature: Uint8Array
}

const SPDM_1_1 = 0x11
const OPAQUE = { driverVersion: 3, vbiosVersion: 6, fwid: 20 } as const
const MAX_BYTES = 64 * 1024

/**
 * @param raw - GET_MEASUREMENTS and its answer, joined; zeros may follow, as some tools write. Copied.
 * @throws {VouchsafeError} `input.malformed` naming the field; `evidence.unsupported` for another protocol version
 * @source DMTF SPDM 1.1 (DSP0274), GET_MEASUREMENTS and MEASUREMENTS; NVIDIA GPU attestation: opaque data
 */
export function parseGpuReport(raw: Uint8Array): GpuReport {
  if (raw.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `GPU report: over ${MAX_BYTES} bytes`)
  return parsed(() => readReport(new Uint8Array(raw)))
}

function readReport(raw: Uint8Array): GpuReport {
  const r = new ByteReader('GPU report', raw, 'little')
  const is = (field: string, wanted: number) => {
    const found = r.u8(field)
    if (found !== wanted) throw r.malformed(field, `0x${found.toString(16)}, wanted 0x${wanted.toString(16)}`)
  }
  const version = r.u8('request.version')
  if (version !== SPDM_1_1)
    throw new VouchsafeError('evidence.unsupported', `GPU report: SPDM version 0x${version.toString(16)}, wanted 1.1`)
  is('request.code', 0xe0)
  is('request.attributes', 0x01) // a signature is asked for
  is('request.operation', 0xff) // over all measurements
  const nonce = r.take('request.nonce', 32)
  r.u8('request.slot')
  is('response.version', SPDM_1_1)
  is('response.code', 0x60)
  r.u8('response.param1')
  r.u8('response.slot')
  const blocks = r.u8('numberOfBlocks')
  const record = r.part('measurementRecord', r.u8('length') + r.u16('length') * 256)
  const measurements = readMeasurements(record, blocks)
  r.take('response.nonce', 32)
  const opaque = readOpaque(r.part('opaqueData', r.u16('opaqueDataLength')))
  const signed = raw.subarray(0, r.offset)
  const signature = r.take('signature', 96)
  if (!isZero(r.view('padding', r.remaining))) throw r.malformed('end', 'bytes other than zero after the report')
  const need = (type: keyof typeof OPAQUE, length?: number) => {
    const value = opaque.get(OPAQUE[type])
    if (value === undefined || (length !== undefined && value.length !== length))
      throw r.malformed('opaqueData', `${type} is missing or of another length`)
    return value
  }
  return {
    nonce,
    measurements,
    fwid: toHex(need('fwid', 48)),
    driverVersion: text(need('driverVersion')),
    vbiosVersion: vbios(need('vbiosVersion', 8)),
    opaque,
    signed,
    signature,
  }
}

/** DMTF measurement blocks, numbered from 1 without a gap. */
function readMeasurements(r: ByteReader, blocks: number): ReadonlyMap<number, string> {
  const measurements = new Map<number, string>()
  for (let i = 1; i <= blocks; i++) {
    const index = r.u8('block.index')
    if (index !== i) throw r.malformed('block.index', `${index}, wanted ${i}`)
    if (r.u8('block.specification') !== 1) throw r.malformed('block.specification', 'not DMTF')
    const block = r.part('block', r.u16('block.size'))
    block.u8('type')
    measurements.set(index, toHex(block.sized('value', 64)))
    block.end()
  }
  r.end()
  return measurements
}

function readOpaque(r: ByteReader): ReadonlyMap<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>()
  while (r.remaining > 0) {
    const type = r.u16('type')
    const value = r.sized(`type ${type}`, 4096)
    if (fields.has(type)) throw r.malformed(`type ${type}`, 'twice')
    fields.set(type, value)
  }
  return fields
}

/** ASCII, closed by zeros. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return String.fromCharCode(...bytes.subarray(0, end < 0 ? bytes.length : end)).replace(/[^\x20-\x7e]/g, '?')
}

/** `96.00.9f.00.01`: a little-endian number, then the number of its issue. */
function vbios(bytes: Uint8Array): string {
  return [3, 2, 1, 0, 4].map((i) => (bytes[i] ?? 0).toString(16).padStart(2, '0')).join('.')
}
