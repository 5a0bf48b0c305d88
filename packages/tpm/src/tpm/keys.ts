import type { TpmCreationData, TpmTicket } from '../codec/creation.ts'
import { TpmError } from '../codec/errors.ts'
import { tpmName, tpmQualifiedName } from '../codec/name.ts'
import type { PcrSelection } from '../codec/pcr-selection.ts'
import type { SymmetricObject, TpmPublic } from '../codec/public-area.ts'
import { digest } from '../crypto/digest.ts'
import type { Authorization, SessionUse } from '../session/authorization.ts'
import { adopt, assertMade, assertName, flushObject, hierarchyName } from './adopt.ts'
import type { HierarchyArgument } from './adopt.ts'
import { authorizing } from './key-authorization.ts'
import type { KeyAuthorization } from './key-authorization.ts'
import { PersistentKey, TpmEntity, TpmObject } from './entity.ts'
import type { TpmKey } from './entity.ts'
import type { Executor } from './executor.ts'

const NONE = new Uint8Array()

export interface CreateOptions {
  /** What to make: one of `TEMPLATES`, or a public area of one's own. */
  readonly template: TpmPublic
  /** Password of the new object. Default: none. */
  readonly authValue?: Uint8Array
  /** Data to seal, for a sealed data template. */
  readonly data?: Uint8Array
  /** Caller's data for the creation record. */
  readonly outsideInfo?: Uint8Array
  /** Registers to note in the creation record. Default: none. */
  readonly creationPcrs?: readonly PcrSelection[]
  readonly sessions?: readonly SessionUse[]
}

export interface CreatePrimaryOptions extends CreateOptions {
  /** Endorsement for EKs and AKs (there reset counts are not obfuscated); owner for storage keys. */
  readonly hierarchy: HierarchyArgument
  readonly auth?: Authorization
}

export interface CreateChildOptions extends CreateOptions {
  readonly parent: TpmKey
  readonly auth?: KeyAuthorization
}

/** An object that exists only as bytes: encrypted to its parent. */
export interface CreatedObject {
  readonly private: Uint8Array
  readonly public: TpmPublic
  readonly creationData: TpmCreationData
  readonly creationHash: Uint8Array
  readonly creationTicket: TpmTicket
}

export interface LoadOptions {
  readonly parent: TpmKey
  readonly private: Uint8Array
  readonly public: TpmPublic
  /** Password of the object. Default: none. */
  readonly authValue?: Uint8Array
  readonly auth?: KeyAuthorization
}

export interface ImportOptions {
  /** The key to which the duplicate was encrypted. */
  readonly parent: TpmKey
  readonly public: TpmPublic
  /** TPM2B_PRIVATE contents of the duplicate. */
  readonly duplicate: Uint8Array
  /** TPM2B_ENCRYPTED_SECRET contents; empty when there is no outer wrapper. */
  readonly encryptedSeed: Uint8Array
  /** Key of an inner AES-128-CFB wrapper. Default: no inner wrapper. */
  readonly innerKey?: Uint8Array
  readonly auth?: KeyAuthorization
}

function creationParameters(options: CreateOptions) {
  return {
    inSensitive: { userAuth: options.authValue ?? NONE, data: options.data ?? NONE },
    inPublic: options.template,
    outsideInfo: options.outsideInfo ?? NONE,
    creationPCR: options.creationPcrs ?? [],
  }
}

export async function createPrimary(tpm: Executor, options: CreatePrimaryOptions): Promise<TpmObject> {
  let made: TpmObject | undefined
  await tpm.run(
    'CreatePrimary',
    { primaryHandle: options.hierarchy, ...creationParameters(options) },
    {
      auth: { primaryHandle: options.auth },
      sessions: options.sessions ?? [],
      adopt: (handle, { outPublic, creationData, creationHash, creationTicket, name }) => {
        const creation = { data: creationData, hash: creationHash, ticket: creationTicket }
        const qualifiedName = tpmQualifiedName(hierarchyName(options.hierarchy), outPublic, digest)
        const details = { authValue: options.authValue, creation, qualifiedName }
        made = adopt(tpm, new TpmObject(outPublic, flushObject(tpm), details), handle)
        assertName('CreatePrimary', made, name)
      },
    },
  )
  return assertMade(made)
}

