import { expect, test } from 'vitest'
import { TPM_PT } from '../codec/capability.ts'
import type { TpmSession } from '../session/session.ts'
import { useTpm } from '../testing/tpm-fixture.ts'

const get = useTpm()

test('a session saved long ago is renewed before the TPM loses count of it', async () => {
  const tpm = get()
  const gap = (await tpm.properties()).get(TPM_PT.contextGapMax) ?? 0
  expect(gap).toBeGreaterThan(100)
  const old = await tpm.startSession({ type: 'hmac' })
  const others: TpmSession[] = []
  for (let count = 0; count < 4; count++) others.push(await tpm.startSession({ type: 'hmac' }))
  const use = (session: TpmSession) =>
    tpm.run('GetRandom', { bytesRequested: 1 }, { sessions: [{ session, encryptResponse: true }] })
  // four take turns in three slots: every use saves another one
  for (let round = 0; round <= gap / 4 + 10; round++) for (const session of others) await use(session)
  await use(old)
  for (const session of [old, ...others]) await tpm.endSession(session)
})
