import type { Digest } from '@vouchsafe/core'
import type {
  Consume,
  DistrustRule,
  Enrolment,
  ForeignCheckpoint,
  Principal,
  RecordedSignature,
  ReferenceSet,
  Resource,
  StoredAgreement,
  StoredStatement,
  Ticket,
  WrappedKey,
} from './rows.ts'

/** One change of a tenant's state, made by `append` together with its ledger entry. Times are the entry's. */
export type Change =
  | { readonly change: 'principal.add'; readonly principal: Omit<Principal, 'addedAt' | 'removedAt'> }
  | { readonly change: 'principal.remove'; readonly key: string }
  | { readonly change: 'ticket.add'; readonly ticket: Omit<Ticket, 'usedBy'> }
  /** Refused as `enrolment.ticket` unless it is there, unused, in time, and for this machine or any. */
  | { readonly change: 'ticket.use'; readonly id: Digest; readonly enrolment: string }
  /** A conflict while that machine is enrolled; one that ended may be enrolled again. */
  | { readonly change: 'enrolment.add'; readonly enrolment: Omit<Enrolment, 'enrolledAt' | 'endedAt'> }
  /** Ends its leases too. */
  | { readonly change: 'enrolment.end'; readonly id: string; readonly why: string }
  /** The version must be the newest plus one. Putting a removed resource brings it back. */
  | { readonly change: 'resource.put'; readonly resource: Omit<Resource, 'putAt'> }
  | { readonly change: 'resource.remove'; readonly path: string }
  /** Stores a version; it is not in force before `agreement.adopt`. */
  | { readonly change: 'agreement.file'; readonly agreement: Omit<StoredAgreement, 'filedAt' | 'version'> }
  /** Puts a filed version in force. It must be the first, or name the current one as its predecessor. */
  | { readonly change: 'agreement.adopt'; readonly name: string; readonly digest: Digest }
  /** A withdrawal ends the agreement's leases too. A statement that is there already changes nothing. */
  | { readonly change: 'statement.add'; readonly statement: Omit<StoredStatement, 'receivedAt'> }
  /** A conflict when it is there already; refused as `input.too-large` when its image has `atMost` of them. */
  | {
      readonly change: 'signature.add'
      readonly signature: Omit<RecordedSignature, 'seq'>
      readonly atMost: number
    }
  | { readonly change: 'reference.add'; readonly set: Omit<ReferenceSet, 'addedAt'> }
  /** Ends the leases whose decision carries the mark. */
  | { readonly change: 'distrust.add'; readonly rule: Omit<DistrustRule, 'addedAt' | 'liftedAt'> }
  | { readonly change: 'distrust.lift'; readonly id: string }
  | { readonly change: 'lease.end'; readonly id: string; readonly why: string }
  /** Kept when it is larger than the one that is there; the caller has verified it. */
  | { readonly change: 'checkpoint.keep'; readonly checkpoint: Omit<ForeignCheckpoint, 'seenAt'> }
  | { readonly change: 'key.add'; readonly key: WrappedKey }
  | { readonly change: 'setting.put'; readonly name: string; readonly value: Uint8Array }
  /** For requests that end in no decision, such as a signed call of an owner. */
  | { readonly change: 'nonce.consume'; readonly nonce: Consume }
