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
import { Turns } from '../transport/turns.ts'
import type { Transport } from '../transport/transport.ts'
import { TpmEntity, TransientObject } from './entity.ts'
import type { HandleArgument } from './entity.ts'
import { ObjectSlots, SessionSlots } from './slots.ts'
import { Wire } from './wire.ts'

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

/**
 * Runs commands of the table one at a time: loads the objects and sessions that a command needs, authorizes and
 * encrypts, sends, retries where the TPM asks for it, checks and decodes the answer.
 */
export class Executor {
  readonly objects: ObjectSlots
  readonly sessions: SessionSlots
  readonly #wire: Wire
  readonly #options: ExecutorOptions
  readonly #turns = new Turns()

  constructor(transport: Transport, options: ExecutorOptions) {
    this.#wire = new Wire(transport, options.timeoutMs)
    this.#options = options
    this.objects = new ObjectSlots(this.#wire)
    this.sessions = new SessionSlots(this.#wire)
  }

  /** Runs one command. See `Tpm.run`. */
  run<N extends CommandName>(name: N, args: Arguments<N>, options: InternalOptions<N> = {}): Promise<Results<N>> {
    return this.exclusively(() => this.#run(name, args, options))
  }

  /** Runs `task` when all that was asked for before is done, and before anything asked for later. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#turns.take(task)
  }

  async #run<N extends CommandName>(name: N, args: Arguments<N>, options: InternalOptions<N>): Promise<Results<N>> {
    const command: AnyCommand = COMMANDS[name]
    const auth: Readonly<Record<string, Authorization | undefined>> = options.auth ?? {}
    const targets: Target[] = []
    const authorized: { readonly entity: Target; readonly by: Authorization | undefined }[] = []
    for (const { name: handle, role } of command.lists.handles) {
      const entity = resolveHandle((args as Record<string, HandleArgument | undefined>)[handle], handle)
      targets.push(entity)
      if (role !== 'none') authorized.push({ entity, by: auth[handle] })
    }
    const plain = encodeParameters(command, args as Values)
    const slots = authorizationSlots(authorized, options.sessions ?? [])
    const used = slots.map(({ session }) => session).filter((session) => session !== undefined)
    const objects = targets.filter((target) => target instanceof TransientObject)
    if (targets.length > 0 || used.length > 0 || TAKES_A_SLOT.has(name))
      await this.#acquire(name, targets, objects, used)

    const needsNames = used.length > 0
    const secured = protectCommand(command, needsNames ? targets.map(({ name }) => name) : [], slots, plain)
    const send = () => {
      const handles = targets.map((target) =>
        target instanceof TransientObject ? this.objects.handleOf(target) : target.handle,
      )
      return this.#wire.send(
        encodeCommand(command.code, handles, secured.sessions, secured.parameters),
        this.#timeout(name, options),
      )
    }
    let raw = await send()
    const responseCode = responseCodeOf(raw)
    if (responseCode !== TPM_RC.success && (await this.#reclaim(responseCode, objects, used))) raw = await send()
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
    targets: readonly Target[],
    objects: readonly TransientObject[],
    sessions: readonly TpmSession[],
  ): Promise<void> {
    // a persistent object sits in a slot, too, while a command uses it
    const persistent = targets.filter(
      (target) => !(target instanceof TransientObject) && handleType(target.handle) === 'persistent',
    ).length
    const spare = persistent + (TAKES_A_SLOT.has(name) ? 1 : 0)
    if (objects.length > 0 || (spare > 0 && !this.objects.isEmpty)) await this.objects.acquire(objects, spare)
    const newSession = name === 'StartAuthSession' ? 1 : 0
    const handles = sessions.map(({ handle }) => handle)
    for (const target of targets) if (isSession(target)) handles.push(target.handle)
    if (handles.length > 0 || newSession > 0) await this.sessions.acquire(handles, newSession)
  }

  /** Makes room after a command found none: for somebody else's objects and sessions, or for what nobody foresaw. */
  async #reclaim(
    responseCode: number,
    objects: readonly TransientObject[],
    sessions: readonly TpmSession[],
  ): Promise<boolean> {
    if (await this.objects.reclaim(responseCode, objects)) return true
    const handles = sessions.map(({ handle }) => handle)
    return this.sessions.reclaim(responseCode, handles)
  }

  /** Raw callers get raw handles; those must not be taken for somebody's leftovers. */
  #keepTrack(name: CommandName, args: object, newHandle: number | undefined, isRaw: boolean): void {
    if (isRaw && newHandle !== undefined) this.#wire.rawHandles.add(newHandle)
    if (name === 'FlushContext') this.#wire.rawHandles.delete((args as Arguments<'FlushContext'>).flushHandle)
    const ends = name === 'SequenceComplete' || name === 'EventSequenceComplete'
    const sequence = ends ? (args as Arguments<'SequenceComplete'>).sequenceHandle : undefined
    if (sequence instanceof TransientObject) this.objects.forget(sequence)
  }

  #timeout(name: CommandName, options: RunOptions): number {
    return options.timeoutMs ?? (MAKES_KEYS.has(name) ? this.#options.keyGenerationTimeoutMs : this.#options.timeoutMs)
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
