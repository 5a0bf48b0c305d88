import {
  type BrokerPin,
  type Entry,
  type LedgerCheck,
  checkLedger,
  parseEntry,
  parseExportedEntry,
  parseLogKey,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { readConfig } from '../config.ts'
import { openStoreOf } from '../open-store.ts'

/** What a broker's ledger and store say when all is over. */
export interface Recorded {
  readonly check: LedgerCheck
  /** Entries of decisions about releases, in the order of the log. */
  readonly releases: readonly Entry[]
  /** Decisions that have no entry, or another digest in it; and entries without their decision. */
  readonly unrecorded: readonly string[]
  /** Leases whose decision is no recorded release. */
  readonly strayLeases: readonly string[]
}

/** Checks an exported ledger, and holds it against the store of a broker that has stopped. */
export async function readRecorded(lines: readonly string[], pin: BrokerPin, config: string): Promise<Recorded> {
  const check = await checkLedger(lines, { logKey: parseLogKey(pin.log, nodeCrypto), crypto: nodeCrypto })
  const decided = lines
    .map((line) => parseEntry(parseExportedEntry(line).entry))
    .filter(({ kind }) => kind === 'decision')
  const store = await openStoreOf(readConfig(config), () => new Date(), { adoptHeads: true })
  try {
    const logged = new Map(decided.map((e) => [e.subject, e.digest]))
    const stored = await store.decisions(pin.tenant, { limit: 1_000_000 })
    const kept = new Map(stored.map((d) => [d.id, d.digest]))
    const released = new Set(decided.filter(({ facts }) => facts['outcome'] === 'release').map((e) => e.subject))
    const leases = await store.liveLeases(pin.tenant, new Date(0))
    return {
      check,
      releases: decided.filter(({ facts }) => facts['operation'] === 'release'),
      unrecorded: [
        ...stored.filter((d) => logged.get(d.id) !== d.digest).map((d) => d.id),
        ...decided.filter((e) => kept.get(e.subject) !== e.digest).map((e) => e.subject),
      ],
      strayLeases: leases.filter((l) => !released.has(l.decision)).map((l) => l.id),
    }
  } finally {
    await store.close()
  }
}
