import type { TpmHash } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import type { PcrSelection } from '../codec/pcr-selection.ts'

/** Registers of one bank as they were at one moment, ascending. */
export interface PcrBank<H extends TpmHash = TpmHash> {
  readonly bank: H
  readonly values: ReadonlyMap<number, Uint8Array>
}

/** Values in the order in which policies and quotes hash them. */
export function valuesInOrder(selections: readonly PcrSelection[], banks: readonly PcrBank[]): Uint8Array[] {
  return selections.flatMap(({ hash, pcrs }) => {
    const bank = banks.find((candidate) => candidate.bank === hash)
    return [...new Set(pcrs)]
      .sort((a, b) => a - b)
      .map((pcr) => {
        const value = bank?.values.get(pcr)
        if (value === undefined) throw new TpmError('input.malformed', `no value for ${hash} PCR ${pcr}`)
        return value
      })
  })
}
