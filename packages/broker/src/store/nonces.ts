import { VouchsafeError } from '@vouchsafe/core'
import type { LockedLog } from './log.ts'
import type { Consume } from './rows.ts'
import { type Demand, type Steps, change, demand, statement } from './steps.ts'

/** Uses up a nonce. The unique key decides between two that come at once, also from two processes (A17, J08). */
export function consumeNonce(log: LockedLog, nonce: Consume): Demand {
  // the log's time never goes back, so a row that was purged after its expiry cannot be used a second time
  if (log.now >= nonce.expiresAt)
    throw new VouchsafeError('evidence.stale', `the nonce expired at ${nonce.expiresAt.toISOString()}`)
  const insert = statement(
    'insert into consumed_nonces (tenant, id, expires_at) values (?, ?, ?) on conflict do nothing',
    log.tenant,
    nonce.id,
    nonce.expiresAt.getTime(),
  )
  return demand(insert, () => new VouchsafeError('evidence.stale', 'the nonce was used before'))
}

/** Forgets nonces that expired before `before`. */
export function* purgeNonces(before: Date): Steps<number> {
  return yield* change('delete from consumed_nonces where expires_at < ?', before.getTime())
}
