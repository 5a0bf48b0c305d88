import { HASH_OR_NULL } from './algorithms.ts'
import { PCR_SELECTIONS } from './pcr-selection.ts'
import { DATA, DIGEST, NAME } from './scalars.ts'
import { encode, named, parse, struct, U16, U32, U8 } from './table.ts'
import type { TypeOf } from './table.ts'

/** TPMS_CREATION_DATA: the state in which an object was made. */
export const CREATION_DATA = struct({
  pcrSelect: PCR_SELECTIONS,
  pcrDigest: DIGEST,
  locality: U8,
  parentNameAlg: HASH_OR_NULL,
  parentName: NAME,
  parentQualifiedName: NAME,
  outsideInfo: DATA,
})
export type TpmCreationData = TypeOf<typeof CREATION_DATA>

export function parseTpmCreationData(raw: Uint8Array): TpmCreationData {
  return parse('TPMS_CREATION_DATA', CREATION_DATA, raw, 4096)
}

export function encodeTpmCreationData(data: TpmCreationData): Uint8Array<ArrayBuffer> {
  return encode('TPMS_CREATION_DATA', CREATION_DATA, data)
}

/** TPMT_TK_*: a TPM's proof to itself, an HMAC of its own. Means nothing to anybody else. */
export const TICKET = struct({
  tag: named('ticket', U16, {
    creation: 0x8021,
    verified: 0x8022,
    'auth-secret': 0x8023,
    hashcheck: 0x8024,
    'auth-signed': 0x8025,
  }),
  hierarchy: U32,
  digest: DIGEST,
})
export type TpmTicket = TypeOf<typeof TICKET>

export function parseTpmTicket(raw: Uint8Array): TpmTicket {
  return parse('TPMT_TK', TICKET, raw, 128)
}

export function encodeTpmTicket(ticket: TpmTicket): Uint8Array<ArrayBuffer> {
  return encode('TPMT_TK', TICKET, ticket)
}
