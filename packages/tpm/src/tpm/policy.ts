import type { SoftwareHash } from '../codec/algorithms.ts'
import { softwareHash } from '../codec/algorithms.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { COMMANDS } from '../codec/commands/index.ts'
import type { CommandName } from '../codec/commands/index.ts'
import { TpmError } from '../codec/errors.ts'
import { TPM_RH } from '../codec/handles.ts'
import type { PermanentEntity } from '../codec/handles.ts'
import { handleName, tpmName } from '../codec/name.ts'
import type { PcrSelection } from '../codec/pcr-selection.ts'
import { PolicyDigest } from '../codec/policy-digest.ts'
import type { PolicyOperation } from '../codec/policy-digest.ts'
import type { TpmPublic } from '../codec/public-area.ts'
import type { TpmSignature } from '../codec/signature.ts'
import { digest } from '../crypto/digest.ts'
import type { Authorization } from '../session/authorization.ts'
import type { TpmEntity, TpmObject } from './entity.ts'
import { valuesInOrder } from './pcr-bank.ts'
import type { PcrBank } from './pcr-bank.ts'

type Named = PermanentEntity | TpmEntity | TpmObject

/** One assertion of a policy: enough to compute its digest, and to make it on a TPM. */
export type PolicyStep =
  | {
      readonly kind: 'pcr'
      readonly selections: readonly PcrSelection[]
      /** The values that shall open it. Needed for the digest; on the TPM its current ones are checked against them. */
      readonly values?: readonly PcrBank[]
    }
  | {
      readonly kind: 'secret'
      readonly entity: Named
      readonly policyRef?: Uint8Array
      /** How the entity is authorized. Default: by its password. */
      readonly auth?: Authorization
    }
  | {
      readonly kind: 'signed'
      readonly key: TpmPublic
      readonly policyRef?: Uint8Array
      /** Signs the message (not its digest) that authorizes this session; called when the policy is satisfied. */
      readonly sign: (message: Uint8Array) => TpmSignature | Promise<TpmSignature>
    }
  | {
      readonly kind: 'authorize'
      readonly key: TpmPublic
      readonly policyRef?: Uint8Array
      /** The policy that the key has approved: its steps are made first. */
      readonly approved: Policy
      /** Over `approvalMessage`. */
      readonly signature: TpmSignature
    }
  | {
      readonly kind: 'nv'
      readonly index: TpmEntity
      readonly operandB: Uint8Array
      readonly offset: number
      readonly operation: PolicyOperation
      /** Who authorizes the reading. Default: the index itself. */
      readonly authority?: 'owner' | 'platform' | TpmEntity
    }
  | { readonly kind: 'or'; readonly branches: readonly Policy[]; readonly taken: number }
  | { readonly kind: 'command-code'; readonly command: CommandName }
  | { readonly kind: 'duplication-select'; readonly newParentName: Uint8Array; readonly objectName?: Uint8Array }
  | { readonly kind: 'locality'; readonly locality: number }
  | { readonly kind: 'nv-written'; readonly written: boolean }
  | {
      readonly kind: 'counter-timer'
      readonly operandB: Uint8Array
      readonly offset: number
      readonly operation: PolicyOperation
    }
  | { readonly kind: 'cp-hash'; readonly cpHash: Uint8Array }
  | { readonly kind: 'name-hash'; readonly nameHash: Uint8Array }
  | { readonly kind: 'template'; readonly templateHash: Uint8Array }
  /** The object's password, proved inside the session's HMAC. */
  | { readonly kind: 'auth-value' }
  /** The object's password, sent in the clear. Same digest as `auth-value`. */
  | { readonly kind: 'password' }

/** Assertions in order. The same data computes the digest for a new object and satisfies it later. */
export type Policy = readonly PolicyStep[]

/** The policy of the TCG's low-range EK templates. */
export const EK_POLICY: Policy = [{ kind: 'secret', entity: 'endorsement' }]

/** The digest that an object's `authPolicy` must have for `policy` to open it. */
export function policyDigest(policy: Policy, hash: SoftwareHash = 'sha256'): Uint8Array<ArrayBuffer> {
  const running = new PolicyDigest(hash, digest)
  for (const step of policy) extend(running, step)
  return running.value
}

/** The message that the key of a PolicyAuthorize signs to approve a policy. */
export function approvalMessage(
  approved: Policy,
  options: { readonly hash?: SoftwareHash; readonly policyRef?: Uint8Array } = {},
): Uint8Array<ArrayBuffer> {
  const w = new ByteWriter('big').raw(policyDigest(approved, options.hash ?? 'sha256'))
  return w.raw(options.policyRef ?? new Uint8Array()).finish()
}

/** The message that the key of a PolicySigned signs: no expiry, no restriction to parameters, for this session only. */
export function signedMessage(nonceTPM: Uint8Array, policyRef: Uint8Array): Uint8Array<ArrayBuffer> {
  return new ByteWriter('big').raw(nonceTPM).i32('expiration', 0).raw(policyRef).finish()
}

export function nameOf(entity: Named): Uint8Array {
  return typeof entity === 'string' ? handleName(TPM_RH[entity]) : entity.name
}

function extend(running: PolicyDigest, step: PolicyStep): void {
  switch (step.kind) {
    case 'pcr':
      if (step.values === undefined) throw new TpmError('input.malformed', 'a digest needs the register values')
      running.pcr(step.selections, valuesInOrder(step.selections, step.values))
      return
    case 'secret':
      running.secret(nameOf(step.entity), step.policyRef)
      return
    case 'signed':
      running.signed(tpmName(step.key, digest), step.policyRef)
      return
    case 'authorize':
      running.authorize(tpmName(step.key, digest), step.policyRef)
      return
    case 'nv':
      running.nv(step.index.name, step.operandB, step.offset, step.operation)
      return
    case 'or':
      running.or(step.branches.map((branch) => policyDigest(branch, running.hash)))
      return
    case 'command-code':
      running.commandCode(step.command)
      return
    case 'duplication-select':
      running.duplicationSelect(step.newParentName, step.objectName)
      return
    case 'locality':
      running.locality(step.locality)
      return
    case 'nv-written':
      running.nvWritten(step.written)
      return
    case 'counter-timer':
      running.counterTimer(step.operandB, step.offset, step.operation)
      return
    case 'cp-hash':
      running.cpHash(step.cpHash)
      return
    case 'name-hash':
      running.nameHash(step.nameHash)
      return
    case 'template':
      running.template(step.templateHash)
      return
    case 'auth-value':
      running.authValue()
      return
    case 'password':
      running.password()
      return
  }
}

/** The code of a command, for PolicyCommandCode. */
export function commandCode(command: CommandName): number {
  return COMMANDS[command].code
}

/** The hash of a policy is that of the object's name. */
export function policyHashOf(area: TpmPublic): SoftwareHash {
  return softwareHash(area.nameAlg)
}
