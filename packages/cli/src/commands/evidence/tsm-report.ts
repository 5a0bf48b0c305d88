import { mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { evidence } from '@vouchsafe/core'
import type { TeeReport } from '@vouchsafe/tpm/gotpm'
import { UsageError, withHint } from '../../output.ts'

/** Where Linux 6.7 and later make reports of the CPU. */
export const TSM_REPORTS = '/sys/kernel/config/tsm/report'

/** Another process that uses the same entry makes our request stale: ours has a name of its own, so that is refused. */
const GENERATION_OF_ONE_REQUEST = 1

/**
 * Has the CPU report on this machine. Nothing of the report is checked.
 *
 * @param data - 64 bytes that the report shall carry.
 */
export function readTsmReport(directory: string, data: Uint8Array): TeeReport {
  return withTsmEntry(directory, (entry) => requestReport(entry, data))
}

/** An entry of our own, for one request. */
export function withTsmEntry<T>(directory: string, use: (entry: string) => T): T {
  const entry = makeEntry(directory)
  try {
    return use(entry)
  } finally {
    rmdirSync(entry) // the kernel's files in it go with it
  }
}

/**
 * Asks in an entry: the kernel makes the report when it is read.
 * @source Linux: Documentation/ABI/testing/configfs-tsm-report
 */
export function requestReport(entry: string, data: Uint8Array): TeeReport {
  const at = (name: string) => path.join(entry, name)
  const text = (name: string) => readFileSync(at(name), 'latin1').trim()
  writeFileSync(at('inblob'), data)
  const report = new Uint8Array(readFileSync(at('outblob')))
  const [provider, generation] = [text('provider'), text('generation')]
  if (generation !== String(GENERATION_OF_ONE_REQUEST))
    throw new UsageError(`somebody else writes to ${entry} (generation ${generation})`, 'try again')
  if (provider === 'tdx_guest') return { kind: 'tdx', quote: report }
  if (provider === 'sev_guest')
    return { kind: 'sev-snp', report, ...endorsement(new Uint8Array(readFileSync(at('auxblob')))) }
  throw new UsageError(`reports of ${provider} have no place in gotpm’s format`, 'leave --tee-nonce out')
}

function makeEntry(directory: string): string {
  try {
    return mkdtempSync(path.join(directory, 'vouchsafe-'))
  } catch (error) {
    throw withHint(error, 'this machine makes no such reports, or only root may ask: leave --tee-nonce out')
  }
}

/** The host's table of certificates; empty where it gives none. */
function endorsement(table: Uint8Array): Omit<Extract<TeeReport, { kind: 'sev-snp' }>, 'kind' | 'report'> {
  if (table.length === 0) return {}
  const entries = evidence.parseSnpCertificateTable(table)
  for (const vekKind of ['vcek', 'vlek'] as const) {
    const vek = entries.get(evidence.SNP_TABLE_ENTRIES[vekKind])
    if (vek !== undefined) return { vek, vekKind }
  }
  return {}
}
