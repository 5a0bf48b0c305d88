import { HASH_OR_NULL } from './algorithms.ts'
import { ByteReader } from './byte-reader.ts'
import { TpmError } from './errors.ts'
import { PCR_SELECTIONS } from './pcr-selection.ts'
import { DATA, DIGEST, MAX_NV_BUFFER, NAME } from './scalars.ts'
import { constant, named, struct, U16, U32, U64, variant, YES_NO } from './table.ts'
import type { TypeOf } from './table.ts'

/** TPM_GENERATED_VALUE: what only a TPM puts before the data that its restricted keys sign. */
export const TPM_GENERATED = 0xff544347

const ATTEST_TYPE = named('TPM_ST_ATTEST type', U16, {
  nv: 0x8014,
  'command-audit': 0x8015,
  'session-audit': 0x8016,
  certify: 0x8017,
  quote: 0x8018,
  time: 0x8019,
  creation: 0x801a,
  'nv-digest': 0x801c,
})

/** TPMS_CLOCK_INFO */
export const CLOCK_INFO = struct({ clock: U64, resetCount: U32, restartCount: U32, safe: YES_NO })
export type ClockInfo = TypeOf<typeof CLOCK_INFO>
/** TPMS_TIME_INFO */
export const TIME_INFO = struct({ time: U64, clockInfo: CLOCK_INFO })

const COMMON = {
  qualifiedSigner: NAME,
  extraData: DATA,
  clock: U64,
  resetCount: U32,
  restartCount: U32,
  safe: YES_NO,
  firmwareVersion: U64,
}

const MAGIC = constant(U32, TPM_GENERATED, 'TPM_GENERATED')
const BODY = variant('kind', ATTEST_TYPE, {
  certify: { ...COMMON, name: NAME, qualifiedName: NAME },
  creation: { ...COMMON, objectName: NAME, creationHash: DIGEST },
  quote: { ...COMMON, selections: PCR_SELECTIONS, pcrDigest: DIGEST },
  time: { ...COMMON, timeInfo: TIME_INFO, timeFirmwareVersion: U64 },
  'command-audit': {
    ...COMMON,
    auditCounter: U64,
    digestAlg: HASH_OR_NULL,
    auditDigest: DIGEST,
    commandDigest: DIGEST,
  },
  'session-audit': { ...COMMON, exclusiveSession: YES_NO, sessionDigest: DIGEST },
  nv: { ...COMMON, indexName: NAME, offset: U16, contents: MAX_NV_BUFFER },
  'nv-digest': { ...COMMON, indexName: NAME, nvDigest: DIGEST },
})

/**
 * A TPMS_ATTEST, flat. `raw` is what the TPM signed, a private copy.
 * `extraData` is the caller's qualifying data; `clock` is in milliseconds.
 */
export type TpmAttest = TypeOf<typeof BODY> & { readonly raw: Uint8Array }
export type TpmAttestKind = TpmAttest['kind']
export type TpmAttestOf<K extends TpmAttestKind> = Extract<TpmAttest, { readonly kind: K }>
export type TpmQuote = TpmAttestOf<'quote'>
export type TpmCertify = TpmAttestOf<'certify'>
export type TpmCreation = TpmAttestOf<'creation'>

/**
 * Reads a TPMS_ATTEST of any kind. Nothing in the result is authenticated: check the signature over `raw` with a
 * restricted key before believing any field. Not every kind answers every question: see `parseTpmQuote` and its like.
 *
 * @param raw - What the TPM signed: big-endian, without the outer TPM2B size. Copied.
 * @throws {TpmError} `input.malformed`, naming the field and its offset.
 * @source TPM 2.0 Library, Part 2: Structures: TPMS_ATTEST
 */
export function parseTpmAttest(raw: Uint8Array): TpmAttest {
  if (raw.length > 4096) throw new TpmError('input.too-large', `TPMS_ATTEST: ${raw.length} bytes are over 4096`)
  const reader = new ByteReader('TPMS_ATTEST', new Uint8Array(raw), 'big')
  MAGIC.read(reader, 'magic')
  const body = BODY.read(reader, 'type')
  reader.end()
  return { ...body, raw: reader.bytes }
}

function only<K extends TpmAttestKind>(kind: K, raw: Uint8Array): TpmAttestOf<K> {
  const attest = parseTpmAttest(raw)
  if (attest.kind !== kind)
    throw new TpmError('input.malformed', `TPMS_ATTEST: type at offset 4: is ${attest.kind}, not ${kind}`)
  return attest as TpmAttestOf<K>
}

/**
 * Reads a TPMS_ATTEST that must be a quote. Nothing in the result is authenticated: pass it to `verifyTpmQuote` before
 * believing any field.
 *
 * @returns `pcrDigest` hashes the selected registers, bank by bank, in ascending order, with the hash of the signature
 *   scheme (not of the bank). For keys outside the endorsement and platform hierarchies the TPM obfuscates
 *   `resetCount`, `restartCount` and `firmwareVersion`.
 */
export function parseTpmQuote(raw: Uint8Array): TpmQuote {
  return only('quote', raw)
}

/** Reads a TPMS_ATTEST that must come from TPM2_Certify. Not authenticated. */
export function parseTpmCertify(raw: Uint8Array): TpmCertify {
  return only('certify', raw)
}

/** Reads a TPMS_ATTEST that must come from TPM2_CertifyCreation. Not authenticated. */
export function parseTpmCreation(raw: Uint8Array): TpmCreation {
  return only('creation', raw)
}
