import { HASH } from './algorithms.ts'
import { DIGEST } from './scalars.ts'
import { encode, flags, parse, struct, U16, U32 } from './table.ts'
import type { Codec, TypeOf } from './table.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'

const NV_FLAGS = flags('TPMA_NV', {
  ppWrite: 0,
  ownerWrite: 1,
  authWrite: 2,
  policyWrite: 3,
  policyDelete: 10,
  writeLocked: 11,
  writeAll: 12,
  writeDefine: 13,
  writeStClear: 14,
  globalLock: 15,
  ppRead: 16,
  ownerRead: 17,
  authRead: 18,
  policyRead: 19,
  noDA: 25,
  orderly: 26,
  clearStClear: 27,
  readLocked: 28,
  written: 29,
  platformCreate: 30,
  readStClear: 31,
})
export type NvFlag = keyof TypeOf<typeof NV_FLAGS>

/** TPM_NT: what kind of index it is, four bits inside TPMA_NV. */
const NV_TYPES = { ordinary: 0, counter: 1, bits: 2, extend: 4, 'pin-fail': 8, 'pin-pass': 9 } as const
export type NvType = keyof typeof NV_TYPES
const TYPE_MASK = 0xf0

export type NvAttributes = Readonly<Record<NvFlag, boolean>> & { readonly nvType: NvType }

/** TPMA_NV */
export const NV_ATTRIBUTES: Codec<NvAttributes> = {
  read(r, f) {
    const word = r.u32(f)
    const type = (word & TYPE_MASK) >> 4
    const nvType = (Object.keys(NV_TYPES) as NvType[]).find((name) => NV_TYPES[name] === type)
    if (nvType === undefined) throw r.malformed(f, `${type} is not a TPM_NT`)
    return { ...NV_FLAGS.read(wordReader((word & ~TYPE_MASK) >>> 0), f), nvType }
  },
  write(w, f, value) {
    const flagsOnly = new ByteWriter('big', 4)
    NV_FLAGS.write(flagsOnly, f, value)
    w.u32(f, (wordReader(flagsOnly.finish()).u32(f) | (NV_TYPES[value.nvType] << 4)) >>> 0)
  },
}

function wordReader(word: number | Uint8Array): ByteReader {
  const bytes = typeof word === 'number' ? new ByteWriter('big', 4).u32('word', word).finish() : word
  return new ByteReader('TPMA_NV', bytes, 'big')
}

const CLEAR = NV_FLAGS.read(wordReader(0), 'clear')

/** The named attributes set, all others clear; an ordinary index unless `nvType` says otherwise. */
export function nvAttributes(names: readonly NvFlag[], nvType: NvType = 'ordinary'): NvAttributes {
  return { ...CLEAR, ...Object.fromEntries(names.map((name) => [name, true])), nvType }
}

/** TPMS_NV_PUBLIC */
export const NV_PUBLIC = struct({
  nvIndex: U32,
  nameAlg: HASH,
  attributes: NV_ATTRIBUTES,
  authPolicy: DIGEST,
  dataSize: U16,
})
export type TpmNvPublic = TypeOf<typeof NV_PUBLIC>

/** Reads a TPMS_NV_PUBLIC (no outer size). */
export function parseTpmNvPublic(raw: Uint8Array): TpmNvPublic {
  return parse('TPMS_NV_PUBLIC', NV_PUBLIC, raw, 256)
}

export function encodeTpmNvPublic(area: TpmNvPublic): Uint8Array<ArrayBuffer> {
  return encode('TPMS_NV_PUBLIC', NV_PUBLIC, area)
}
