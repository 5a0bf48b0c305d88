import type { TpmSavedContext } from '../codec/commands/system.ts'
import { TpmError } from '../codec/errors.ts'
import { TPM_RC } from '../codec/response-code.ts'

export type HandleKind = 'objects' | 'loaded-sessions' | 'saved-sessions'

/** What the slots below ask of the TPM. None of these calls may use the slots itself. */
export interface SlotCommands {
  saveContext(handle: number): Promise<TpmSavedContext>
  loadContext(context: TpmSavedContext): Promise<number>
  flush(handle: number): Promise<void>
  /** How many objects and sessions fit at once. */
  limits(): Promise<{ readonly objects: number; readonly sessions: number }>
  /** Handles that the TPM lists, without those of raw callers. */
  foreignHandles(kind: HandleKind): Promise<readonly number[]>
}

const OUT_OF_OBJECT_SLOTS: readonly number[] = [TPM_RC.objectMemory, TPM_RC.objectHandles]
const OUT_OF_SESSION_SLOTS: readonly number[] = [TPM_RC.sessionMemory, TPM_RC.sessionHandles]

interface ObjectState {
  handle: number | undefined
  context: TpmSavedContext | undefined
  /** Hash sequences change with use, so an old context would be an old state. */
  readonly isVolatile: boolean
}

/**
 * Virtual handles for objects: more may be held than the TPM has slots for. The least recently used goes out first.
 */
export class ObjectSlots {
  readonly #commands: SlotCommands
  /** In the order of use: a Map remembers that of insertion. */
  readonly #states = new Map<object, ObjectState>()

  constructor(commands: SlotCommands) {
    this.#commands = commands
  }

  /** Whether there is nothing that could be moved out. */
  get isEmpty(): boolean {
    return this.#states.size === 0
  }

  adopt(object: object, handle: number, options: { readonly isVolatile?: boolean } = {}): void {
    this.#states.set(object, { handle, context: undefined, isVolatile: options.isVolatile === true })
  }

  /** Puts `object` in the place of another, once more is known of it. */
  replace(before: object, object: object): void {
    this.#states.set(object, this.#stateOf(before))
    this.#states.delete(before)
  }

  /** Loads what is needed, leaves `spare` slots free, and marks all as just used. */
  async acquire(objects: readonly object[], spare: number): Promise<void> {
    for (const object of objects) {
      const state = this.#stateOf(object)
      this.#states.delete(object)
      this.#states.set(object, state)
    }
    const missing = new Set(
      objects.map((object) => this.#stateOf(object)).filter((state) => state.handle === undefined),
    )
    if (missing.size === 0 && spare === 0) return
    const { objects: limit } = await this.#commands.limits()
    await this.#makeRoom(limit - missing.size - spare, objects)
    for (const state of missing) await this.#load(state)
  }

  /** The handle of a loaded object, good until the next `acquire`. */
  handleOf(object: object): number {
    const { handle } = this.#stateOf(object)
    if (handle === undefined) throw new TpmError('internal', 'the object was not acquired')
    return handle
  }

  /** After a command failed: whether it was for want of a slot, and now there is one. */
  async reclaim(responseCode: number, kept: readonly object[]): Promise<boolean> {
    if (!OUT_OF_OBJECT_SLOTS.includes(responseCode)) return false
    const before = this.#loaded().length
    await this.#makeRoom(0, kept)
    return (await this.#flushForeign()) || this.#loaded().length < before
  }

  async release(object: object): Promise<void> {
    const state = this.#states.get(object)
    this.#states.delete(object)
    if (state?.handle !== undefined) await this.#commands.flush(state.handle)
  }

  /** Forgets an object that the TPM has flushed by itself. */
  forget(object: object): void {
    this.#states.delete(object)
  }

  #stateOf(object: object): ObjectState {
    const state = this.#states.get(object)
    if (state === undefined) throw new TpmError('input.malformed', 'the object was flushed, or belongs to another TPM')
    return state
  }

  #loaded(): readonly ObjectState[] {
    return Array.from(this.#states.values()).filter(({ handle }) => handle !== undefined)
  }

  async #makeRoom(room: number, kept: readonly object[]): Promise<void> {
    let surplus = this.#loaded().length - room
    for (const [object, state] of this.#states) {
      if (surplus <= 0) return
      if (state.handle === undefined || kept.includes(object)) continue
      if (state.context === undefined || state.isVolatile)
        state.context = await this.#commands.saveContext(state.handle)
      await this.#commands.flush(state.handle)
      state.handle = undefined
      surplus -= 1
    }
  }

