import type { TpmHash } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import { PCR_COUNT } from '../codec/pcr-selection.ts'
import type { TaggedDigest } from '../codec/scalars.ts'
import type { PcrBank } from './pcr-bank.ts'
import type { Executor } from './executor.ts'
import { extendEvent } from './hashing.ts'

/** While something extends registers all the time there is no moment to report. */
const MAX_ATTEMPTS = 8
/** What PCR_Event takes. */
const MAX_EVENT_BYTES = 1024

/** Banks with at least one register allocated. */
export async function pcrBanks(tpm: Executor): Promise<readonly TpmHash[]> {
  const { capabilityData } = await tpm.run('GetCapability', { capability: 'pcrs', property: 0, propertyCount: 1 })
  if (capabilityData.capability !== 'pcrs')
    throw new TpmError('tpm.integrity', 'GetCapability answered another question')
  return capabilityData.values.filter(({ pcrs }) => pcrs.length > 0).map(({ hash }) => hash)
}

/**
 * Reads registers of one bank, in as many commands as it takes (a TPM gives at most eight at once), all of one moment:
 * when the update counter moves in between, it starts again.
 */
export async function pcrRead<H extends TpmHash>(tpm: Executor, bank: H, pcrs: readonly number[]): Promise<PcrBank<H>> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const values = await readOnce(
      tpm,
      bank,
      [...new Set(pcrs)].sort((a, b) => a - b),
    )
    if (values !== undefined) return { bank, values }
  }
  throw new TpmError('tpm.unavailable', `${bank} registers changed during each of ${MAX_ATTEMPTS} readings`)
}

async function readOnce(
  tpm: Executor,
  hash: TpmHash,
  wanted: readonly number[],
): Promise<ReadonlyMap<number, Uint8Array> | undefined> {
  const values = new Map<number, Uint8Array>()
  let counter: number | undefined
  while (values.size < wanted.length) {
    const missing = wanted.filter((pcr) => !values.has(pcr))
    const answer = await tpm.run('PCR_Read', { pcrSelectionIn: [{ hash, pcrs: missing }] })
    if (counter !== undefined && counter !== answer.pcrUpdateCounter) return undefined
    counter = answer.pcrUpdateCounter
    const given = answer.pcrSelectionOut.find((selection) => selection.hash === hash)?.pcrs ?? []
    if (given.length === 0)
      throw new TpmError('input.malformed', `this TPM has no PCR ${missing.join(', ')} in bank ${hash}`)
    if (given.length !== answer.pcrValues.length || given.some((pcr) => !missing.includes(pcr)))
      throw new TpmError('tpm.integrity', 'PCR_Read: the values do not fit the selection')
    given.forEach((pcr, at) => values.set(pcr, answer.pcrValues[at] ?? new Uint8Array()))
  }
  return new Map(wanted.map((pcr) => [pcr, values.get(pcr) ?? new Uint8Array()]))
}

/** Extends one register in each of the banks given. */
export async function pcrExtend(tpm: Executor, pcr: number, digests: readonly TaggedDigest[]): Promise<void> {
  await tpm.run('PCR_Extend', { pcrHandle: pcrHandle(pcr), digests })
}

/** Has the TPM hash `data`, of any length, and extend all banks with it. Returns what was extended. */
export async function pcrEvent(tpm: Executor, pcr: number, data: Uint8Array): Promise<readonly TaggedDigest[]> {
  if (data.length > MAX_EVENT_BYTES) return extendEvent(tpm, pcrHandle(pcr), data)
  return (await tpm.run('PCR_Event', { pcrHandle: pcrHandle(pcr), eventData: data })).digests
}

export async function pcrReset(tpm: Executor, pcr: number): Promise<void> {
  await tpm.run('PCR_Reset', { pcrHandle: pcrHandle(pcr) })
}

/** A register's handle is its number. */
function pcrHandle(pcr: number): number {
  if (!Number.isInteger(pcr) || pcr < 0 || pcr >= PCR_COUNT)
    throw new TpmError('input.malformed', `there is no PCR ${pcr}`)
  return pcr
}
