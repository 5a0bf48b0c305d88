import { NV_PUBLIC } from '../nv-public.ts'
import { DIGEST, MAX_NV_BUFFER, NAME } from '../scalars.ts'
import { sized, U16, U64 } from '../table.ts'
import { command } from './command.ts'

const INDEX = { authHandle: 'user', nvIndex: 'none' } as const

/** Non-volatile indices. */
export const NV_COMMANDS = {
  NV_DefineSpace: command(0x12a, {
    handles: { authHandle: 'user' },
    parameters: { auth: DIGEST, publicInfo: sized(NV_PUBLIC) },
  }),
  NV_UndefineSpace: command(0x122, { handles: INDEX }),
  NV_UndefineSpaceSpecial: command(0x11f, { handles: { nvIndex: 'admin', platform: 'user' } }),
  NV_ReadPublic: command(0x169, {
    handles: { nvIndex: 'none' },
    returns: { nvPublic: sized(NV_PUBLIC), nvName: NAME },
  }),
  NV_Write: command(0x137, { handles: INDEX, parameters: { data: MAX_NV_BUFFER, offset: U16 } }),
  NV_Increment: command(0x134, { handles: INDEX }),
  NV_Extend: command(0x136, { handles: INDEX, parameters: { data: MAX_NV_BUFFER } }),
  NV_SetBits: command(0x135, { handles: INDEX, parameters: { bits: U64 } }),
  NV_WriteLock: command(0x138, { handles: INDEX }),
  NV_GlobalWriteLock: command(0x132, { handles: { authHandle: 'user' } }),
  NV_Read: command(0x14e, { handles: INDEX, parameters: { size: U16, offset: U16 }, returns: { data: MAX_NV_BUFFER } }),
  NV_ReadLock: command(0x14f, { handles: INDEX }),
  NV_ChangeAuth: command(0x13b, { handles: { nvIndex: 'admin' }, parameters: { newAuth: DIGEST } }),
} as const
