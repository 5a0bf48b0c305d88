import { readFileSync } from 'node:fs'
import { fromHex, parseSchema, parseStrictJson } from '@vouchsafe/core'
import type { PcrBank, Tpm } from '@vouchsafe/tpm'
import type { HashName } from '@vouchsafe/tpm/verify'
import { z } from 'zod'
import { UsageError } from '../../output.ts'

const stateSchema = z.record(
  z.string(),
  z.record(z.string().regex(/^\d{1,2}$/), z.string().regex(/^[0-9a-f]{40,128}$/)),
)

/** Values of registers: those of now, or those that a file of `vouchsafe tpm pcrs --json` has. */
export async function registersFrom(
  tpm: Tpm | undefined,
  bank: HashName,
  pcrs: readonly number[],
  file: string | undefined,
): Promise<PcrBank<HashName>> {
  if (file !== undefined) return readStateFile(file, bank, pcrs)
  if (tpm === undefined)
    throw new UsageError(
      'the registers of another machine are not known here',
      'give them with --state FILE, as that machine’s `vouchsafe tpm pcrs --json` prints them',
    )
  return tpm.pcrRead(bank, pcrs)
}

function readStateFile(file: string, bank: HashName, pcrs: readonly number[]): PcrBank<HashName> {
  const state = parseSchema(stateSchema, parseStrictJson(readFileSync(file), { maxBytes: 65_536 }), file)
  const registers = state[bank]
  const values = pcrs.map((pcr) => {
    const value = registers?.[String(pcr)]
    if (value === undefined)
      throw new UsageError(`${file} has no ${bank} register ${pcr}`, 'make it with: vouchsafe tpm pcrs --json')
    return [pcr, fromHex(value, `${file}: ${bank} ${pcr}`)] as const
  })
  return { bank, values: new Map(values) }
}
