import { inspect, parseArgs } from 'node:util'
import { VouchsafeError } from '@vouchsafe/core'
import { ImageError } from '@vouchsafe/image'
import { TpmError } from '@vouchsafe/tpm'
import { enrolMachine, runWorkload } from './agent.ts'
import { readConfig } from './config.ts'
import { AgentError } from './errors.ts'
import type { AgentEvent } from './events.ts'

const USAGE = `vouchsafe agent: proves to the owners' brokers what this machine runs, and runs it

  agent enrol CONFIG TICKETS   enrol this machine's TPM with each broker; TICKETS is a file, or - for standard input
  agent run CONFIG             launch the agreement's workload, once all owners have released what it needs

CONFIG is a JSON file, see docs/guide/agent.md. Events go to standard output, one JSON object a line.
`

const EXIT = { yes: 0, no: 1, usage: 2, badInput: 3, unreachable: 4, bug: 5 } as const

/** @returns The exit status. */
export async function main(args: readonly string[]): Promise<number> {
  const stop = new AbortController()
  // a second signal finds no handler left, and ends the process as signals do; the kernel then ends the workload
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort())
  try {
    return await dispatch(args, stop.signal)
  } catch (error) {
    const known = knownError(error, stop.signal)
    emit({ event: 'refused', code: known.code, message: known.message })
    return known.exit
  }
}

async function dispatch(args: readonly string[], signal: AbortSignal): Promise<number> {
  const parsed = readArguments(args)
  if (parsed === null) {
    process.stderr.write(USAGE)
    return EXIT.usage
  }
  const [command, config = '', tickets, ...rest] = parsed
  if (command === 'help') {
    process.stdout.write(USAGE)
    return EXIT.yes
  }
  if (command === 'enrol' && tickets !== undefined && rest.length === 0)
    await enrolMachine(await readConfig(config), tickets, emit, signal)
  else if (command === 'run' && config !== '' && tickets === undefined)
    await runWorkload(await readConfig(config), emit, signal)
  else {
    process.stderr.write(USAGE)
    return EXIT.usage
  }
  return EXIT.yes
}

function readArguments(args: readonly string[]): readonly string[] | null {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      options: { help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
    return values.help === true ? ['help'] : positionals
  } catch {
    return null // an option that there is not: the usage says which there are
  }
}

function emit(event: AgentEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

interface KnownError {
  readonly code: string
  readonly message: string
  readonly exit: number
}

/** Messages name things, never values of secrets; an unknown error's message is not shown to whoever runs the machine. */
function knownError(error: unknown, signal: AbortSignal): KnownError {
  if (signal.aborted) return { code: 'interrupted', message: 'the agent was told to stop', exit: EXIT.no }
  if (
    error instanceof AgentError ||
    error instanceof ImageError ||
    error instanceof TpmError ||
    error instanceof VouchsafeError
  ) {
    if (error.code === 'internal') process.stderr.write(`${inspect(error)}\n`)
    return { code: error.code, message: error.message, exit: exitOf(error.code) }
  }
  process.stderr.write(`${inspect(error)}\n`)
  return { code: 'internal', message: 'a bug: see standard error', exit: EXIT.bug }
}

const BAD_INPUT =
  /^(?:config|data|image|input|digest|document|chain|layout|compression|tar|unpack|encryption|key|reference)\.|^policy\.(?:malformed|material)$|^proxy\.settings$|^workload\.(?:image|image-key|storage|other-image|material|tool-missing)$/
const UNREACHABLE =
  /^(?:peer\.unreachable|registry\.(?:unavailable|slow)|proxy\.unavailable|store\.unavailable|tpm\.(?:unavailable|timeout|no-endorsement))$/

function exitOf(code: string): number {
  if (code === 'internal') return EXIT.bug
  if (UNREACHABLE.test(code)) return EXIT.unreachable
  return BAD_INPUT.test(code) ? EXIT.badInput : EXIT.no
}
