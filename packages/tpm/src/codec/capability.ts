import { PCR_SELECTIONS } from './pcr-selection.ts'
import { TAGGED_DIGEST_OR_NULL } from './scalars.ts'
import { list, named, struct, U16, U32, variant } from './table.ts'
import type { Codec, TypeOf } from './table.ts'

const MAX_ITEMS = 1024

/** TPM_CAP */
export const CAPABILITY = named('TPM_CAP', U32, {
  algorithms: 0,
  handles: 1,
  commands: 2,
  'pp-commands': 3,
  'audit-commands': 4,
  pcrs: 5,
  'tpm-properties': 6,
  'pcr-properties': 7,
  'ecc-curves': 8,
  'auth-policies': 9,
})
export type CapabilityName = TypeOf<typeof CAPABILITY>

/** TPMS_PCR_SELECT without an algorithm; ascending register numbers. */
const REGISTERS: Codec<readonly number[]> = {
  read(r, f) {
    const bitmap = r.view(f, r.u8('sizeofSelect'))
    const all = Array.from({ length: bitmap.length * 8 }, (_, pcr) => pcr)
    return all.filter((pcr) => ((bitmap[pcr >> 3] ?? 0) >> (pcr & 7)) & 1)
  },
  write(w, f, pcrs) {
    const bitmap = new Uint8Array(3)
    for (const pcr of pcrs) bitmap[pcr >> 3] = (bitmap[pcr >> 3] ?? 0) | (1 << (pcr & 7))
    w.u8(f, bitmap.length).raw(bitmap)
  },
}

// Algorithms, curves and properties stay numbers: a TPM may know more of them than this package.
/** TPMS_CAPABILITY_DATA */
export const CAPABILITY_DATA = variant('capability', CAPABILITY, {
  algorithms: { values: list(struct({ algorithm: U16, attributes: U32 }), MAX_ITEMS) },
  handles: { values: list(U32, MAX_ITEMS) },
  commands: { values: list(U32, MAX_ITEMS) },
  'pp-commands': { values: list(U32, MAX_ITEMS) },
  'audit-commands': { values: list(U32, MAX_ITEMS) },
  pcrs: { values: PCR_SELECTIONS },
  'tpm-properties': { values: list(struct({ property: U32, value: U32 }), MAX_ITEMS) },
  'pcr-properties': { values: list(struct({ property: U32, pcrs: REGISTERS }), MAX_ITEMS) },
  'ecc-curves': { values: list(U16, MAX_ITEMS) },
  'auth-policies': { values: list(struct({ handle: U32, policyHash: TAGGED_DIGEST_OR_NULL }), MAX_ITEMS) },
})
export type CapabilityData = TypeOf<typeof CAPABILITY_DATA>
export type CapabilityValues<C extends CapabilityName> = Extract<CapabilityData, { capability: C }>['values']

/** TPM_PT: fixed and variable properties that this package or its callers ask for. */
export const TPM_PT = {
  familyIndicator: 0x100,
  level: 0x101,
  revision: 0x102,
  dayOfYear: 0x103,
  year: 0x104,
  manufacturer: 0x105,
  vendorString1: 0x106,
  vendorString2: 0x107,
  vendorString3: 0x108,
  vendorString4: 0x109,
  vendorTpmType: 0x10a,
  firmwareVersion1: 0x10b,
  firmwareVersion2: 0x10c,
  inputBuffer: 0x10d,
  transientMin: 0x10e,
  persistentMin: 0x10f,
  loadedMin: 0x110,
  activeSessionsMax: 0x111,
  pcrCount: 0x112,
  pcrSelectMin: 0x113,
  contextGapMax: 0x114,
  nvCountersMax: 0x116,
  nvIndexMax: 0x117,
  maxCommandSize: 0x11e,
  maxResponseSize: 0x11f,
  maxDigest: 0x120,
  maxObjectContext: 0x121,
  maxSessionContext: 0x122,
  nvBufferMax: 0x12c,
  permanent: 0x200,
  startupClear: 0x201,
  nvIndexes: 0x202,
  transientAvailable: 0x207,
  lockoutCounter: 0x20e,
  maxAuthFail: 0x20f,
  lockoutInterval: 0x210,
  lockoutRecovery: 0x211,
} as const
