import type { TpmCreationData, TpmTicket } from '../codec/creation.ts'
import { TpmError } from '../codec/errors.ts'
import { TPM_RH } from '../codec/handles.ts'
import type { Hierarchy } from '../codec/handles.ts'
import { tpmName } from '../codec/name.ts'
import type { PcrSelection } from '../codec/pcr-selection.ts'
import type { TpmPublic, TpmSensitive } from '../codec/public-area.ts'
import { digest } from '../crypto/digest.ts'
import type { Authorization, SessionUse } from '../session/authorization.ts'
import { PersistentKey, TpmEntity, TpmObject } from './entity.ts'
import type { TpmKey } from './entity.ts'
import type { Executor } from './executor.ts'

const NONE = new Uint8Array()

/** A hierarchy by name, or with its password as an entity. */
export type HierarchyArgument = Hierarchy | TpmEntity

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
  /** How the parent is authorized. Default: by its password. */
  readonly auth?: Authorization
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
  readonly auth?: Authorization
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
  readonly auth?: Authorization
}

function creationParameters(options: CreateOptions) {
  return {
    inSensitive: { userAuth: options.authValue ?? NONE, data: options.data ?? NONE },
    inPublic: options.template,
    outsideInfo: options.outsideInfo ?? NONE,
    creationPCR: options.creationPcrs ?? [],
  }
}

function objectOptions(authValue: Uint8Array | undefined) {
  return authValue === undefined ? {} : { authValue }
}

/** Names are computed from what the TPM says the object is, and must be what the TPM calls it. */
function assertName(command: string, object: TpmObject, name: Uint8Array): void {
  if (Buffer.compare(object.name, name) !== 0)
    throw new TpmError('tpm.integrity', `${command}: the name is not that of the public area`)
}

/** A TpmObject that the executor's cache knows from the moment the TPM has made it. */
export function adopt(tpm: Executor, object: TpmObject, handle: number): TpmObject {
  tpm.objects.adopt(object, handle)
  return object
}

export function flushObject(tpm: Executor): (object: TpmObject) => Promise<void> {
  return (object) => tpm.exclusively(() => tpm.objects.release(object))
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
        made = new TpmObject(outPublic, flushObject(tpm), { ...objectOptions(options.authValue), creation })
        adopt(tpm, made, handle)
        assertName('CreatePrimary', made, name)
      },
    },
  )
  return assertMade(made)
}

export async function create(tpm: Executor, options: CreateChildOptions): Promise<CreatedObject> {
  const made = await tpm.run(
    'Create',
    { parentHandle: options.parent, ...creationParameters(options) },
    { auth: { parentHandle: options.auth }, sessions: options.sessions ?? [] },
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
  let made: TpmObject | undefined
  await tpm.run(
    'Load',
    { parentHandle: options.parent, inPrivate: options.private, inPublic: options.public },
    {
      auth: { parentHandle: options.auth },
      adopt: (handle, { name }) => {
        made = adopt(tpm, new TpmObject(options.public, flushObject(tpm), objectOptions(options.authValue)), handle)
        assertName('Load', made, name)
      },
    },
  )
  return assertMade(made)
}

export async function loadExternal(
  tpm: Executor,
  options: {
    readonly public: TpmPublic
    readonly sensitive?: TpmSensitive
    /** Where tickets made with it shall count. Default: null, the only one for keys with a sensitive part. */
    readonly hierarchy?: Hierarchy
  },
): Promise<TpmObject> {
  let made: TpmObject | undefined
  await tpm.run(
    'LoadExternal',
    { inPrivate: options.sensitive, inPublic: options.public, hierarchy: TPM_RH[options.hierarchy ?? 'null'] },
    {
      adopt: (handle, { name }) => {
        const authValue = options.sensitive?.authValue
        made = adopt(tpm, new TpmObject(options.public, flushObject(tpm), objectOptions(authValue)), handle)
        assertName('LoadExternal', made, name)
      },
    },
  )
  return assertMade(made)
}

/** Takes a duplicate in. Returns what `load` needs as `private`. */
export async function importObject(tpm: Executor, options: ImportOptions): Promise<Uint8Array> {
  const { outPrivate } = await tpm.run(
    'Import',
    {
      parentHandle: options.parent,
      encryptionKey: options.innerKey ?? NONE,
      objectPublic: options.public,
      duplicate: options.duplicate,
      inSymSeed: options.encryptedSeed,
      symmetricAlg:
        options.innerKey === undefined
          ? { algorithm: 'null' }
          : { algorithm: 'aes', keyBits: options.innerKey.length * 8, mode: 'cfb' },
    },
    { auth: { parentHandle: options.auth } },
  )
  return outPrivate
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

export function assertMade<T>(made: T | undefined): T {
  if (made === undefined) throw new TpmError('internal', 'the TPM answered without a handle')
  return made
}