export async function create(tpm: Executor, options: CreateChildOptions): Promise<CreatedObject> {
  const args = { parentHandle: options.parent, ...creationParameters(options) }
  const made = await authorizing(tpm, options.parent, options.auth, (parentHandle) =>
    tpm.run('Create', args, { auth: { parentHandle }, sessions: options.sessions ?? [] }),
  )
  return {
    private: made.outPrivate,
    public: made.outPublic,
    creationData: made.creationData,
    creationHash: made.creationHash,
    creationTicket: made.creationTicket,
  }
}

export async function load(tpm: Executor, options: LoadOptions): Promise<TpmObject> {
  const { parent, authValue } = options
  const object = new TpmObject(options.public, flushObject(tpm), {
    authValue,
    qualifiedName: tpmQualifiedName(parent.qualifiedName, options.public, digest),
  })
  await authorizing(tpm, parent, options.auth, (parentHandle) =>
    tpm.run(
      'Load',
      { parentHandle: parent, inPrivate: options.private, inPublic: options.public },
      { auth: { parentHandle }, adopt: (handle, { name }) => assertName('Load', adopt(tpm, object, handle), name) },
    ),
  )
  return object
}

/** Takes a duplicate in. Returns what `load` needs as `private`. */
export async function importObject(tpm: Executor, options: ImportOptions): Promise<Uint8Array> {
  const args = {
    parentHandle: options.parent,
    encryptionKey: options.innerKey ?? NONE,
    objectPublic: options.public,
    duplicate: options.duplicate,
    inSymSeed: options.encryptedSeed,
    symmetricAlg: innerCipher(options.innerKey),
  }
  return authorizing(
    tpm,
    options.parent,
    options.auth,
    async (parentHandle) => (await tpm.run('Import', args, { auth: { parentHandle } })).outPrivate,
  )
}

/** The cipher of a duplicate's inner wrapper. */
export function innerCipher(innerKey: Uint8Array | undefined): SymmetricObject {
  if (innerKey === undefined || innerKey.length === 0) return { algorithm: 'null' }
  return { algorithm: 'aes', keyBits: innerKey.length * 8, mode: 'cfb' }
}

/** A persistent object with its public area, whose name is computed here. */
export async function openKey(tpm: Executor, handle: number, authValue?: Uint8Array): Promise<PersistentKey> {
  const { outPublic, name, qualifiedName } = await tpm.run('ReadPublic', { objectHandle: handle })
  if (Buffer.compare(tpmName(outPublic, digest), name) !== 0)
    throw new TpmError('tpm.integrity', 'ReadPublic: the name is not that of the public area')
  return new PersistentKey(handle, { public: outPublic, name, qualifiedName }, authValue)
}

/** Keeps a copy of a loaded object under a persistent handle. */
export async function persist(
  tpm: Executor,
  options: {
    readonly object: TpmObject
    readonly handle: number
    readonly hierarchy?: 'owner' | 'platform' | TpmEntity
  },
): Promise<PersistentKey> {
  await tpm.run('EvictControl', {
    auth: options.hierarchy ?? 'owner',
    objectHandle: options.object,
    persistentHandle: options.handle,
  })
  return openKey(tpm, options.handle, options.object.authValue)
}

/** Removes a persistent object. */
export async function evict(
  tpm: Executor,
  options: { readonly handle: number; readonly hierarchy?: 'owner' | 'platform' | TpmEntity },
): Promise<void> {
  await tpm.run('EvictControl', {
    auth: options.hierarchy ?? 'owner',
    objectHandle: options.handle,
    persistentHandle: options.handle,
  })
}