  async #load(state: ObjectState): Promise<void> {
    const { context } = state
    if (context === undefined) throw new TpmError('internal', 'no context to load')
    state.handle = await this.#commands.loadContext(context).catch(async (error: unknown) => {
      if (!OUT_OF_OBJECT_SLOTS.includes(responseCodeIn(error)) || !(await this.#flushForeign())) throw error
      return this.#commands.loadContext(context)
    })
  }

  /** Objects that neither this connection nor a raw caller made can have no user any more. */
  async #flushForeign(): Promise<boolean> {
    const own = new Set(this.#loaded().map(({ handle }) => handle))
    const foreign = (await this.#commands.foreignHandles('objects')).filter((handle) => !own.has(handle))
    for (const handle of foreign) await this.#commands.flush(handle)
    return foreign.length > 0
  }
}

/** Virtual slots for sessions. A session keeps its handle through saving; its context loads only once. */
export class SessionSlots {
  readonly #commands: SlotCommands
  /** In the order of use. Without a context the session is loaded. */
  readonly #contexts = new Map<number, TpmSavedContext | undefined>()

  constructor(commands: SlotCommands) {
    this.#commands = commands
  }

  adopt(handle: number): void {
    this.#contexts.set(handle, undefined)
  }

  forget(handle: number): void {
    this.#contexts.delete(handle)
  }

  async acquire(handles: readonly number[], spare: number): Promise<void> {
    const missing = new Set<number>()
    for (const handle of handles) {
      if (!this.#contexts.has(handle)) continue
      const context = this.#contexts.get(handle)
      this.#contexts.delete(handle)
      this.#contexts.set(handle, context)
      if (context !== undefined) missing.add(handle)
    }
    if (missing.size === 0 && spare === 0) return
    const { sessions: limit } = await this.#commands.limits()
    await this.#makeRoom(limit - missing.size - spare, handles)
    for (const handle of missing) await this.#load(handle)
  }

  /** After a command failed: whether it was for want of a slot or handle, and now there is one. */
  async reclaim(responseCode: number, kept: readonly number[]): Promise<boolean> {
    if (!OUT_OF_SESSION_SLOTS.includes(responseCode)) return false
    const before = this.#loaded().length
    if (responseCode === TPM_RC.sessionMemory) await this.#makeRoom(0, kept)
    return (await this.#flushForeign()) || this.#loaded().length < before
  }

  #loaded(): readonly number[] {
    return Array.from(this.#contexts)
      .filter(([, context]) => context === undefined)
      .map(([handle]) => handle)
  }

  async #makeRoom(room: number, kept: readonly number[]): Promise<void> {
    const loaded = this.#loaded()
    const movable = loaded.filter((handle) => !kept.includes(handle))
    for (const handle of movable.slice(0, Math.max(0, loaded.length - room))) await this.#save(handle)
  }

  async #save(handle: number): Promise<void> {
    const save = () => this.#commands.saveContext(handle)
    this.#contexts.set(handle, await save().catch((error: unknown) => this.#afterReclaim(error, save)))
  }

  async #load(handle: number): Promise<void> {
    const context = this.#contexts.get(handle)
    if (context === undefined) return
    const load = () => this.#commands.loadContext(context)
    await load().catch((error: unknown) => this.#afterReclaim(error, load))
    this.#contexts.set(handle, undefined)
  }

  /** Does once more what failed for a reason that can be put right. */
  async #afterReclaim<T>(error: unknown, again: () => Promise<T>): Promise<T> {
    const code = responseCodeIn(error)
    if (code === TPM_RC.contextGap) await this.#renewOldest()
    else if (!OUT_OF_SESSION_SLOTS.includes(code) || !(await this.#flushForeign())) throw error
    return again()
  }

  /** A TPM numbers saved sessions and lets the oldest lag behind only so far; then it takes no other. */
  async #renewOldest(): Promise<void> {
    const saved = Array.from(this.#contexts).flatMap(([handle, context]) =>
      context === undefined ? [] : [{ handle, context }],
    )
    const [first, ...others] = saved
    if (first === undefined) throw new TpmError('internal', 'a context gap without saved sessions')
    const oldest = others.reduce((a, b) => (b.context.sequence < a.context.sequence ? b : a), first)
    await this.#commands.loadContext(oldest.context)
    this.#contexts.set(oldest.handle, await this.#commands.saveContext(oldest.handle))
  }

  async #flushForeign(): Promise<boolean> {
    const listed = await Promise.all([
      this.#commands.foreignHandles('loaded-sessions'),
      this.#commands.foreignHandles('saved-sessions'),
    ])
    const foreign = new Set(listed.flat().filter((handle) => !this.#contexts.has(handle)))
    for (const handle of foreign) await this.#commands.flush(handle)
    return foreign.size > 0
  }
}

function responseCodeIn(error: unknown): number {
  return error instanceof TpmError ? (error.response?.value ?? 0) : 0
}
