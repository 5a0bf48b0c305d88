import { ALL_PCRS } from '../verify/verify-tpm-quote.ts'
import type { TIME_INFO } from '../codec/attest.ts'
import type { TpmHash } from '../codec/algorithms.ts'
import type { CapabilityName, CapabilityValues } from '../codec/capability.ts'
import type { CommandName } from '../codec/commands/index.ts'
import { TpmError } from '../codec/errors.ts'
import { TPM_RC } from '../codec/response-code.ts'
import type { TaggedDigest } from '../codec/scalars.ts'
import type { TypeOf } from '../codec/table.ts'
import type { TpmSession } from '../session/session.ts'
import type { Transport } from '../transport/transport.ts'
import { getCapability, identity, properties } from './capabilities.ts'
import type { TpmIdentity } from './capabilities.ts'
import { Executor } from './executor.ts'
import type { Arguments, Results, RunOptions } from './executor.ts'
import type { PcrBank } from './pcr-bank.ts'
import { pcrBanks, pcrEvent, pcrExtend, pcrRead, pcrReset } from './pcr.ts'
import type { Policy } from './policy.ts'
import { satisfyPolicy } from './satisfy-policy.ts'
import { endSession, startSession } from './start-session.ts'
import type { StartSessionOptions } from './start-session.ts'

export interface TpmOptions {
  /** How long a command may take. Default 60 seconds: a TPM may be busy with a command before ours. */
  readonly timeoutMs?: number
  /** How long making a key may take. Default 5 minutes. */
  readonly keyGenerationTimeoutMs?: number
}

/** The part of `Tpm` that needs no keys: the connection, raw commands, sessions, capabilities, registers. */
export class TpmConnection {
  readonly #transport: Transport
  /** @internal */
  protected readonly executor: Executor

  /** @param transport - Closed together with this object. */
  constructor(transport: Transport, options: TpmOptions = {}) {
    this.#transport = transport
    this.executor = new Executor(transport, {
      timeoutMs: options.timeoutMs ?? 60_000,
      keyGenerationTimeoutMs: options.keyGenerationTimeoutMs ?? 300_000,
    })
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
    return this.executor.run(name, args, options)
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
    return getCapability(this.executor, capability, first, count)
  }

  /** All properties by TPM_PT. */
  properties(): Promise<ReadonlyMap<number, number>> {
    return properties(this.executor)
  }

  /** Manufacturer, vendor and versions as the TPM states them; not authenticated. */
  identity(): Promise<TpmIdentity> {
    return identity(this.executor)
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
    return pcrBanks(this.executor)
  }

  /** Registers of one bank, all of one moment. Default: all 24. */
  pcrRead<H extends TpmHash>(bank: H, pcrs: readonly number[] = ALL_PCRS): Promise<PcrBank<H>> {
    return pcrRead(this.executor, bank, pcrs)
  }

  /** All registers of all banks. */
  async pcrReadAll(): Promise<readonly PcrBank[]> {
    const banks: PcrBank[] = []
    for (const bank of await this.pcrBanks()) banks.push(await this.pcrRead(bank))
    return banks
  }

  pcrExtend(pcr: number, digests: readonly TaggedDigest[]): Promise<void> {
    return pcrExtend(this.executor, pcr, digests)
  }

  /** Has the TPM hash `data`, of any length, and extend all banks. */
  pcrEvent(pcr: number, data: Uint8Array): Promise<readonly TaggedDigest[]> {
    return pcrEvent(this.executor, pcr, data)
  }

  /** Only registers 16 and 23 can be reset, and others at higher localities. */
  pcrReset(pcr: number): Promise<void> {
    return pcrReset(this.executor, pcr)
  }

  /** Starts an HMAC, policy or trial session. */
  startSession(options: StartSessionOptions): Promise<TpmSession> {
    return startSession(this.executor, options)
  }

  /** Starts a policy session and makes all assertions of `policy`. */
  async startPolicySession(policy: Policy, options: Omit<StartSessionOptions, 'type'> = {}): Promise<TpmSession> {
    const session = await startSession(this.executor, { ...options, type: 'policy' })
    await satisfyPolicy(this.executor, session, policy).catch(async (error: unknown) => {
      await this.endSession(session).catch(() => undefined)
      throw error
    })
    return session
  }

  /** Makes more assertions in a session that is already running. */
  satisfyPolicy(session: TpmSession, policy: Policy): Promise<void> {
    return satisfyPolicy(this.executor, session, policy)
  }

  endSession(session: TpmSession): Promise<void> {
    return endSession(this.executor, session)
  }
}
