import { TPM_RH } from '../codec/handles.ts'
import type { Hierarchy } from '../codec/handles.ts'
import type { TpmTicket } from '../codec/creation.ts'
import type { EccPoint, RsaDecryptScheme } from '../codec/public-area.ts'
import type { SigningScheme, TpmSignature } from '../codec/signature.ts'
import type { SessionUse } from '../session/authorization.ts'
import type { TpmKey } from './entity.ts'
import type { Executor } from './executor.ts'
import { authorizing } from './key-authorization.ts'
import type { KeyAuthorization } from './key-authorization.ts'

export interface KeyUse {
  readonly key: TpmKey
  readonly auth?: KeyAuthorization
  readonly sessions?: readonly SessionUse[]
}

const NONE = new Uint8Array()
const NULL_SCHEME = { scheme: 'null' } as const

/** A ticket that says nothing: for keys which sign any digest. */
const NO_TICKET: TpmTicket = { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: NONE }

/**
 * Signs a digest.
 * @param options.ticket - For restricted keys: the TPM's word that it made the digest itself, and that the data do not
 *   begin like one of its own statements (see `hash`).
 */
export function sign(
  tpm: Executor,
  options: KeyUse & { readonly digest: Uint8Array; readonly scheme?: SigningScheme; readonly ticket?: TpmTicket },
): Promise<TpmSignature> {
  const { key, digest, scheme: inScheme = NULL_SCHEME, ticket: validation = NO_TICKET, sessions = [] } = options
  return authorizing(tpm, key, options.auth, async (keyHandle) => {
    const args = { keyHandle: key, digest, inScheme, validation }
    return (await tpm.run('Sign', args, { auth: { keyHandle }, sessions })).signature
  })
}

/** Has the TPM check a signature. Returns its ticket, which PolicyAuthorize takes. Throws unless the signature is good. */
export async function verifySignature(
  tpm: Executor,
  options: { readonly key: TpmKey; readonly digest: Uint8Array; readonly signature: TpmSignature },
): Promise<TpmTicket> {
  const { key: keyHandle, digest, signature } = options
  return (await tpm.run('VerifySignature', { keyHandle, digest, signature })).validation
}

/** Decrypts with an RSA key. A `label` must end with a NUL byte, as the specification demands. */
export function rsaDecrypt(
  tpm: Executor,
  options: KeyUse & {
    readonly cipherText: Uint8Array
    readonly scheme?: RsaDecryptScheme
    readonly label?: Uint8Array
  },
): Promise<Uint8Array> {
  const { key, cipherText, scheme: inScheme = NULL_SCHEME, label = NONE, sessions = [] } = options
  return authorizing(tpm, key, options.auth, async (keyHandle) => {
    const args = { keyHandle: key, cipherText, inScheme, label }
    return (await tpm.run('RSA_Decrypt', args, { auth: { keyHandle }, sessions })).message
  })
}

/** Multiplies a point with the key's private scalar: the shared secret of ECDH is `x`. */
export function ecdhZGen(tpm: Executor, options: KeyUse & { readonly point: EccPoint }): Promise<EccPoint> {
  const { key, point: inPoint, sessions = [] } = options
  return authorizing(
    tpm,
    key,
    options.auth,
    async (keyHandle) =>
      (await tpm.run('ECDH_ZGen', { keyHandle: key, inPoint }, { auth: { keyHandle }, sessions })).outPoint,
  )
}

/** Gives an object another password. Returns its new private part; the object that is loaded keeps the old one. */
export function changeAuth(
  tpm: Executor,
  options: {
    readonly object: TpmKey
    readonly parent: TpmKey
    readonly newAuthValue: Uint8Array
    readonly auth?: KeyAuthorization
    readonly sessions?: readonly SessionUse[]
  },
): Promise<Uint8Array> {
  const { object, parent, newAuthValue: newAuth, sessions = [] } = options
  return authorizing(tpm, object, options.auth, async (objectHandle) => {
    const args = { objectHandle: object, parentHandle: parent, newAuth }
    return (await tpm.run('ObjectChangeAuth', args, { auth: { objectHandle }, sessions })).outPrivate
  })
}

/** Where a ticket counts. */
export function hierarchyHandle(hierarchy: Hierarchy | undefined): number {
  return TPM_RH[hierarchy ?? 'null']
}
