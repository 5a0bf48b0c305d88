import { mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AgentError } from '../errors.ts'

/** What the kernel's report interface can do, an entry at a time: for the kernel's own, and for stand-ins of it. */
export interface TsmInterface {
  /** A new entry, of a name of its own. */
  makeEntry(): string
  write(entry: string, attribute: 'inblob' | 'privlevel', value: Uint8Array | string): void
  read(entry: string, attribute: 'outblob' | 'auxblob' | 'provider' | 'generation'): Uint8Array
  removeEntry(entry: string): void
}

/** A report as the CPU made it. Nothing in it is checked. */
export interface TsmReport {
  readonly provider: 'sev_guest' | 'tdx_guest'
  readonly outblob: Uint8Array
  /** SNP: the host's table of certificates; empty where it gives none. */
  readonly auxblob: Uint8Array
}

/** What the kernel's report carries. */
const REPORT_DATA = 64
/** The kernel says that it should be asked again: a quote is being made for somebody else, or the inputs changed. */
const AGAIN: readonly unknown[] = ['EBUSY', 'EAGAIN', 'EWOULDBLOCK', 'EINTR', 'ETIMEDOUT']
const ATTEMPTS = 5
const PAUSE_MS = 200

/**
 * Has this machine's CPU report over 64 bytes. Each attempt has an entry of its own, and counts the writes to it: a
 * report that was made from somebody else's bytes is thrown away, never handed on.
 *
 * @throws {AgentError} `tsm.unavailable`, `tsm.contended`, `tsm.provider`
 * @source Linux: Documentation/ABI/testing/configfs-tsm-report
 */
export async function readTsmReport(
  tsm: TsmInterface,
  data: Uint8Array,
  pause: (ms: number) => Promise<unknown> = sleep,
): Promise<TsmReport> {
  if (data.length !== REPORT_DATA) throw new Error(`${data.length} bytes of report data, wanted ${REPORT_DATA}`)
  for (let attempt = 1; ; attempt++) {
    const report = await attemptReport(tsm, data)
    if (report !== null) return report
    if (attempt === ATTEMPTS)
      throw new AgentError(
        'tsm.contended',
        `after ${ATTEMPTS} attempts the CPU had made no report over our bytes: somebody else asks all the time`,
      )
    await pause(PAUSE_MS * attempt)
  }
}

/** One attempt; null when it is worth another. */
async function attemptReport(tsm: TsmInterface, data: Uint8Array): Promise<TsmReport | null> {
  const entry = available(() => tsm.makeEntry())
  try {
    const text = (attribute: 'provider' | 'generation') => new TextDecoder().decode(tsm.read(entry, attribute)).trim()
    const before = Number(text('generation'))
    tsm.write(entry, 'inblob', data)
    const outblob = tsm.read(entry, 'outblob')
    const provider = text('provider')
    if (provider !== 'sev_guest' && provider !== 'tdx_guest')
      throw new AgentError('tsm.provider', `reports of ${JSON.stringify(provider)}: wanted sev_guest or tdx_guest`)
    const auxblob = provider === 'sev_guest' ? tsm.read(entry, 'auxblob') : new Uint8Array()
    // ours was the one write: any other number, and the report may be over other bytes
    return Number(text('generation')) === before + 1 ? { provider, outblob, auxblob } : null
  } catch (error) {
    if (AGAIN.includes((error as NodeJS.ErrnoException).code)) return null
    throw error instanceof AgentError ? error : unavailable(error)
  } finally {
    tsm.removeEntry(entry)
  }
}

function available<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw unavailable(error)
  }
}

function unavailable(cause: unknown): AgentError {
  return new AgentError('tsm.unavailable', `the CPU makes no report: ${(cause as Error).message}`, { cause })
}

/** Where Linux 6.7 and later offer reports. */
export const TSM_REPORTS = '/sys/kernel/config/tsm/report'

/** The kernel's interface. An entry's files come and go with it. */
export function kernelTsm(directory: string = TSM_REPORTS): TsmInterface {
  return {
    makeEntry: () => mkdtempSync(path.join(directory, 'vouchsafe-')),
    write: (entry, attribute, value) => writeFileSync(path.join(entry, attribute), value),
    read: (entry, attribute) => new Uint8Array(readFileSync(path.join(entry, attribute))),
    removeEntry: (entry) => rmdirSync(entry),
  }
}
