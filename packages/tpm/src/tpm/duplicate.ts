import { TPM_RH } from '../codec/handles.ts'
import type { Policy } from './policy.ts'
import type { TpmKey } from './entity.ts'
import type { Executor } from './executor.ts'
import { innerCipher } from './keys.ts'
import { policyHashOf } from './policy.ts'
import { satisfyPolicy } from './satisfy-policy.ts'
import { endingSession, startSession } from './start-session.ts'

const INNER_KEY_BYTES = 16

/** An object on its way to another parent, perhaps on another TPM. */
export interface Duplicate {
  readonly duplicate: Uint8Array
  readonly encryptedSeed: Uint8Array
  /** Key of the inner wrapper; empty without one. */
  readonly innerKey: Uint8Array
}

/**
 * Exports an object to another parent, of which the public part must be loaded.
 *
 * @param options.newParent - Left out, the object leaves in the clear unless there is an inner wrapper.
 * @param options.policy - The object's policy: only that authorizes a duplication.
 * @param options.innerWrapper - Encrypt under a key of the TPM's making, too, given back as `innerKey`. Default false.
 */
export async function duplicate(
  tpm: Executor,
  options: {
    readonly object: TpmKey
    readonly newParent: TpmKey | undefined
    readonly policy: Policy
    readonly innerWrapper?: boolean
  },
): Promise<Duplicate> {
  const { object, newParent, policy } = options
  const symmetricAlg =
    options.innerWrapper === true ? innerCipher(new Uint8Array(INNER_KEY_BYTES)) : innerCipher(undefined)
  const session = await startSession(tpm, { type: 'policy', hash: policyHashOf(object.public) })
  return endingSession(tpm, session, async () => {
    await satisfyPolicy(tpm, session, policy)
    const made = await tpm.run(
      'Duplicate',
      {
        objectHandle: object,
        newParentHandle: newParent ?? TPM_RH.null,
        encryptionKeyIn: new Uint8Array(),
        symmetricAlg,
      },
      { auth: { objectHandle: { session, last: true } } },
    )
    return { duplicate: made.duplicate, encryptedSeed: made.outSymSeed, innerKey: made.encryptionKeyOut }
  })
}
