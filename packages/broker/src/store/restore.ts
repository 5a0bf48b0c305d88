import { digestOf, toBase64, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { KeptHead } from './head-guard.ts'
import { type HeadMemory, type LoggedEntry, appendEntry, lockLog } from './log.ts'
import { readRestoreEpoch } from './read-store.ts'
import { type Steps, change } from './steps.ts'
import type { LogSigner } from './store.ts'

export interface RestoredLog {
  readonly tenant: string
  readonly signer: LogSigner
  /** The head that was known before the restore; null when none was. */
  readonly lost: KeptHead | null
}

/** The operator has said that the store may differ from what was known; its signatures are checked all the same. */
const FORGET: HeadMemory = {
  // oxlint-disable-next-line require-yield -- asks nothing of the database
  *check() {
    return false
  },
}

/**
 * Raises the restore epoch, which voids every nonce of before, and writes into each log what is known to be lost. All
 * counters rise too, so that nothing that was evaluated against the lost state is recorded now.
 */
export function* restoreSteps(
  logs: readonly RestoredLog[],
  time: () => Date,
): Steps<readonly { readonly tenant: string; readonly entry: LoggedEntry }[]> {
  yield* change('update restore_epoch set epoch = epoch + 1')
  const epoch = yield* readRestoreEpoch()
  const logged = []
  for (const { tenant, signer, lost } of logs) {
    const log = yield* lockLog(tenant, time, signer, FORGET)
    const facts = {
      epoch: String(epoch),
      keptSize: lost === null ? 'unknown' : String(lost.size),
      keptRoot: lost === null ? 'unknown' : toBase64(lost.root),
    }
    const digest = digestOf(utf8(JSON.stringify(facts)), nodeCrypto)
    const { consent, registry, reference, distrust } = log.epochs
    const raised = { consent: consent + 1, registry: registry + 1, reference: reference + 1, distrust: distrust + 1 }
    const content = { kind: 'store.restored', subject: `restore ${epoch}`, digest, facts } as const
    logged.push({ tenant, entry: yield* appendEntry(log, content, raised, signer) })
  }
  return logged
}
