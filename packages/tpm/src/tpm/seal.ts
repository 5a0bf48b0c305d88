import type { ObjectAttribute, TpmPublic } from '../codec/public-area.ts'
import { TpmError } from '../codec/errors.ts'
import { sealedDataTemplate } from '../codec/templates.ts'
import type { ImportBlob } from '../software/import-blob.ts'
import type { TpmKey } from './entity.ts'
import type { KeyAuthorization } from './key-authorization.ts'
import type { Executor } from './executor.ts'
import { create, importObject, load } from './keys.ts'
import type { CreatedObject } from './keys.ts'
import { policyDigest, policyHashOf } from './policy.ts'
import type { Policy } from './policy.ts'
import { satisfyPolicy } from './satisfy-policy.ts'
import { endingSession, startSession } from './start-session.ts'
import type { PcrSelection } from '../codec/pcr-selection.ts'

/** Most that a TPM must be able to seal (MAX_SYM_DATA). */
export const MAX_SEALED_BYTES = 128

export interface SealOptions {
  /** A storage key of this TPM. */
  readonly parent: TpmKey
  readonly data: Uint8Array
  /** What must hold when it is opened. Default: nothing but the password. */
  readonly policy?: Policy
  /** Password. With a policy it counts only where that asks for it (`auth-value`, `password`). Default: none. */
  readonly authValue?: Uint8Array
  readonly parentAuth?: KeyAuthorization
  /** Registers to note in the creation record. Default: none. */
  readonly creationPcrs?: readonly PcrSelection[]
}

/** What to keep: useless without this TPM and a state that satisfies the policy. */
export interface SealedObject {
  readonly private: Uint8Array
  readonly public: TpmPublic
}

export interface UnsealOptions {
  readonly parent: TpmKey
  readonly sealed: SealedObject
  /** The policy it was sealed with. */
  readonly policy?: Policy
  readonly authValue?: Uint8Array
  readonly parentAuth?: KeyAuthorization
  /**
   * Have the TPM encrypt the data on its way here, in a session salted by `parent`. Default true. It hides the data from
   * who only listens on the bus; who can also answer in the TPM's place is excluded only when `parent` is known genuine.
   */
  readonly encrypt?: boolean
}

/** Seals `data` (at most 128 bytes) to this TPM and to `policy`. */
export async function seal(tpm: Executor, options: SealOptions): Promise<CreatedObject> {
  const { data, policy } = options
  if (data.length === 0 || data.length > MAX_SEALED_BYTES)
    throw new TpmError('input.too-large', `${data.length} bytes cannot be sealed: a TPM takes 1 to ${MAX_SEALED_BYTES}`)
  const attributes: ObjectAttribute[] = [
    'fixedTPM',
    'fixedParent',
    policy === undefined ? 'userWithAuth' : 'adminWithPolicy',
  ]
  const template =
    policy === undefined
      ? sealedDataTemplate({ attributes })
      : sealedDataTemplate({ attributes, authPolicy: policyDigest(policy) })
  return create(tpm, {
    parent: options.parent,
    template,
    data,
    creationPcrs: options.creationPcrs ?? [],
    ...(options.authValue === undefined ? {} : { authValue: options.authValue }),
    ...(options.parentAuth === undefined ? {} : { auth: options.parentAuth }),
  })
}

/**
 * Opens what was sealed.
 *
 * @throws {TpmError} `tpm.response`: with TPM_RC_POLICY_FAIL or, for registers whose values are given in the policy,
 *   TPM_RC_VALUE when the TPM is not in the state that was sealed to.
 */
export async function unseal(tpm: Executor, options: UnsealOptions): Promise<Uint8Array> {
  const { parent, sealed, policy, authValue, parentAuth } = options
  await using object = await load(tpm, {
    parent,
    private: sealed.private,
    public: sealed.public,
    ...(authValue === undefined ? {} : { authValue }),
    ...(parentAuth === undefined ? {} : { auth: parentAuth }),
  })
  const encrypt = options.encrypt ?? true
  const session = await startSession(tpm, {
    type: policy === undefined ? 'hmac' : 'policy',
    hash: policyHashOf(sealed.public),
    ...(encrypt ? { salt: parent } : {}),
  })
  // awaited here: the object must not be flushed before
  return await endingSession(tpm, session, async () => {
    if (policy !== undefined) await satisfyPolicy(tpm, session, policy)
    const itemHandle = { session, encryptResponse: encrypt, last: true }
    return (await tpm.run('Unseal', { itemHandle: object }, { auth: { itemHandle } })).outData
  })
}

/** Opens what `sealToKey` sealed to a key of this TPM: imports it, loads it, unseals it. */
export async function unsealImported(
  tpm: Executor,
  options: Omit<UnsealOptions, 'sealed'> & { readonly blob: ImportBlob },
): Promise<Uint8Array> {
  const { parent, blob, parentAuth: auth } = options
  const imported = await importObject(tpm, { parent, ...blob, ...(auth === undefined ? {} : { auth }) })
  return unseal(tpm, { ...options, sealed: { private: imported, public: blob.public } })
}
