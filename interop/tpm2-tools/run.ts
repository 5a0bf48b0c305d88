import { COMMAND_LINE } from './command-line.ts'
import { CREDENTIALS } from './credentials.ts'
import { KEYS } from './keys.ts'
import { MOVING } from './moving.ts'
import { POLICIES } from './policies.ts'
import { QUOTES } from './quotes.ts'
import { runPairs } from './run-pairs.ts'
import { REGISTERS_AND_NV } from './registers-and-nv.ts'
import { SEALING } from './sealing.ts'
import { STATEMENTS } from './statements.ts'

/*
 * Peer: Debian's tpm2-tools on the same software TPM. What one side makes the other must take, and where a pair has a
 * wrong twin, must refuse.
 */
await runPairs([
  ...QUOTES,
  ...CREDENTIALS,
  ...SEALING,
  ...MOVING,
  ...STATEMENTS,
  ...REGISTERS_AND_NV,
  ...POLICIES,
  ...KEYS,
  ...COMMAND_LINE,
])
