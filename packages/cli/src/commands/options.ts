import { Command, InvalidArgumentError } from 'commander'
import { type Output, newOutput } from '../output.ts'

/** Sets the exit status of the run. */
export type Done = (exit: number) => void

/** A verb with `--json`, which every verb has. */
export function verb(name: string, description: string): Command {
  return new Command(name).description(description).option('--json', 'print the answer as one JSON object')
}

/** A verb that acts as an owner, operator or auditor. */
export function ownerVerb(name: string, description: string): Command {
  return verb(name, description).option(
    '--as <file>',
    'owner file with key and broker (default: $VOUCHSAFE_OWNER, then owner.json)',
  )
}

/** What every verb of `ownerVerb` is given. */
export interface As {
  readonly as?: string
  readonly json?: boolean
}

/** Reads an option that is a number of seconds. */
export function seconds(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value === 0)
    throw new InvalidArgumentError('a whole number of seconds, one or more')
  return value
}

/** An option that may be given more than once. */
export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

export function outputOf(options: { readonly json?: boolean }): Output {
  return newOutput(options.json === true)
}
