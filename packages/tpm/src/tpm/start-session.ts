import type { SoftwareHash } from '../codec/algorithms.ts'
import { TPM_RH } from '../codec/handles.ts'
import type { PermanentEntity } from '../codec/handles.ts'
import type { SymmetricSession } from '../codec/public-area.ts'
import { makeSeed } from '../crypto/seed.ts'
import { newNonce } from '../session/authorization.ts'
import { TpmSession } from '../session/session.ts'
import type { SessionType } from '../session/session.ts'
import { permanentEntity } from './entity.ts'
import type { TpmEntity, TpmKey, TpmObject } from './entity.ts'
import type { Executor } from './executor.ts'
import { assertMade } from './adopt.ts'

export interface StartSessionOptions {
  readonly type: SessionType
  /** Default SHA-256. */
  readonly hash?: SoftwareHash
  /**
   * A decryption key of this TPM to which a secret for this session is encrypted. Without it (and without `bind`) whoever
   * reads the bus can compute every key of the session. That the key is the TPM's own is for the caller to know.
   */
  readonly salt?: TpmKey
  /** An entity whose password becomes part of the session's key. */
  readonly bind?: TpmEntity | TpmObject | PermanentEntity
  /** For parameter encryption. Default AES-128-CFB. */
  readonly symmetric?: SymmetricSession
}

export async function startSession(tpm: Executor, options: StartSessionOptions): Promise<TpmSession> {
  const hash = options.hash ?? 'sha256'
  const symmetric = options.symmetric ?? { algorithm: 'aes', keyBits: 128, mode: 'cfb' }
  const salt = options.salt === undefined ? undefined : makeSeed(options.salt.public, 'SECRET')
  const bind = typeof options.bind === 'string' ? permanentEntity(options.bind) : options.bind
  const nonceCaller = newNonce()
  let session: TpmSession | undefined
  await tpm.run(
    'StartAuthSession',
    {
      tpmKey: options.salt ?? TPM_RH.null,
      bind: bind ?? TPM_RH.null,
      nonceCaller,
      encryptedSalt: salt?.encryptedSeed ?? new Uint8Array(),
      sessionType: options.type,
      symmetric,
      authHash: hash,
    },
    {
      adopt: (handle, { nonceTPM }) => {
        tpm.sessions.adopt(handle)
        session = new TpmSession({
          handle,
          type: options.type,
          hash,
          symmetric,
          nonceCaller,
          nonceTPM,
          salt: salt?.seed,
          bound: bind === undefined ? undefined : { name: bind.name, authValue: bind.authValue },
        })
      },
    },
  )
  return assertMade(session)
}

/** Ends a session. Does nothing when it has ended already. */
export async function endSession(tpm: Executor, session: TpmSession): Promise<void> {
  if (session.isEnded) return
  session.end()
  tpm.sessions.forget(session.handle)
  await tpm.run('FlushContext', { flushHandle: session.handle })
}

/** Runs `task` and ends the session, whatever happens. When the task fails, its error is the one to tell. */
export async function endingSession<T>(tpm: Executor, session: TpmSession, task: () => Promise<T>): Promise<T> {
  let result: T
  try {
    result = await task()
  } catch (error) {
    await endSession(tpm, session).catch(() => undefined)
    throw error
  }
  await endSession(tpm, session)
  return result
}
