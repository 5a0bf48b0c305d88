import { setTimeout } from 'node:timers/promises'
import { TPM_PT } from '../codec/capability.ts'
import { COMMANDS } from '../codec/commands/index.ts'
import type { CommandName, Commands } from '../codec/commands/index.ts'
import type { AnyCommand, HandlesOf, ParametersOf, ResponseOf } from '../codec/commands/command.ts'
import { TpmError } from '../codec/errors.ts'
import { handleType, TPM_RH } from '../codec/handles.ts'
import { decodeParameters, encodeCommand, encodeParameters, parseResponse, responseCodeOf } from '../codec/message.ts'
import { TPM_RC } from '../codec/response-code.ts'
import { authorizationSlots, trimAuthValue } from '../session/authorization.ts'
import type { Authorization, SessionUse } from '../session/authorization.ts'
import { openResponse, protectCommand } from '../session/protect.ts'
import type { TpmSession } from '../session/session.ts'
import type { Transport } from '../transport/transport.ts'
import { TpmEntity, TransientObject } from './entity.ts'
import type { HandleArgument } from './entity.ts'
import { ObjectSlots, SessionSlots } from './slots.ts'
import type { SlotCommands } from './slots.ts'

/** Handles and parameters of a command, under the specification's names. */
export type Arguments<N extends CommandName> = {
  readonly [H in HandlesOf<Commands[N]>]: HandleArgument
} & ParametersOf<Commands[N]>
export type Results<N extends CommandName> = ResponseOf<Commands[N]>

export interface RunOptions<N extends CommandName = CommandName> {
  /** How each handle is authorized. Default: by the entity's own password, which is empty for a bare number. */
  readonly auth?: { readonly [H in HandlesOf<Commands[N]>]?: Authorization | undefined }
  /** Sessions which only encrypt or audit. */
  readonly sessions?: readonly SessionUse[]
  /** Default: the timeout of the `Tpm`, or of key generation for commands which make keys. */
  readonly timeoutMs?: number
}

/** @internal What this package itself adds: something to do before any other command can run. */
interface InternalOptions<N extends CommandName> extends RunOptions<N> {
  readonly adopt?: (handle: number, results: Results<N>) => void
}

export interface ExecutorOptions {
  readonly timeoutMs: number
  readonly keyGenerationTimeoutMs: number
}

/** Commands that take an object slot, beside those for their handles. */
const TAKES_A_SLOT: ReadonlySet<CommandName> = new Set<CommandName>([
  'CreatePrimary',
  'Create',
  'CreateLoaded',
  'Load',
  'LoadExternal',
  'Import',
  'ContextLoad',
  'HMAC_Start',
  'HashSequenceStart',
])
const MAKES_KEYS: ReadonlySet<CommandName> = new Set<CommandName>([
  'CreatePrimary',
  'Create',
  'CreateLoaded',
  'SelfTest',
])
const RETRIED: ReadonlySet<number> = new Set([TPM_RC.retry, TPM_RC.yielded, TPM_RC.testing])
const OUT_OF_SLOTS: ReadonlySet<number> = new Set([TPM_RC.objectMemory, TPM_RC.objectHandles])
const FIRST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 200
/** What every TPM 2.0 must have at the least, should it not say. */
const LEAST_SLOTS = 3
/** The first transient handle. */
const TRANSIENT_FIRST = 0x80000000

/**
 * Runs commands of the table one at a time: loads the objects and sessions that a command needs, authorizes and
 * encrypts, sends, retries where the TPM asks for it, checks and decodes the answer.
 */
