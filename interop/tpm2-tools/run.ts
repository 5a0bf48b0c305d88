import { CREDENTIALS } from './credentials.ts'
import { KEYS } from './keys.ts'
import { MOVING } from './moving.ts'
import { POLICIES } from './policies.ts'
import { QUOTES } from './quotes.ts'
import { REGISTERS_AND_NV } from './registers-and-nv.ts'
import { SEALING } from './sealing.ts'
import { STATEMENTS } from './statements.ts'
import { Workbench } from './workbench.ts'

/*
 * Peer: Debian's tpm2-tools on the same software TPM. What one side makes the other must take, and where a pair has a
 * wrong twin, must refuse.
 */
const pairs = [
  ...QUOTES,
  ...CREDENTIALS,
  ...SEALING,
  ...MOVING,
  ...STATEMENTS,
  ...REGISTERS_AND_NV,
  ...POLICIES,
  ...KEYS,
]
const bench = await Workbench.start()
let passed = 0
let failed = 0
try {
  for (const { name, run } of pairs) {
    const started = performance.now()
    try {
      await run(bench)
      passed += 1
      console.log(`ok      ${name} (${Math.round(performance.now() - started)} ms)`)
    } catch (error) {
      failed += 1
      const { message, stderr } = error as Error & { stderr?: string }
      console.log(`FAILED  ${name}\n        ${message.trim().split('\n').slice(0, 8).join('\n        ')}`)
      if (stderr !== undefined) console.log(`        ${stderr.trim().split('\n').join('\n        ')}`)
    }
    await bench.flush()
  }
} finally {
  await bench.stop()
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
