import { TPM_PT } from '../codec/capability.ts'
import { TpmError } from '../codec/errors.ts'
import { tpmNvName } from '../codec/name.ts'
import type { TpmNvPublic } from '../codec/nv-public.ts'
import { digest } from '../crypto/digest.ts'
import type { Authorization, SessionUse } from '../session/authorization.ts'
import { getCapability } from './capabilities.ts'
import { TpmEntity } from './entity.ts'
import type { Executor } from './executor.ts'

/** An NV index with its public area. Its name changes with the first write: open it again after that. */
export class NvIndex extends TpmEntity {
  readonly public: TpmNvPublic

  constructor(area: TpmNvPublic, authValue?: Uint8Array) {
    const name = tpmNvName(area, digest)
    super(area.nvIndex, authValue === undefined ? { name } : { name, authValue })
    this.public = area
  }
}

export interface NvAccess {
  /** Password of the index. Default: none. */
  readonly authValue?: Uint8Array
  /** Who authorizes. Default: the index itself where its attributes allow that, else owner, else platform. */
  readonly authority?: 'owner' | 'platform' | TpmEntity
  /** How the authority is authorized. Default: by its password. */
  readonly auth?: Authorization
  readonly sessions?: readonly SessionUse[]
}

/** Most an index can be written or read with one command, should the TPM not say. */
const LEAST_NV_BUFFER = 512

/** The public area, and the name computed from it. */
export async function openNv(tpm: Executor, index: number, authValue?: Uint8Array): Promise<NvIndex> {
  const { nvPublic, nvName } = await tpm.run('NV_ReadPublic', { nvIndex: index })
  const opened = new NvIndex(nvPublic, authValue)
  if (nvPublic.nvIndex !== index || Buffer.compare(opened.name, nvName) !== 0)
    throw new TpmError('tpm.integrity', 'NV_ReadPublic: the name is not that of the public area')
  return opened
}

/** Defines an index. */
export async function nvDefine(
  tpm: Executor,
  options: {
    readonly public: TpmNvPublic
    readonly authValue?: Uint8Array
    /** Default: owner. */
    readonly hierarchy?: 'owner' | 'platform' | TpmEntity
    readonly auth?: Authorization
    readonly sessions?: readonly SessionUse[]
  },
): Promise<NvIndex> {
  await tpm.run(
    'NV_DefineSpace',
    {
      authHandle: options.hierarchy ?? 'owner',
      auth: options.authValue ?? new Uint8Array(),
      publicInfo: options.public,
    },
    { auth: { authHandle: options.auth }, sessions: options.sessions ?? [] },
  )
  return openNv(tpm, options.public.nvIndex, options.authValue)
}

export async function nvUndefine(
  tpm: Executor,
  options: { readonly index: number; readonly hierarchy?: 'owner' | 'platform' | TpmEntity },
): Promise<void> {
  const index = await openNv(tpm, options.index)
  await tpm.run('NV_UndefineSpace', { authHandle: options.hierarchy ?? 'owner', nvIndex: index })
}

/** Reads an index, in as many commands as it takes. Without `size`, from `offset` to its end. */
export async function nvRead(
  tpm: Executor,
  index: number,
  options: NvAccess & { readonly offset?: number; readonly size?: number } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const opened = await openNv(tpm, index, options.authValue)
  const from = options.offset ?? 0
  const contents = new Uint8Array(options.size ?? Math.max(0, opened.public.dataSize - from))
  const step = await nvBufferMax(tpm)
  for (let at = 0; at < contents.length; at += step) {
    const size = Math.min(step, contents.length - at)
    const { data } = await tpm.run(
      'NV_Read',
      { authHandle: readAuthority(opened, options), nvIndex: opened, size, offset: from + at },
      { auth: { authHandle: options.auth }, sessions: options.sessions ?? [] },
    )
    if (data.length !== size) throw new TpmError('tpm.integrity', `NV_Read: ${data.length} bytes instead of ${size}`)
    contents.set(data, at)
  }
  return contents
}

/** Writes `data`, in as many commands as it takes. */
export async function nvWrite(
  tpm: Executor,
  index: number,
  data: Uint8Array,
  options: NvAccess & { readonly offset?: number } = {},
): Promise<void> {
  const step = await nvBufferMax(tpm)
  for (let at = 0; at < data.length || at === 0; at += step) {
    const opened = await openNv(tpm, index, options.authValue)
    await tpm.run(
      'NV_Write',
      {
        authHandle: writeAuthority(opened, options),
        nvIndex: opened,
        data: data.subarray(at, at + step),
        offset: (options.offset ?? 0) + at,
      },
      { auth: { authHandle: options.auth }, sessions: options.sessions ?? [] },
    )
  }
}

/** Adds one to a counter. */
export async function nvIncrement(tpm: Executor, index: number, options: NvAccess = {}): Promise<void> {
  const opened = await openNv(tpm, index, options.authValue)
  const authHandle = writeAuthority(opened, options)
  await tpm.run('NV_Increment', { authHandle, nvIndex: opened }, { auth: { authHandle: options.auth } })
}

/** Extends an index as if it were a register. */
export async function nvExtend(tpm: Executor, index: number, data: Uint8Array, options: NvAccess = {}): Promise<void> {
  const opened = await openNv(tpm, index, options.authValue)
  const authHandle = writeAuthority(opened, options)
  await tpm.run('NV_Extend', { authHandle, nvIndex: opened, data }, { auth: { authHandle: options.auth } })
}

function readAuthority(index: NvIndex, access: NvAccess): 'owner' | 'platform' | TpmEntity {
  const { authRead, policyRead, ownerRead } = index.public.attributes
  return access.authority ?? (authRead || policyRead ? index : ownerRead ? 'owner' : 'platform')
}

function writeAuthority(index: NvIndex, access: NvAccess): 'owner' | 'platform' | TpmEntity {
  const { authWrite, policyWrite, ownerWrite } = index.public.attributes
  return access.authority ?? (authWrite || policyWrite ? index : ownerWrite ? 'owner' : 'platform')
}

async function nvBufferMax(tpm: Executor): Promise<number> {
  const [entry] = await getCapability(tpm, 'tpm-properties', TPM_PT.nvBufferMax, 1)
  return entry?.property === TPM_PT.nvBufferMax && entry.value > 0 ? Math.min(entry.value, 2048) : LEAST_NV_BUFFER
}