export class Executor {
  readonly objects: ObjectSlots
  readonly sessions: SessionSlots
  readonly #transport: Transport
  readonly #options: ExecutorOptions
  readonly #rawHandles = new Set<number>()
  #limits: Promise<{ objects: number; sessions: number }> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(transport: Transport, options: ExecutorOptions) {
    this.#transport = transport
    this.#options = options
    const commands = this.#slotCommands()
    this.objects = new ObjectSlots(commands)
    this.sessions = new SessionSlots(commands)
  }

  /** Runs one command. See `Tpm.run`. */
  run<N extends CommandName>(name: N, args: Arguments<N>, options: InternalOptions<N> = {}): Promise<Results<N>> {
    return this.exclusively(() => this.#run(name, args, options))
  }

  /** Runs `task` when all that was asked for before is done, and before anything asked for later. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task)
    this.#last = result.catch(() => undefined)
    return result
  }

  async #run<N extends CommandName>(name: N, args: Arguments<N>, options: InternalOptions<N>): Promise<Results<N>> {
    const command: AnyCommand = COMMANDS[name]
    const targets = Object.entries(command.handles).map(([handle, role]) => ({
      role,
      target: resolveHandle((args as Record<string, HandleArgument | undefined>)[handle], handle),
      by: (options.auth as Record<string, Authorization | undefined> | undefined)?.[handle],
    }))
    const plain = encodeParameters(command, args as Values)
    const authorized = targets.filter(({ role }) => role !== 'none')
    const slots = authorizationSlots(
      authorized.map(({ target, by }) => ({ entity: target, by })),
      options.sessions ?? [],
    )
    const used = slots.flatMap(({ session }) => session ?? [])
    const objects = targets.flatMap(({ target }) => (target instanceof TransientObject ? [target] : []))
    await this.#acquire(name, targets, objects, used)

    const needsNames = used.length > 0
    const secured = protectCommand(command, needsNames ? targets.map(({ target }) => target.name) : [], slots, plain)
    const send = () => {
      const handles = targets.map(({ target }) =>
        target instanceof TransientObject ? this.objects.handleOf(target) : target.handle,
      )
      return this.#send(
        encodeCommand(command.code, handles, secured.sessions, secured.parameters),
        this.#timeout(name, options),
      )
    }
    let raw = await send()
    if (OUT_OF_SLOTS.has(responseCodeOf(raw)) && (await this.objects.evictAll(objects))) {
      await this.objects.acquire(objects, 0)
      raw = await send()
    }
    const response = parseResponse(name, command, slots.length, raw)
    const parameters = openResponse(command, slots, secured.sessions, response, changedAuthValue(name, args))
    const values = decodeParameters(name, command, parameters)
    if (response.newHandle !== undefined && command.newHandle !== undefined)
      values[command.newHandle] = response.newHandle
    for (const session of used) if (session.isEnded) this.sessions.forget(session.handle)
    const results = values as Results<N>
    this.#keepTrack(name, args, response.newHandle, options.adopt === undefined)
    if (response.newHandle !== undefined) options.adopt?.(response.newHandle, results)
    return results
  }

  async #acquire(
    name: CommandName,
    targets: readonly { readonly target: Target }[],
    objects: readonly TransientObject[],
    sessions: readonly TpmSession[],
  ): Promise<void> {
    // a persistent object sits in a slot, too, while a command uses it
    const persistent = targets.filter(
      ({ target }) => !(target instanceof TransientObject) && handleType(target.handle) === 'persistent',
    ).length
    const spare = persistent + (TAKES_A_SLOT.has(name) ? 1 : 0)
    if (objects.length > 0 || spare > 0) await this.objects.acquire(objects, spare)
    const newSession = name === 'StartAuthSession' ? 1 : 0
    const handles = sessions.map(({ handle }) => handle)
    for (const { target } of targets) if (isSession(target)) handles.push(target.handle)
    if (handles.length > 0 || newSession > 0) await this.sessions.acquire(handles, newSession)
  }

  /** Raw callers get raw handles; those must not be taken for somebody's leftovers. */
  #keepTrack(name: CommandName, args: object, newHandle: number | undefined, isRaw: boolean): void {
    if (isRaw && newHandle !== undefined) this.#rawHandles.add(newHandle)
    if (name === 'FlushContext') this.#rawHandles.delete((args as Arguments<'FlushContext'>).flushHandle)
    const ends = name === 'SequenceComplete' || name === 'EventSequenceComplete'
    const sequence = ends ? (args as Arguments<'SequenceComplete'>).sequenceHandle : undefined
    if (sequence instanceof TransientObject) this.objects.forget(sequence)
  }

  #timeout(name: CommandName, options: RunOptions): number {
    return options.timeoutMs ?? (MAKES_KEYS.has(name) ? this.#options.keyGenerationTimeoutMs : this.#options.timeoutMs)
  }

  /** Sends until the TPM really answers: RETRY, YIELDED and TESTING only ask for patience. */
  async #send(command: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const raw = await this.#transport.transact(command, timeoutMs)
    if (!RETRIED.has(responseCodeOf(raw))) return raw
    const deadline = performance.now() + timeoutMs
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      await setTimeout(pause)
      const again = await this.#transport.transact(command, timeoutMs)
      if (!RETRIED.has(responseCodeOf(again)) || performance.now() > deadline) return again
    }
  }

  /** A command without sessions, from inside another. */
  async #plain<N extends CommandName>(name: N, handles: readonly number[], parameters: ParametersOf<Commands[N]>) {
    const command: AnyCommand = COMMANDS[name]
    const bytes = encodeCommand(command.code, handles, [], encodeParameters(command, parameters as object as Values))
    const response = parseResponse(name, command, 0, await this.#send(bytes, this.#options.timeoutMs))
    const values = decodeParameters(name, command, response.parameters)
    if (command.newHandle !== undefined) values[command.newHandle] = response.newHandle
    return values as Results<N>
  }

  #slotCommands(): SlotCommands {
    return {
      saveContext: async (handle) => (await this.#plain('ContextSave', [handle], {})).context,
      loadContext: async (context) => (await this.#plain('ContextLoad', [], { context })).loadedHandle,
      flush: async (flushHandle) => {
        await this.#plain('FlushContext', [], { flushHandle })
      },
      limits: () => (this.#limits ??= this.#readLimits()),
      loadedObjects: async () => {
        if (this.#transport.isManaged) return []
        const first = { capability: 'handles', property: TRANSIENT_FIRST, propertyCount: 254 } as const
        const { capabilityData } = await this.#plain('GetCapability', [], first)
        const handles = capabilityData.capability === 'handles' ? capabilityData.values : []
        return handles.filter((handle) => !this.#rawHandles.has(handle))
      },
    }
  }

  async #readLimits(): Promise<{ objects: number; sessions: number }> {
    const first = { capability: 'tpm-properties', property: TPM_PT.transientMin, propertyCount: 3 } as const
    const { capabilityData } = await this.#plain('GetCapability', [], first)
    const properties = capabilityData.capability === 'tpm-properties' ? capabilityData.values : []
    const value = (wanted: number) => properties.find(({ property }) => property === wanted)?.value ?? LEAST_SLOTS
    return { objects: value(TPM_PT.transientMin), sessions: value(TPM_PT.loadedMin) }
  }
}

type Values = Readonly<Record<string, unknown>>
type Target =
  TpmEntity | TransientObject | { readonly handle: number; readonly name: Uint8Array; readonly authValue: Uint8Array }

function isSession(target: Target): target is TpmEntity {
  if (target instanceof TransientObject) return false
  const type = handleType(target.handle)
  return type === 'hmac-session' || type === 'policy-session'
}

function resolveHandle(argument: HandleArgument | undefined, name: string): Target {
  if (argument instanceof TransientObject || argument instanceof TpmEntity) return argument
  if (typeof argument === 'number') return new TpmEntity(argument)
  if (typeof argument === 'string') return new TpmEntity(TPM_RH[argument])
  if (argument === undefined) throw new TpmError('input.malformed', `${name} is missing`)
  return new TpmEntity(argument.handle, { name: argument.name })
}

/** Some commands change the very password that authorizes them; the answer is then under the new one. */
function changedAuthValue(name: CommandName, args: object): Uint8Array | undefined {
  switch (name) {
    case 'HierarchyChangeAuth':
    case 'NV_ChangeAuth':
      return trimAuthValue((args as Arguments<'HierarchyChangeAuth'>).newAuth)
    case 'PCR_SetAuthValue':
      return trimAuthValue((args as Arguments<'PCR_SetAuthValue'>).auth)
    case 'NV_UndefineSpaceSpecial':
      return new Uint8Array()
    case 'Clear':
      return (args as Arguments<'Clear'>).authHandle === 'lockout' ? new Uint8Array() : undefined
    default:
      return undefined
  }
}
