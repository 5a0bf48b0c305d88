import type { SessionUse } from '../session/authorization.ts'
import type { CredentialChallenge } from '../software/make-credential.ts'
import type { TpmKey } from './entity.ts'
import type { Executor } from './executor.ts'
import { authorizing } from './key-authorization.ts'
import type { KeyAuthorization } from './key-authorization.ts'
import { endingSession, startSession } from './start-session.ts'

export interface ActivateCredentialOptions {
  readonly endorsementKey: TpmKey
  /** The key to be proved. */
  readonly object: TpmKey
  readonly challenge: CredentialChallenge
  readonly endorsementKeyAuth?: KeyAuthorization
  readonly objectAuth?: KeyAuthorization
  /** Have the TPM encrypt the credential on its way here, in a session salted by the endorsement key. Default true. */
  readonly encrypt?: boolean
}

/**
 * Answers a credential challenge: proves that both keys are in this TPM.
 *
 * @throws {TpmError} `tpm.response`: TPM_RC_INTEGRITY or TPM_RC_VALUE when the challenge is for another key or TPM.
 */
export async function activateCredential(tpm: Executor, options: ActivateCredentialOptions): Promise<Uint8Array> {
  const { endorsementKey, object, challenge } = options
  const args = {
    activateHandle: object,
    keyHandle: endorsementKey,
    credentialBlob: challenge.credentialBlob,
    secret: challenge.encryptedSecret,
  }
  const activate = (sessions: readonly SessionUse[]) =>
    authorizing(tpm, object, options.objectAuth, (activateHandle) =>
      authorizing(tpm, endorsementKey, options.endorsementKeyAuth, async (keyHandle) => {
        const auth = { activateHandle, keyHandle }
        return (await tpm.run('ActivateCredential', args, { auth, sessions })).certInfo
      }),
    )
  if (options.encrypt === false) return activate([])
  const session = await startSession(tpm, { type: 'hmac', salt: endorsementKey })
  return endingSession(tpm, session, () => activate([{ session, encryptResponse: true, last: true }]))
}
