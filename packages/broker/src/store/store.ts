import type { CheckpointSigner, Digest, EntryContent, Proof, Receipt, VouchsafeError } from '@vouchsafe/core'
import type { Change } from './changes.ts'
import type {
  Consume,
  DecisionSummary,
  DistrustRule,
  Enrolment,
  ForeignCheckpoint,
  KeyKind,
  Lease,
  Outcome,
  Principal,
  RecordedSignature,
  ReferenceSet,
  Resource,
  ResourceSummary,
  StoreIdentity,
  StoredAgreement,
  StoredDecision,
  StoredStatement,
  Tenant,
  Ticket,
  WrappedKey,
} from './rows.ts'

/**
 * All state of a broker. Two implementations, `openSqliteStore` and `openPostgresStore`, behave the same: the suite in
 * `store.contract.ts` runs on both. Every row belongs to a tenant and every read names it, so an id guessed across
 * tenants finds nothing (G09). Bytes that were signed or hashed come back exactly as they went in.
 *
 * What changes a tenant's state is one of two transactions, and both end in a ledger entry with its signed checkpoint:
 * `append` for owners and operators, `decide` for workloads. Both resolve only once the entry is durable.
 *
 * Every method may reject with `store.unavailable` (nothing can be said about the state), and with `ledger.regressed`
 * once the store was found behind the head kept outside of it; then all but `keys`, `identity` and `acceptRestore` do.
 */
export interface Store {
  // --- the store itself ---

  /** Why the store is sealed: it was found behind the head kept outside of it. Null while all is well. */
  readonly regressed: VouchsafeError | null

  /** Null before `initialise`. */
  identity(): Promise<StoreIdentity | null>
  /** Writes the identity of an empty store. @throws {VouchsafeError} `store.conflict` when it has one already. */
  initialise(identity: StoreIdentity): Promise<void>
  /** Rises when a backup is restored; nonces of an earlier epoch are void (decision 13). */
  restoreEpoch(): Promise<number>
  /**
   * The operator says that a store behind its kept head was restored on purpose. Raises the restore epoch and records
   * `store.restored`, with the head that was known before, in every tenant's log. Whoever keeps a later checkpoint
   * will still see that entries are missing: that is not undone by anything here.
   */
  acceptRestore(signerOf: (tenant: Tenant) => Promise<LogSigner>): Promise<void>
  /** Deletes consumed nonces that expired before `before`. Keep a day's worth at the least. */
  purgeNonces(before: Date): Promise<number>
  close(): Promise<void>

  // --- transactions ---

  /** Adds a tenant and begins its log with the genesis entry. @throws {VouchsafeError} `store.conflict` */
  createTenant(tenant: { readonly id: string; readonly name: string }, signer: LogSigner): Promise<Recorded>
  /**
   * Applies changes and records them as one ledger entry, or does neither.
   *
   * @throws {VouchsafeError} `store.conflict`, `store.unknown`, `enrolment.ticket`, `evidence.stale` by the change;
   *   `clock.backwards`; `ledger.broken` when the stored head is not one that the log's key signed.
   */
  append(append: Append): Promise<Recorded>
  /**
   * The release transaction (decision 15): locks the tenant's log head; re-reads what the decision relied on; consumes
   * nonces; inserts decision, lease, leaf and checkpoint; commits.
   *
   * @returns `repeated` with the first decision when the same request of the same proof key was decided before
   *   (decision 14); then nothing is written and no nonce consumed.
   * @throws {VouchsafeError} `store.changed` when an expectation fails: read again and decide anew. `evidence.stale`
   *   for a nonce that was used or has expired; `lease.ended` for a renewal of a lease that is over;
   *   `clock.backwards`; `ledger.broken`.
   */
  decide(decide: Decide): Promise<Decided>

  // --- reads, all by tenant ---

  tenants(): Promise<readonly Tenant[]>
  tenant(id: string): Promise<Tenant | null>
  /** The newest state: read this before what a decision relies on, and hand its epochs to `decide`. */
  head(tenant: string): Promise<LedgerHead>

  principals(tenant: string): Promise<readonly Principal[]>
  /** Null when the key is unknown or was removed. */
  principal(tenant: string, key: string): Promise<Principal | null>
  ticket(tenant: string, id: Digest): Promise<Ticket | null>
  enrolment(tenant: string, id: string): Promise<Enrolment | null>
  enrolments(tenant: string): Promise<readonly Enrolment[]>

  /** The newest version, or the one asked for; null when there is none or the resource was removed. */
  resource(tenant: string, path: string, version?: number): Promise<Resource | null>
  /** Removed ones too, marked so. In order of path. */
  resources(
    tenant: string,
    page: { readonly after?: string; readonly limit: number },
  ): Promise<readonly ResourceSummary[]>
  /** Newest first. */
  resourceHistory(tenant: string, path: string): Promise<readonly ResourceSummary[]>

  agreement(tenant: string, digest: Digest): Promise<StoredAgreement | null>
  /** The version in force. */
  currentAgreement(tenant: string, name: string): Promise<StoredAgreement | null>
  /** Every version of every agreement, newest first by name. */
  agreements(tenant: string): Promise<readonly (StoredAgreement & { readonly current: boolean })[]>
  /** In the order in which they arrived. */
  statements(tenant: string, agreement: Digest): Promise<readonly StoredStatement[]>

  /** Recorded signatures of an image, in the order in which they were shown. No decision reads them. */
  signatures(tenant: string, image: Digest): Promise<readonly RecordedSignature[]>

