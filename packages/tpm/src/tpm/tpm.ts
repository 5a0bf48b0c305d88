import type { SoftwareHash, TpmHash } from '../codec/algorithms.ts'
import type { CapabilityName, CapabilityValues } from '../codec/capability.ts'
import type { CommandName } from '../codec/commands/index.ts'
import type { TypeOf } from '../codec/table.ts'
import type { TIME_INFO } from '../codec/attest.ts'
import { TpmError } from '../codec/errors.ts'
import { TPM_RC } from '../codec/response-code.ts'
import type { TaggedDigest } from '../codec/scalars.ts'
import type { TpmSession } from '../session/session.ts'
import { openTransport } from '../transport/open-transport.ts'
import type { Transport } from '../transport/transport.ts'
import { activateCredential } from './activate-credential.ts'
import type { ActivateCredentialOptions } from './activate-credential.ts'
import { attestTime, certify, certifyCreation, certifyNv, quote, quoteSelections } from './attestation.ts'
import type { Quote, QuoteOptions, SignedAttest } from './attestation.ts'
import { getCapability, identity, properties } from './capabilities.ts'
import type { TpmIdentity } from './capabilities.ts'
import type { PersistentKey, TpmObject } from './entity.ts'
import { Executor } from './executor.ts'
import type { Arguments, Results, RunOptions } from './executor.ts'
import { create, createPrimary, evict, importObject, load, loadExternal, openKey, persist } from './keys.ts'
import type { CreateChildOptions, CreatedObject, CreatePrimaryOptions, ImportOptions, LoadOptions } from './keys.ts'
import { nvDefine, nvExtend, nvIncrement, nvRead, nvUndefine, nvWrite, openNv } from './nv.ts'
import type { NvAccess, NvIndex } from './nv.ts'
import { ALL_PCRS } from '../verify/verify-tpm-quote.ts'
import { pcrBanks, pcrEvent, pcrExtend, pcrRead, pcrReset } from './pcr.ts'
import type { PcrBank } from './pcr.ts'
import type { Policy } from './policy.ts'
import { satisfyPolicy } from './satisfy-policy.ts'
import { seal, unseal } from './seal.ts'
import type { SealOptions, UnsealOptions } from './seal.ts'
import { endSession, startSession } from './start-session.ts'
import type { StartSessionOptions } from './start-session.ts'

export interface TpmOptions {
  /** How long a command may take. Default 60 seconds: a TPM may be busy with a command before ours. */
  readonly timeoutMs?: number
  /** How long making a key may take. Default 5 minutes. */
  readonly keyGenerationTimeoutMs?: number
}

type Rest<F> = F extends (tpm: Executor, ...rest: infer R) => unknown ? R : never

/**
 * One TPM 2.0.
 *
 * Calls may be made at any time and run one after the other. Objects and sessions are moved in and out of the TPM as
 * needed. What a TPM says is believed only where its structure, name or session HMAC can be checked; whether it is a
 * genuine TPM is a verifier's question, not one that this class answers.
 */
export class Tpm {
  readonly #transport: Transport
  readonly #executor: Executor

