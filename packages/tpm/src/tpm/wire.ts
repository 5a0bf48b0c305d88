import { setTimeout } from 'node:timers/promises'
import { TPM_PT } from '../codec/capability.ts'
import type { AnyCommand, ParametersOf, ResponseOf } from '../codec/commands/command.ts'
import { COMMANDS } from '../codec/commands/index.ts'
import type { CommandName, Commands } from '../codec/commands/index.ts'
import { decodeParameters, encodeCommand, encodeParameters, parseResponse, responseCodeOf } from '../codec/message.ts'
import { TPM_RC } from '../codec/response-code.ts'
import type { Transport } from '../transport/transport.ts'
import type { HandleKind, SlotCommands } from './slots.ts'

const RETRIED: ReadonlySet<number> = new Set([TPM_RC.retry, TPM_RC.yielded, TPM_RC.testing])
const FIRST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 200
/** What every TPM 2.0 must have at the least, should it not say. */
const LEAST_SLOTS = 3
/** The first handle of each kind, as GetCapability counts them. */
const FIRST_HANDLES: Readonly<Record<HandleKind, number>> = {
  objects: 0x80000000,
  'loaded-sessions': 0x02000000,
  'saved-sessions': 0x03000000,
}

/** Commands as bytes, with patience; and the commands that the slots are kept with. */
export class Wire implements SlotCommands {
  /** Handles that belong to callers of raw commands: nobody's leftovers. */
  readonly rawHandles = new Set<number>()
  readonly #transport: Transport
  readonly #timeoutMs: number
  #limits: Promise<{ objects: number; sessions: number }> | undefined

  constructor(transport: Transport, timeoutMs: number) {
    this.#transport = transport
    this.#timeoutMs = timeoutMs
  }

  /** Sends until the TPM really answers: RETRY, YIELDED and TESTING only ask for patience. */
  async send(command: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const raw = await this.#transport.transact(command, timeoutMs)
    if (!RETRIED.has(responseCodeOf(raw))) return raw
    const deadline = performance.now() + timeoutMs
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      await setTimeout(pause)
      const again = await this.#transport.transact(command, timeoutMs)
      if (!RETRIED.has(responseCodeOf(again)) || performance.now() > deadline) return again
    }
  }

  async saveContext(handle: number) {
    return (await this.#run('ContextSave', [handle], {})).context
  }

  async loadContext(context: ParametersOf<Commands['ContextLoad']>['context']): Promise<number> {
    return (await this.#run('ContextLoad', [], { context })).loadedHandle
  }

  async flush(flushHandle: number): Promise<void> {
    await this.#run('FlushContext', [], { flushHandle })
  }

  limits(): Promise<{ readonly objects: number; readonly sessions: number }> {
    this.#limits ??= this.#readLimits()
    return this.#limits
  }

  async foreignHandles(kind: HandleKind): Promise<readonly number[]> {
    if (this.#transport.isManaged) return []
    const first = { capability: 'handles', property: FIRST_HANDLES[kind], propertyCount: 254 } as const
    const { capabilityData } = await this.#run('GetCapability', [], first)
    const handles = capabilityData.capability === 'handles' ? capabilityData.values : []
    return handles.filter((handle) => !this.rawHandles.has(handle))
  }

  async #readLimits(): Promise<{ objects: number; sessions: number }> {
    const first = { capability: 'tpm-properties', property: TPM_PT.transientMin, propertyCount: 3 } as const
    const { capabilityData } = await this.#run('GetCapability', [], first)
    const properties = capabilityData.capability === 'tpm-properties' ? capabilityData.values : []
    const value = (wanted: number) => properties.find(({ property }) => property === wanted)?.value ?? LEAST_SLOTS
    return { objects: value(TPM_PT.transientMin), sessions: value(TPM_PT.loadedMin) }
  }

  /** A command without sessions. */
  async #run<N extends CommandName>(name: N, handles: readonly number[], parameters: ParametersOf<Commands[N]>) {
    const command: AnyCommand = COMMANDS[name]
    const plain = encodeParameters(command, parameters as Readonly<Record<string, unknown>>)
    const raw = await this.send(encodeCommand(command.code, handles, [], plain), this.#timeoutMs)
    const response = parseResponse(name, command, 0, raw)
    const values = decodeParameters(name, command, response.parameters)
    if (command.newHandle !== undefined) values[command.newHandle] = response.newHandle
    return values as ResponseOf<Commands[N]>
  }
}
