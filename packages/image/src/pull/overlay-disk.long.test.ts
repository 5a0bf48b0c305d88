import { test } from 'vitest'
import { canMount } from '../testing/mount.ts'
import { stacksLikeUnpacking } from '../testing/stack-property.ts'

test.runIf(canMount)('random stacks of snapshots show what unpacking gives, for five minutes', async () => {
  await stacksLikeUnpacking({ numRuns: 1_000_000, interruptAfterTimeLimit: 300_000 })
})
