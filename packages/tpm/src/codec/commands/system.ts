import { HASH_OR_NULL } from '../algorithms.ts'
import { TIME_INFO } from '../attest.ts'
import { CAPABILITY, CAPABILITY_DATA } from '../capability.ts'
import { PCR_SELECTIONS } from '../pcr-selection.ts'
import { DIGEST, EVENT, MAX_BUFFER, SENSITIVE_DATA, TAGGED_DIGEST } from '../scalars.ts'
import { bytes, list, named, struct, U16, U32, U64, U8, YES_NO } from '../table.ts'
import type { TypeOf } from '../table.ts'
import { command } from './command.ts'

const STARTUP_TYPE = named('TPM_SU', U16, { clear: 0, state: 1 })
const DIGEST_VALUES = list(TAGGED_DIGEST, 16)
/** TPMS_CONTEXT */
export const CONTEXT = struct({ sequence: U64, savedHandle: U32, hierarchy: U32, contextBlob: bytes(8192) })
export type TpmSavedContext = TypeOf<typeof CONTEXT>
/** TPML_ALG */
const ALGORITHM_LIST = list(U16, 64)

/** Start-up, capabilities, random numbers, clock, registers, dictionary attack protection, contexts. */
export const SYSTEM_COMMANDS = {
  Startup: command(0x144, { parameters: { startupType: STARTUP_TYPE }, sessions: false }),
  Shutdown: command(0x145, { parameters: { shutdownType: STARTUP_TYPE } }),
  SelfTest: command(0x143, { parameters: { fullTest: YES_NO } }),
  IncrementalSelfTest: command(0x142, {
    parameters: { toTest: ALGORITHM_LIST },
    returns: { toDoList: ALGORITHM_LIST },
  }),
  GetTestResult: command(0x17c, { returns: { outData: MAX_BUFFER, testResult: U32 } }),
  GetCapability: command(0x17a, {
    parameters: { capability: CAPABILITY, property: U32, propertyCount: U32 },
    returns: { moreData: YES_NO, capabilityData: CAPABILITY_DATA },
  }),
  GetRandom: command(0x17b, { parameters: { bytesRequested: U16 }, returns: { randomBytes: DIGEST } }),
  StirRandom: command(0x146, { parameters: { inData: SENSITIVE_DATA } }),
  ReadClock: command(0x181, { returns: { currentTime: TIME_INFO } }),
  ClockSet: command(0x128, { handles: { auth: 'user' }, parameters: { newTime: U64 } }),
  ClockRateAdjust: command(0x130, { handles: { auth: 'user' }, parameters: { rateAdjust: U8 } }),

  PCR_Read: command(0x17e, {
    parameters: { pcrSelectionIn: PCR_SELECTIONS },
    returns: { pcrUpdateCounter: U32, pcrSelectionOut: PCR_SELECTIONS, pcrValues: list(DIGEST, 8) },
  }),
  PCR_Extend: command(0x182, { handles: { pcrHandle: 'user' }, parameters: { digests: DIGEST_VALUES } }),
  PCR_Event: command(0x13c, {
    handles: { pcrHandle: 'user' },
    parameters: { eventData: EVENT },
    returns: { digests: DIGEST_VALUES },
  }),
  PCR_Reset: command(0x13d, { handles: { pcrHandle: 'user' } }),
  PCR_Allocate: command(0x12b, {
    handles: { authHandle: 'user' },
    parameters: { pcrAllocation: PCR_SELECTIONS },
    returns: { allocationSuccess: YES_NO, maxPCR: U32, sizeNeeded: U32, sizeAvailable: U32 },
  }),
  PCR_SetAuthPolicy: command(0x12c, {
    handles: { authHandle: 'user' },
    parameters: { authPolicy: DIGEST, hashAlg: HASH_OR_NULL, pcrNum: U32 },
  }),
  PCR_SetAuthValue: command(0x183, { handles: { pcrHandle: 'user' }, parameters: { auth: DIGEST } }),

  DictionaryAttackLockReset: command(0x139, { handles: { lockHandle: 'user' } }),
  DictionaryAttackParameters: command(0x13a, {
    handles: { lockHandle: 'user' },
    parameters: { newMaxTries: U32, newRecoveryTime: U32, lockoutRecovery: U32 },
  }),

  ContextSave: command(0x162, { handles: { saveHandle: 'none' }, returns: { context: CONTEXT }, sessions: false }),
  ContextLoad: command(0x161, { parameters: { context: CONTEXT }, newHandle: 'loadedHandle', sessions: false }),
  FlushContext: command(0x165, { parameters: { flushHandle: U32 }, sessions: false }),
  EvictControl: command(0x120, {
    handles: { auth: 'user', objectHandle: 'none' },
    parameters: { persistentHandle: U32 },
  }),

  HierarchyControl: command(0x121, { handles: { authHandle: 'user' }, parameters: { enable: U32, state: YES_NO } }),
  HierarchyChangeAuth: command(0x129, { handles: { authHandle: 'user' }, parameters: { newAuth: DIGEST } }),
  SetPrimaryPolicy: command(0x12e, {
    handles: { authHandle: 'user' },
    parameters: { authPolicy: DIGEST, hashAlg: HASH_OR_NULL },
  }),
  Clear: command(0x126, { handles: { authHandle: 'user' } }),
  ClearControl: command(0x127, { handles: { auth: 'user' }, parameters: { disable: YES_NO } }),
  PP_Commands: command(0x12d, {
    handles: { auth: 'user' },
    parameters: { setList: list(U32, 256), clearList: list(U32, 256) },
  }),
  SetAlgorithmSet: command(0x13f, { handles: { authHandle: 'user' }, parameters: { algorithmSet: U32 } }),
  ChangeEPS: command(0x124, { handles: { authHandle: 'user' } }),
  ChangePPS: command(0x125, { handles: { authHandle: 'user' } }),
  SetCommandCodeAuditStatus: command(0x140, {
    handles: { auth: 'user' },
    parameters: { auditAlg: HASH_OR_NULL, setList: list(U32, 256), clearList: list(U32, 256) },
  }),
} as const
