import { ATTESTATION_COMMANDS } from './attestation.ts'
import { NV_COMMANDS } from './nv.ts'
import { OBJECT_COMMANDS } from './objects.ts'
import { SESSION_COMMANDS } from './sessions.ts'
import { SYSTEM_COMMANDS } from './system.ts'

/**
 * Every command this package can send, under the specification's own names. A command is its row here; encoding,
 * decoding, sessions and types follow from it.
 * @source TPM 2.0 Library, Part 3: Commands
 */
export const COMMANDS = {
  ...SYSTEM_COMMANDS,
  ...OBJECT_COMMANDS,
  ...ATTESTATION_COMMANDS,
  ...SESSION_COMMANDS,
  ...NV_COMMANDS,
} as const
export type Commands = typeof COMMANDS
export type CommandName = keyof Commands

const NAMES = new Map(Object.entries(COMMANDS).map(([name, { code }]) => [code, name as CommandName]))

/** The name of a TPM_CC, or undefined for one that is not in the table. */
export function commandName(code: number): CommandName | undefined {
  return NAMES.get(code)
}
