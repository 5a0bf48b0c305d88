import type { VouchsafeError } from '@vouchsafe/core'
import { type AppendSteps, appendSteps, createTenantSteps } from './append.ts'
import { insertKey } from './apply-change.ts'
import { decideSteps } from './decide.ts'
import type { HeadGuard } from './head-guard.ts'
import { KnownHeads } from './known-heads.ts'
import { type LoggedEntry, readHead } from './log.ts'
import { proveConsistency, proveInclusion, readEntries, readEntriesAbout, readReceipt } from './log-proofs.ts'
import { purgeNonces } from './nonces.ts'
import * as consent from './read-consent.ts'
import * as decisions from './read-decisions.ts'
import * as registry from './read-registry.ts'
import * as base from './read-store.ts'
import { type RestoredLog, restoreSteps } from './restore.ts'
import type { StoreIdentity, Tenant, WrappedKey } from './rows.ts'
import type { Result, Statement, Steps } from './steps.ts'
import type { Append, Decide, Decided, LogSigner, Recorded, Store } from './store.ts'

/** Runs steps on one database. What a database cannot do comes back as `store.unavailable`, never as its own error. */
export interface Runner {
  /** Reads committed state. */
  read<T>(steps: () => Steps<T>): Promise<T>
  /**
   * One transaction: durable when this resolves, without a trace when it rejects with a coded error.
   *
   * @param committed - Called as soon as it is durable, before anything else can run.
   */
  write<T>(steps: () => Steps<T>, committed?: (answer: T) => void): Promise<T>
  close(): Promise<void>
}

export interface StoreOptions {
  /** Where heads are kept outside of the store. */
  readonly guard: HeadGuard
  readonly clock: () => Date
  /**
   * Takes a log whose head was never kept here as it is: for the first start of a replica, or with a new guard. Left
   * out, such a store is sealed, since a missing guard looks the same as one that was thrown away.
   */
  readonly adoptHeads?: boolean
  /** Told of every statement and what it gave; for the bench. */
  readonly onStatement?: (statement: Statement, result: Result) => void
}

/** Compares every log with its kept head, then serves. */
export async function openStore(runner: Runner, options: StoreOptions): Promise<Store> {
  const heads = new KnownHeads(options.guard)
  try {
    for (const { id } of await runner.read(base.readTenants)) {
      const head = await runner.read(() => readHead(id))
      if (await heads.load(id)) {
        try {
          await runner.read(() => heads.check(id, head))
        } catch (error) {
          // a store that went back opens sealed, so that an operator can look and say what happened
          if (error !== heads.regressed) throw error
        }
      } else if (options.adoptHeads === true) {
        heads.adopt(id, head)
        await heads.keep(id, head)
      } else {
        heads.seal(`no head of ${id}’s log was kept outside the store`)
      }
    }
  } catch (error) {
    await runner.close()
    throw error
  }
  return new SqlStore(runner, heads, options.clock)
}

class SqlStore implements Store {
  readonly #runner: Runner
  readonly #heads: KnownHeads
  readonly #clock: () => Date

  constructor(runner: Runner, heads: KnownHeads, clock: () => Date) {
    this.#runner = runner
    this.#heads = heads
    this.#clock = clock
  }

  get regressed(): VouchsafeError | null {
    return this.#heads.regressed
  }

  // what a sealed store still tells, so that it can be looked at and restored
  identity = () => this.#runner.read(base.readIdentity)
  keys = (tenant: string) => this.#runner.read(() => base.readKeys(tenant))
  async close(): Promise<void> {
    await this.#runner.close()
    await this.#heads.close()
  }

  initialise = (identity: StoreIdentity) => this.#write(() => base.writeIdentity(identity))
  restoreEpoch = () => this.#read(base.readRestoreEpoch)
  purgeNonces = (before: Date) => this.#write(() => purgeNonces(before))