  /** @param transport - Closed together with this object. */
  constructor(transport: Transport, options: TpmOptions = {}) {
    this.#transport = transport
    this.#executor = new Executor(transport, {
      timeoutMs: options.timeoutMs ?? 60_000,
      keyGenerationTimeoutMs: options.keyGenerationTimeoutMs ?? 300_000,
    })
  }

  /** Opens the TPM at `address` (default: this machine's), in the form that `openTransport` describes. */
  static async open(address = 'device', options: TpmOptions = {}): Promise<Tpm> {
    return new Tpm(await openTransport(address), options)
  }

  /** Where this TPM is. */
  get address(): string {
    return this.#transport.address
  }

  /** Closes the connection. Loaded objects stay in a TPM without resource manager: flush them before. */
  close(): Promise<void> {
    return this.#transport.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Runs any command of the table, with the specification's names for handles, parameters and results. Handles that
   * come back are raw: load and flush them yourself, or use the methods below.
   *
   * @throws {TpmError} `tpm.response` when the TPM refuses; `tpm.integrity` when its answer is not authentic.
   */
  run<N extends CommandName>(name: N, args: Arguments<N>, options: RunOptions<N> = {}): Promise<Results<N>> {
    return this.#executor.run(name, args, options)
  }

  /** Starts the TPM, as firmware does once after power-on. A TPM that is started already stays as it is. */
  async startup(startupType: 'clear' | 'state' = 'clear'): Promise<void> {
    await this.run('Startup', { startupType }).catch((error: unknown) => {
      if (!(error instanceof TpmError) || error.response?.value !== TPM_RC.initialize) throw error
    })
  }

  async shutdown(shutdownType: 'clear' | 'state' = 'clear'): Promise<void> {
    await this.run('Shutdown', { shutdownType })
  }

  async selfTest(options: { readonly full: boolean } = { full: true }): Promise<void> {
    await this.run('SelfTest', { fullTest: options.full })
  }

  /** Reads one capability, page after page; `first` as the specification defines it for that capability. */
  getCapability<C extends CapabilityName>(capability: C, first = 0, count = 1024): Promise<CapabilityValues<C>> {
    return getCapability(this.#executor, capability, first, count)
  }

  /** All properties by TPM_PT. */
  properties(): Promise<ReadonlyMap<number, number>> {
    return properties(this.#executor)
  }

  /** Manufacturer, vendor and versions as the TPM states them; not authenticated. */
  identity(): Promise<TpmIdentity> {
    return identity(this.#executor)
  }

  /** At most as many bytes as a digest; asks as often as it takes for more. */
  async getRandom(count: number): Promise<Uint8Array> {
    const random = new Uint8Array(count)
    for (let at = 0; at < count;) {
      const { randomBytes } = await this.run('GetRandom', { bytesRequested: Math.min(count - at, 32) })
      if (randomBytes.length === 0 || randomBytes.length > count - at)
        throw new TpmError('tpm.integrity', `GetRandom: ${randomBytes.length} bytes`)
      random.set(randomBytes, at)
      at += randomBytes.length
    }
    return random
  }

  /** Milliseconds of power, reset and restart counts; not authenticated: `attestTime` is. */
  async readClock(): Promise<TypeOf<typeof TIME_INFO>> {
    return (await this.run('ReadClock', {})).currentTime
  }

  /** Banks that have registers. */
  pcrBanks(): Promise<readonly TpmHash[]> {
    return pcrBanks(this.#executor)
  }

  /** Registers of one bank, all of one moment. Default: all 24. */
  pcrRead<H extends TpmHash>(bank: H, pcrs: readonly number[] = ALL_PCRS): Promise<PcrBank<H>> {
    return pcrRead(this.#executor, bank, pcrs)
  }

  /** All registers of all banks. */
  async pcrReadAll(): Promise<readonly PcrBank[]> {
    const banks: PcrBank[] = []
    for (const bank of await this.pcrBanks()) banks.push(await this.pcrRead(bank))
    return banks
  }

  pcrExtend(pcr: number, digests: readonly TaggedDigest[]): Promise<void> {
    return pcrExtend(this.#executor, pcr, digests)
  }

  /** Has the TPM hash `data` (at most 1024 bytes) and extend all banks. */
  pcrEvent(pcr: number, data: Uint8Array): Promise<readonly TaggedDigest[]> {
    return pcrEvent(this.#executor, pcr, data)
  }

  /** Only registers 16 and 23 can be reset, and others at higher localities. */
  pcrReset(pcr: number): Promise<void> {
    return pcrReset(this.#executor, pcr)
  }

  createPrimary(options: CreatePrimaryOptions): Promise<TpmObject> {
    return createPrimary(this.#executor, options)
  }

  create(options: CreateChildOptions): Promise<CreatedObject> {
    return create(this.#executor, options)
  }

  load(options: LoadOptions): Promise<TpmObject> {
    return load(this.#executor, options)
  }

  loadExternal(options: Rest<typeof loadExternal>[0]): Promise<TpmObject> {
    return loadExternal(this.#executor, options)
  }

  /** Takes a duplicate in; the result is what `load` needs as `private`. */
  import(options: ImportOptions): Promise<Uint8Array> {
    return importObject(this.#executor, options)
  }

  /** A persistent key by its handle. */
  openKey(handle: number, authValue?: Uint8Array): Promise<PersistentKey> {
    return openKey(this.#executor, handle, authValue)
  }

  /** Keeps a loaded object under a persistent handle. */
  persist(options: Rest<typeof persist>[0]): Promise<PersistentKey> {
    return persist(this.#executor, options)
  }

  /** Removes a persistent object. */
  evict(options: Rest<typeof evict>[0]): Promise<void> {
    return evict(this.#executor, options)
  }

  /** Quotes registers of one bank together with their values. */
  quote<H extends SoftwareHash>(options: QuoteOptions<H>): Promise<Quote<H>> {
    return quote(this.#executor, options)
  }

  /** Quotes any selection, without values. */
  quoteSelections(options: Rest<typeof quoteSelections>[0]): Promise<SignedAttest> {
    return quoteSelections(this.#executor, options)
  }

  certify(options: Rest<typeof certify>[0]): Promise<SignedAttest> {
    return certify(this.#executor, options)
  }

  certifyCreation(options: Rest<typeof certifyCreation>[0]): Promise<SignedAttest> {
    return certifyCreation(this.#executor, options)
  }

  attestTime(options: Rest<typeof attestTime>[0]): Promise<SignedAttest> {
    return attestTime(this.#executor, options)
  }

  certifyNv(options: Rest<typeof certifyNv>[0]): Promise<SignedAttest> {
    return certifyNv(this.#executor, options)
  }

  /** Starts an HMAC, policy or trial session. */
  startSession(options: StartSessionOptions): Promise<TpmSession> {
    return startSession(this.#executor, options)
  }

  /** Starts a policy session and makes all assertions of `policy`. */
  async startPolicySession(policy: Policy, options: Omit<StartSessionOptions, 'type'> = {}): Promise<TpmSession> {
    const session = await startSession(this.#executor, { ...options, type: 'policy' })
    await satisfyPolicy(this.#executor, session, policy).catch(async (error: unknown) => {
      await this.endSession(session)
      throw error
    })
    return session
  }

  /** Makes more assertions in a session that is already running. */
  satisfyPolicy(session: TpmSession, policy: Policy): Promise<void> {
    return satisfyPolicy(this.#executor, session, policy)
  }

  endSession(session: TpmSession): Promise<void> {
    return endSession(this.#executor, session)
  }

  /** Answers a credential challenge. */
  activateCredential(options: ActivateCredentialOptions): Promise<Uint8Array> {
    return activateCredential(this.#executor, options)
  }

  /** Seals at most 128 bytes to this TPM and a policy. */
  seal(options: SealOptions): Promise<CreatedObject> {
    return seal(this.#executor, options)
  }

  unseal(options: UnsealOptions): Promise<Uint8Array> {
    return unseal(this.#executor, options)
  }

  /** An NV index with its public area. */
  openNv(index: number, authValue?: Uint8Array): Promise<NvIndex> {
    return openNv(this.#executor, index, authValue)
  }

  nvDefine(options: Rest<typeof nvDefine>[0]): Promise<NvIndex> {
    return nvDefine(this.#executor, options)
  }

  nvUndefine(options: Rest<typeof nvUndefine>[0]): Promise<void> {
    return nvUndefine(this.#executor, options)
  }

  nvRead(index: number, options: Rest<typeof nvRead>[1] = {}): Promise<Uint8Array> {
    return nvRead(this.#executor, index, options)
  }

  nvWrite(index: number, data: Uint8Array, options: Rest<typeof nvWrite>[2] = {}): Promise<void> {
    return nvWrite(this.#executor, index, data, options)
  }

  nvIncrement(index: number, options: NvAccess = {}): Promise<void> {
    return nvIncrement(this.#executor, index, options)
  }

  nvExtend(index: number, data: Uint8Array, options: NvAccess = {}): Promise<void> {
    return nvExtend(this.#executor, index, data, options)
  }
}
