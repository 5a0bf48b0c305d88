import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import { HASH } from './algorithms.ts'
import type { TpmHash } from './algorithms.ts'
import { TpmError } from './errors.ts'
import { encode, parse } from './table.ts'
import type { Codec } from './table.ts'

/** Registers of one bank, ascending. */
export interface PcrSelection {
  readonly hash: TpmHash
  readonly pcrs: readonly number[]
}

/** A PC Client TPM has 24 registers; every selection uses this many octets (PCR_SELECT_MIN). */
export const PCR_COUNT = 24
const SELECT_OCTETS = 3

/**
 * TPML_PCR_SELECTION, in its one canonical form: three octets a bank, no bank twice. Anything else is refused, so that
 * a selection cannot mean two things (B07).
 */
export const PCR_SELECTIONS: Codec<readonly PcrSelection[]> = {
  read(r, f) {
    const count = r.count(`${f}.count`, 16)
    const selections: PcrSelection[] = []
    for (let i = 0; i < count; i++) {
      const selection = readSelection(r)
      if (selections.some((s) => s.hash === selection.hash)) throw r.malformed(f, `bank ${selection.hash} twice`)
      selections.push(selection)
    }
    return selections
  },
  write(w, f, selections) {
    w.u32(`${f}.count`, selections.length)
    const banks = new Set(selections.map((s) => s.hash))
    if (banks.size !== selections.length) throw new TpmError('input.malformed', `${f}: a bank is selected twice`)
    for (const selection of selections) writeSelection(w, f, selection)
  },
}

function readSelection(r: ByteReader): PcrSelection {
  const hash = HASH.read(r, 'hash')
  const octets = r.u8('sizeofSelect')
  if (octets !== SELECT_OCTETS) throw r.malformed('sizeofSelect', `${octets} octets, not ${SELECT_OCTETS}`)
  const bitmap = r.view('pcrSelect', octets)
  const pcrs: number[] = []
  bitmap.forEach((octet, at) => {
    for (let bit = 0; bit < 8; bit++) if ((octet >> bit) & 1) pcrs.push(at * 8 + bit)
  })
  return { hash, pcrs }
}

function writeSelection(w: ByteWriter, field: string, { hash, pcrs }: PcrSelection): void {
  const bitmap = new Uint8Array(SELECT_OCTETS)
  for (const pcr of pcrs) {
    if (!Number.isInteger(pcr) || pcr < 0 || pcr >= PCR_COUNT)
      throw new TpmError('input.malformed', `${field}: there is no PCR ${pcr}`)
    const octet = pcr >> 3
    bitmap[octet] = (bitmap[octet] ?? 0) | (1 << (pcr & 7))
  }
  HASH.write(w, 'hash', hash)
  w.u8('sizeofSelect', SELECT_OCTETS).raw(bitmap)
}

/** Reads a TPML_PCR_SELECTION by itself. */
export function parsePcrSelections(raw: Uint8Array): readonly PcrSelection[] {
  return parse('TPML_PCR_SELECTION', PCR_SELECTIONS, raw, 256)
}

export function encodePcrSelections(selections: readonly PcrSelection[]): Uint8Array<ArrayBuffer> {
  return encode('TPML_PCR_SELECTION', PCR_SELECTIONS, selections)
}
