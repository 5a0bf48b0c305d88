import type { TpmSavedContext } from '../codec/commands/system.ts'
import { TpmError } from '../codec/errors.ts'
import { TPM_RC } from '../codec/response-code.ts'

/** What the caches below ask of the TPM. No call of these may use a cache itself. */
export interface SlotCommands {
  saveContext(handle: number): Promise<TpmSavedContext>
  loadContext(context: TpmSavedContext): Promise<number>
  flush(handle: number): Promise<void>
  /** How many objects and sessions fit at once. */
  limits(): Promise<{ readonly objects: number; readonly sessions: number }>
  /** Handles of all loaded transient objects. */
  loadedObjects(): Promise<readonly number[]>
}

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
  readonly #states = new Map<object, ObjectState>()

  constructor(commands: SlotCommands) {
    this.#commands = commands
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
    if (objects.length === 0 && spare === 0) return
    for (const object of objects) {
      const state = this.#stateOf(object)
      this.#states.delete(object) // to the end: a Map remembers the order of insertion, here that of use
      this.#states.set(object, state)
    }
    const missing = objects.filter((object) => this.#stateOf(object).handle === undefined)
    const { objects: limit } = await this.#commands.limits()
    await this.#makeRoom(limit - missing.length - spare, objects)
    for (const object of new Set(missing)) await this.#load(this.#stateOf(object))
  }

  /** The handle of a loaded object, good until the next `acquire`. */
  handleOf(object: object): number {
    const { handle } = this.#stateOf(object)
    if (handle === undefined) throw new TpmError('internal', 'the object was not acquired')
    return handle
  }

  /** Moves everything out except `kept`; then flushes what nobody here knows. False when there was nothing to move. */
  async evictAll(kept: readonly object[]): Promise<boolean> {
    const before = this.#loadedCount()
    await this.#makeRoom(0, kept)
    const known = new Set(Array.from(this.#states.values(), ({ handle }) => handle))
    const foreign = (await this.#commands.loadedObjects()).filter((handle) => !known.has(handle))
    for (const handle of foreign) await this.#commands.flush(handle)
    return foreign.length > 0 || this.#loadedCount() < before
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

  #loadedCount(): number {
    let count = 0
    for (const { handle } of this.#states.values()) if (handle !== undefined) count += 1
    return count
  }

  async #makeRoom(room: number, kept: readonly object[]): Promise<void> {
    for (const [object, state] of this.#states) {
      if (this.#loadedCount() <= room) return
      if (state.handle !== undefined && !kept.includes(object)) await this.#evict(state)
    }
  }

  async #evict(state: ObjectState): Promise<void> {
    if (state.handle === undefined) return
    if (state.context === undefined || state.isVolatile) state.context = await this.#commands.saveContext(state.handle)
    await this.#commands.flush(state.handle)
    state.handle = undefined
  }

  async #load(state: ObjectState): Promise<void> {
    if (state.context === undefined) throw new TpmError('internal', 'no context to load')
    state.handle = await this.#commands.loadContext(state.context)
  }
}

/** Virtual slots for sessions. A session keeps its handle through saving; its context loads only once. */
export class SessionSlots {
  readonly #commands: SlotCommands
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
    if (handles.length === 0 && spare === 0) return
    for (const handle of handles) {
      const context = this.#contexts.get(handle)
      this.#contexts.delete(handle)
      this.#contexts.set(handle, context)
    }
    const missing = handles.filter((handle) => this.#contexts.get(handle) !== undefined)
    const { sessions: limit } = await this.#commands.limits()
    await this.#makeRoom(limit - missing.length - spare, handles)
    for (const handle of new Set(missing)) await this.#load(handle)
  }

  async #makeRoom(room: number, kept: readonly number[]): Promise<void> {
    const loaded = Array.from(this.#contexts).filter(([, context]) => context === undefined)
    const out = loaded.map(([handle]) => handle).filter((handle) => !kept.includes(handle))
    for (const handle of out.slice(0, Math.max(0, loaded.length - room))) await this.#save(handle)
  }

  async #save(handle: number): Promise<void> {
    try {
      this.#contexts.set(handle, await this.#commands.saveContext(handle))
    } catch (error) {
      if (!(error instanceof TpmError) || error.response?.value !== TPM_RC.contextGap) throw error
      await this.#renewOldest()
      this.#contexts.set(handle, await this.#commands.saveContext(handle))
    }
  }

  /** A TPM numbers saved sessions and lets the oldest lag behind only so far. */
  async #renewOldest(): Promise<void> {
    let oldest: [number, TpmSavedContext] | undefined
    for (const [handle, context] of this.#contexts)
      if (context !== undefined && (oldest === undefined || context.sequence < oldest[1].sequence))
        oldest = [handle, context]
    if (oldest === undefined) throw new TpmError('internal', 'a context gap without saved sessions')
    await this.#load(oldest[0])
    this.#contexts.set(oldest[0], await this.#commands.saveContext(oldest[0]))
  }

  async #load(handle: number): Promise<void> {
    const context = this.#contexts.get(handle)
    if (context === undefined) return
    await this.#commands.loadContext(context)
    this.#contexts.set(handle, undefined)
  }
}