  async acceptRestore(signerOf: (tenant: Tenant) => Promise<LogSigner>): Promise<void> {
    const logs: RestoredLog[] = []
    for (const tenant of await this.#runner.read(base.readTenants)) {
      logs.push({ tenant: tenant.id, signer: await signerOf(tenant), lost: this.#heads.get(tenant.id) })
    }
    const restored = await this.#runner.write(() => restoreSteps(logs, this.#clock))
    await this.#heads.restart(restored.map(({ tenant, entry }) => ({ tenant, head: headOf(entry) })))
  }

  async createTenant(tenant: { readonly id: string; readonly name: string }, signer: LogSigner): Promise<Recorded> {
    return await this.#record(tenant.id, () => createTenantSteps(tenant, signer, this.#clock()))
  }

  async append(append: Append): Promise<Recorded> {
    return await this.#record(append.tenant, () => appendSteps(append, this.#clock, this.#heads))
  }

  async decide(decide: Decide): Promise<Decided> {
    const { tenant } = decide
    const done = await this.#write(
      () => decideSteps(decide, this.#clock, this.#heads),
      (answer) => {
        if (answer.kind === 'recorded') this.#heads.wrote(tenant, headOf(answer.logged))
      },
    )
    if (done.kind === 'repeated') return done
    return { kind: 'recorded', ...(await this.#kept(tenant, done)) }
  }

  async addKeyOnce(tenant: string, key: WrappedKey): Promise<WrappedKey> {
    return await this.#write(function* () {
      if (yield* insertKey(tenant, key)) return key
      return (yield* base.readKey(tenant, key.kind, key.generation)) ?? key
    })
  }

  tenants = () => this.#read(base.readTenants)
  tenant: Store['tenant'] = (id) => this.#read(() => base.readTenant(id))
  head: Store['head'] = (tenant) => this.#read(() => readHead(tenant))
  key: Store['key'] = (tenant, kind, generation) => this.#read(() => base.readKey(tenant, kind, generation))
  setting: Store['setting'] = (tenant, name) => this.#read(() => base.readSetting(tenant, name))

  principals: Store['principals'] = (tenant) => this.#read(() => registry.readPrincipals(tenant))
  principal: Store['principal'] = (tenant, key) => this.#read(() => registry.readPrincipal(tenant, key))
  ticket: Store['ticket'] = (tenant, id) => this.#read(() => registry.readTicket(tenant, id))
  enrolment: Store['enrolment'] = (tenant, id) => this.#read(() => registry.readEnrolment(tenant, id))
  enrolments: Store['enrolments'] = (tenant) => this.#read(() => registry.readEnrolments(tenant))
  resource: Store['resource'] = (tenant, path, version) =>
    this.#read(() => registry.readResource(tenant, path, version))
  resources: Store['resources'] = (tenant, page) => this.#read(() => registry.readResources(tenant, page))
  resourceHistory: Store['resourceHistory'] = (tenant, path) =>
    this.#read(() => registry.readResourceHistory(tenant, path))

  agreement: Store['agreement'] = (tenant, digest) => this.#read(() => consent.readAgreement(tenant, digest))
  currentAgreement: Store['currentAgreement'] = (tenant, name) =>
    this.#read(() => consent.readCurrentAgreement(tenant, name))
  agreements: Store['agreements'] = (tenant) => this.#read(() => consent.readAgreements(tenant))
  statements: Store['statements'] = (tenant, agreement) => this.#read(() => consent.readStatements(tenant, agreement))
  signatures: Store['signatures'] = (tenant, image) => this.#read(() => consent.readSignatures(tenant, image))
  referenceSet: Store['referenceSet'] = (tenant, name) => this.#read(() => consent.readReferenceSet(tenant, name))
  referenceSets: Store['referenceSets'] = (tenant) => this.#read(() => consent.readReferenceSets(tenant))
  distrustRules: Store['distrustRules'] = (tenant) => this.#read(() => consent.readDistrustRules(tenant))
  foreignCheckpoint: Store['foreignCheckpoint'] = (tenant, origin) =>
    this.#read(() => consent.readForeignCheckpoint(tenant, origin))

  decision: Store['decision'] = (tenant, id) => this.#read(() => decisions.readDecision(tenant, id))
  decisionOf: Store['decisionOf'] = (tenant, request) => this.#read(() => decisions.readDecisionOf(tenant, request))
  decisions: Store['decisions'] = (tenant, page) => this.#read(() => decisions.readDecisions(tenant, page))
  lease: Store['lease'] = (tenant, id) => this.#read(() => decisions.readLease(tenant, id))
  liveLeases: Store['liveLeases'] = (tenant, at, mark) => this.#read(() => decisions.readLiveLeases(tenant, at, mark))

  entries: Store['entries'] = (tenant, from, limit) => this.#read(() => readEntries(tenant, from, limit))
  entriesAbout: Store['entriesAbout'] = (tenant, subject) => this.#read(() => readEntriesAbout(tenant, subject))
  inclusionProof: Store['inclusionProof'] = (tenant, seq, size) => this.#read(() => proveInclusion(tenant, seq, size))
  consistencyProof: Store['consistencyProof'] = (tenant, earlier, later) =>
    this.#read(() => proveConsistency(tenant, earlier, later))
  receipt: Store['receipt'] = (tenant, seq) => this.#read(() => readReceipt(tenant, seq))

  #read<T>(steps: () => Steps<T>): Promise<T> {
    return this.#unlessRegressed(() => this.#runner.read(steps))
  }

  #write<T>(steps: () => Steps<T>, committed?: (answer: T) => void): Promise<T> {
    return this.#unlessRegressed(async () => {
      await this.#heads.assertKept()
      return await this.#runner.write(steps, committed)
    })
  }

  async #unlessRegressed<T>(run: () => Promise<T>): Promise<T> {
    this.#heads.assertNotRegressed()
    return await run()
  }

  async #record(tenant: string, steps: () => Steps<AppendSteps>): Promise<Recorded> {
    const done = await this.#write(steps, ({ logged }) => this.#heads.wrote(tenant, headOf(logged)))
    return await this.#kept(tenant, done)
  }

  /** The last step before an answer: the new head is kept outside the store, too. */
  async #kept(tenant: string, { logged, endedLeases }: AppendSteps): Promise<Recorded> {
    await this.#heads.keep(tenant, headOf(logged))
    const { seq, entry, checkpoint, time } = logged
    return { seq, entry, checkpoint, time, endedLeases }
  }
}

function headOf({ seq, root }: LoggedEntry): { readonly size: number; readonly root: Uint8Array } {
  return { size: seq + 1, root }
}
