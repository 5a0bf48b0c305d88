import { EK_POLICY_A_SHA256 } from '../codec/templates.ts'
import type { Authorization } from '../session/authorization.ts'
import type { CredentialChallenge } from '../software/make-credential.ts'
import type { TpmKey } from './entity.ts'
import type { Executor } from './executor.ts'
import { EK_POLICY, policyHashOf } from './policy.ts'
import type { Policy } from './policy.ts'
import { satisfyPolicy } from './satisfy-policy.ts'
import { endSession, startSession } from './start-session.ts'

export interface ActivateCredentialOptions {
  readonly endorsementKey: TpmKey
  /** The key to be proved. */
  readonly object: TpmKey
  readonly challenge: CredentialChallenge
  readonly objectAuth?: Authorization
  /** Default: PolicySecret(endorsement) for keys with that policy, else the key's password. */
  readonly endorsementKeyPolicy?: Policy
  /** Have the TPM encrypt the credential on its way here. Default true. */
  readonly encrypt?: boolean
}

/**
 * Answers a credential challenge: proves that both keys are in this TPM.
 *
 * @throws {TpmError} `tpm.response`: TPM_RC_INTEGRITY or TPM_RC_VALUE when the challenge is for another key or TPM.
 */
export async function activateCredential(tpm: Executor, options: ActivateCredentialOptions): Promise<Uint8Array> {
  const { endorsementKey, object, challenge } = options
  const { authPolicy, attributes } = endorsementKey.public
  const hasPolicyA = Buffer.compare(authPolicy, EK_POLICY_A_SHA256) === 0 && !attributes.userWithAuth
  const policy = options.endorsementKeyPolicy ?? (hasPolicyA ? EK_POLICY : undefined)
  const encrypt = options.encrypt ?? true
  const session = await startSession(tpm, {
    type: policy === undefined ? 'hmac' : 'policy',
    hash: policyHashOf(endorsementKey.public),
    ...(encrypt ? { salt: endorsementKey } : {}),
  })
  try {
    if (policy !== undefined) await satisfyPolicy(tpm, session, policy)
    const { certInfo } = await tpm.run(
      'ActivateCredential',
      {
        activateHandle: object,
        keyHandle: endorsementKey,
        credentialBlob: challenge.credentialBlob,
        secret: challenge.encryptedSecret,
      },
      {
        auth: {
          activateHandle: options.objectAuth,
          keyHandle: { session, encryptResponse: encrypt, last: true },
        },
      },
    )
    return certInfo
  } finally {
    await endSession(tpm, session)
  }
}