  /** The newest version; also when it has expired. */
  referenceSet(tenant: string, name: string): Promise<ReferenceSet | null>
  referenceSets(tenant: string): Promise<readonly ReferenceSet[]>
  /** Those in force. */
  distrustRules(tenant: string): Promise<readonly DistrustRule[]>

  decision(tenant: string, id: string): Promise<StoredDecision | null>
  decisionOf(tenant: string, request: RequestRef): Promise<StoredDecision | null>
  /** Newest first; by mark, all decisions that relied on that platform, image, agreement. */
  decisions(
    tenant: string,
    page: { readonly mark?: string; readonly beforeSeq?: number; readonly limit: number },
  ): Promise<readonly DecisionSummary[]>
  lease(tenant: string, id: string): Promise<Lease | null>
  /** Neither ended nor expired at `at`; by mark of the decision that began them. */
  liveLeases(tenant: string, at: Date, mark?: string): Promise<readonly Lease[]>

  /** The key of that generation, or the newest. */
  key(tenant: string, kind: KeyKind, generation?: number): Promise<WrappedKey | null>
  keys(tenant: string): Promise<readonly WrappedKey[]>
  /** Inserts a key unless that kind and generation is there. @returns The one that is stored: this one, or the winner's. */
  addKeyOnce(tenant: string, key: WrappedKey): Promise<WrappedKey>

  foreignCheckpoint(tenant: string, origin: string): Promise<ForeignCheckpoint | null>
  setting(tenant: string, name: string): Promise<Uint8Array | null>

  // --- ledger reads ---

  /** Entries `from` up to `from + limit`, for listing and export. */
  entries(tenant: string, from: number, limit: number): Promise<readonly StoredEntry[]>
  /** Newest first: the entries about one decision, agreement, resource. */
  entriesAbout(tenant: string, subject: string): Promise<readonly StoredEntry[]>
  /** @throws {VouchsafeError} `ledger.range` */
  inclusionProof(tenant: string, seq: number, size: number): Promise<Proof>
  /** @throws {VouchsafeError} `ledger.range` */
  consistencyProof(tenant: string, earlier: number, later: number): Promise<Proof>
  /** Entry, proof and checkpoint of the newest state. @throws {VouchsafeError} `ledger.range` */
  receipt(tenant: string, seq: number): Promise<Receipt>
}

/** Signs a log's checkpoints, and knows the ones it signed. Made by custody. */
export interface LogSigner extends CheckpointSigner {
  /** True for a checkpoint that this log's key, or one before it, signed. Nothing is appended to any other head. */
  recognises(checkpoint: string): boolean
}

/**
 * Counters that rise whenever something changes that decisions rely on. `consent`: agreements, approvals, withdrawals.
 * `registry`: principals and enrolments. `reference`: reference values. `distrust`: distrust rules.
 */
export interface Epochs {
  readonly consent: number
  readonly registry: number
  readonly reference: number
  readonly distrust: number
}

export interface LedgerHead {
  readonly size: number
  readonly root: Uint8Array
  /** Of the newest entry. */
  readonly time: Date
  readonly checkpoint: string
  readonly epochs: Epochs
}

export interface StoredEntry {
  readonly seq: number
  /** The entry's exact bytes. */
  readonly entry: Uint8Array
  /** Signed when it was appended. */
  readonly checkpoint: string
}

export interface Append {
  readonly tenant: string
  readonly entry: EntryContent
  readonly changes: readonly Change[]
  readonly signer: LogSigner
}

/** What is durable now. */
export interface Recorded extends StoredEntry {
  /** The entry's time: the store's clock, never below the entry before. */
  readonly time: Date
  /** Leases that the changes ended. */
  readonly endedLeases: readonly string[]
}

/** A request, named by its maker's key so that nobody fetches another's. */
export interface RequestRef {
  readonly id: string
  /** Thumbprint of the proof key. */
  readonly proofKey: string
}

/** What a decision to release relied on. All of it is read again under the lock. */
export interface Expectation {
  readonly epochs: Epochs
  readonly agreement: { readonly name: string; readonly digest: Digest }
  /** The versions to be released; each must still be the newest, and not removed. */
  readonly resources: readonly { readonly path: string; readonly version: number }[]
  /** The earliest end of approval, agreement, evidence and whatever else the decision relied on. */
  readonly validUntil: Date
}

export interface Decide {
  readonly tenant: string
  /** May be null for `wait` and `deny` only: a release without expectations is refused as a bug. */
  readonly expect: Expectation | null
  /** At least one for a release. Empty when the request never proved a nonce. */
  readonly consume: readonly Consume[]
  readonly decision: {
    readonly id: string
    readonly record: Uint8Array
    readonly digest: Digest
    readonly outcome: Outcome
    /** An error code, or `ok`. */
    readonly code: string
    /** What it relied on, for finding it again: `enrolment:…`, `image:…`, `agreement:…`. */
    readonly marks: readonly string[]
    /** For the ledger entry, beside outcome and code. */
    readonly facts: Readonly<Record<string, string>>
    /** Null when no proof key was shown: such a request cannot be repeated. */
    readonly request: RequestRef | null
  }
  readonly lease:
    | { readonly kind: 'new'; readonly id: string; readonly enrolment: string; readonly expiresAt: Date }
    | { readonly kind: 'renew'; readonly id: string; readonly expiresAt: Date }
    | { readonly kind: 'end'; readonly id: string; readonly why: string }
    | { readonly kind: 'none' }
  readonly signer: LogSigner
}

export type Decided =
  ({ readonly kind: 'recorded' } & Recorded) | { readonly kind: 'repeated'; readonly decision: StoredDecision }
