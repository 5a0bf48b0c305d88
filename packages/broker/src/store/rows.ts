import type { Digest, Profile } from '@vouchsafe/core'

/** Who a store belongs to. Written once by `broker init`; nothing in it ever changes. */
export interface StoreIdentity {
  readonly profile: Profile
  /** The broker's id, `broker:…`. */
  readonly broker: string
  /** Custody's check value: tells whether a root key is the one that this store's keys are wrapped under. */
  readonly rootCheck: Uint8Array
}

/** An owner of resources at this broker, with keys, agreements, log and quota of its own (design.md section 6). */
export interface Tenant {
  readonly id: string
  /** For people. */
  readonly name: string
  /** The origin of its log. */
  readonly origin: string
  readonly createdAt: Date
}

export type Role = 'owner' | 'operator' | 'auditor'

/** A public key that may act at a tenant. */
export interface Principal {
  /** `ed25519:` and base64url. */
  readonly key: string
  /** The party whose key it is; a quorum counts parties, never keys (G04). */
  readonly party: string
  readonly role: Role
  readonly addedAt: Date
  readonly removedAt: Date | null
}

/** Permission to enrol one machine, once. */
export interface Ticket {
  /** Digest of the ticket's secret text; the text itself is never stored. */
  readonly id: Digest
  /** Key of the principal that made it. */
  readonly madeBy: string
  readonly expiresAt: Date
  /** The machine that it enrols again, after a restart that its owner knows of; null for a machine that is new here. */
  readonly machine: string | null
  /** The enrolment that used it. */
  readonly usedBy: string | null
}

/** A machine whose attestation key was activated with its endorsement key (decision 5). */
export interface Enrolment {
  /** Derived from endorsement and attestation key. */
  readonly id: string
  readonly class: string
  readonly ekCertificateDigest: Digest
  /** Name of the attestation key: algorithm and digest of its public area. */
  readonly akName: Uint8Array
  readonly akPublic: Uint8Array
  readonly resetCount: number
  readonly restartCount: number
  /** What enrolment verified, exact bytes: certificates, public areas, anchor. */
  readonly record: Uint8Array
  readonly enrolledAt: Date
  readonly endedAt: Date | null
}

/** One version of a resource, encrypted under custody. A version is never overwritten. */
export interface Resource {
  readonly path: string
  /** From 1, without gaps. */
  readonly version: number
  /** The party that owns it: what decision 1 asks, and the only place where it is said. */
  readonly owner: string
  readonly keyId: string
  readonly nonce: Uint8Array
  readonly ciphertext: Uint8Array
  /** Served beside the resource in clear: media type, label. Exact bytes. */
  readonly metadata: Uint8Array
  readonly putAt: Date
}

/** A resource without its ciphertext, at its newest version. */
export interface ResourceSummary {
  readonly path: string
  readonly version: number
  readonly owner: string
  readonly metadata: Uint8Array
  readonly removed: boolean
  readonly putAt: Date
}

/** One version of an agreement: exact bytes under their digest. */
export interface StoredAgreement {
  readonly digest: Digest
  readonly name: string
  /** From 1; the predecessor's plus one. */
  readonly version: number
  readonly previous: Digest | null
  readonly bytes: Uint8Array
  readonly filedAt: Date
}

/** An approval or withdrawal as its owner signed it. */
export interface StoredStatement {
  /** Digest of the exact signed payload: filing it twice changes nothing. */
  readonly id: Digest
  readonly says: 'approve' | 'withdraw'
  readonly agreement: Digest
  readonly owner: string
  readonly key: string
  /** The signed envelope, exact bytes. */
  readonly envelope: Uint8Array
  readonly issuedAt: Date
  /** Null for a withdrawal: it holds for ever. */
  readonly expiresAt: Date | null
  readonly receivedAt: Date
}

/** A signature of an image as it was first shown here: a record, and nothing that a decision reads. */
export interface RecordedSignature {
  readonly image: Digest
  /** Of what was signed and by which key: the same shown twice is recorded once. */
  readonly id: Digest
  /** With its key, exact bytes: the ledger entry binds them. */
  readonly record: Uint8Array
  /** Number of that entry. */
  readonly seq: number
}

/** A set of reference values, exact bytes. */
export interface ReferenceSet {
  readonly name: string
  /** Rises by one; a set is never replaced by an older one. */
  readonly version: number
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly expiresAt: Date
  readonly addedAt: Date
}

/** Something that an owner trusts no more. */
export interface DistrustRule {
  readonly id: string
  /** What is distrusted, as `decide` marks decisions: `enrolment:…`, `image:sha256:…`, `boot:…`. */
  readonly mark: string
  /** The signed request that asked for it, exact bytes. */
  readonly request: Uint8Array
  readonly addedAt: Date
  readonly liftedAt: Date | null
}

/** `accept`: evidence was accepted and a token given; nothing was released. */
export type Outcome = 'accept' | 'release' | 'wait' | 'deny'

/** A decision without its record, which may be large. */
export interface DecisionSummary {
  readonly id: string
  /** Number of its ledger entry. */
  readonly seq: number
  readonly outcome: Outcome
  readonly code: string
  /** SHA-256 of the exact record bytes: what the ledger entry binds. */
  readonly digest: Digest
  readonly decidedAt: Date
  readonly leaseId: string | null
}

export interface StoredDecision extends DecisionSummary {
  /** Exact bytes of the signed record. */
  readonly record: Uint8Array
}

export interface Lease {
  readonly id: string
  /** The decision that began it. */
  readonly decision: string
  readonly enrolment: string
  readonly agreement: Digest
  readonly beganAt: Date
  readonly expiresAt: Date
  /** How often it was renewed by fresh evidence. */
  readonly renewals: number
  readonly endedAt: Date | null
  /** An error code; null while it was not ended before its time. Expiry alone ends nothing here: compare `expiresAt`. */
  readonly endedWhy: string | null
}

export type KeyKind = 'wrapping' | 'token' | 'log' | 'decision' | 'sealing' | 'nonce' | 'resource'

/** A tenant's key, wrapped under custody. */
export interface WrappedKey {
  readonly id: string
  readonly kind: KeyKind
  /** From 1; a rotation adds the next. */
  readonly generation: number
  readonly wrapped: Uint8Array
  /** SubjectPublicKeyInfo; null for symmetric keys. */
  readonly publicKey: Uint8Array | null
  readonly notBefore: Date
  /** Null while no successor has set an end. */
  readonly notAfter: Date | null
}

/** The last state of another broker's log that was shown to this one (decision 16). */
export interface ForeignCheckpoint {
  readonly origin: string
  readonly size: number
  readonly checkpoint: string
  readonly seenAt: Date
}

/** A nonce to be used up. */
export interface Consume {
  /** What is unique: of our nonces the MAC, of a proof the digest of issuer and `jti`. */
  readonly id: Uint8Array
  readonly expiresAt: Date
}
