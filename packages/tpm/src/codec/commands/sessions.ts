import { HASH } from '../algorithms.ts'
import { TICKET } from '../creation.ts'
import { PCR_SELECTIONS } from '../pcr-selection.ts'
import { SYMMETRIC_SESSION } from '../public-area.ts'
import { DIGEST, ENCRYPTED_SECRET, NAME, TIMEOUT } from '../scalars.ts'
import { SIGNATURE } from '../signature.ts'
import { I32, list, named, U16, U32, U8, YES_NO } from '../table.ts'
import { command } from './command.ts'

/** TPM_SE */
const SESSION_TYPE = named('TPM_SE', U8, { hmac: 0x00, policy: 0x01, trial: 0x03 })
/** TPM_EO */
export const OPERATION = named('TPM_EO', U16, {
  equal: 0,
  'not-equal': 1,
  'signed-greater': 2,
  'unsigned-greater': 3,
  'signed-less': 4,
  'unsigned-less': 5,
  'signed-greater-or-equal': 6,
  'unsigned-greater-or-equal': 7,
  'signed-less-or-equal': 8,
  'unsigned-less-or-equal': 9,
  'bits-set': 10,
  'bits-clear': 11,
})

const POLICY = { policySession: 'none' } as const

/** Sessions and policy assertions. */
export const SESSION_COMMANDS = {
  StartAuthSession: command(0x176, {
    handles: { tpmKey: 'none', bind: 'none' },
    parameters: {
      nonceCaller: DIGEST,
      encryptedSalt: ENCRYPTED_SECRET,
      sessionType: SESSION_TYPE,
      symmetric: SYMMETRIC_SESSION,
      authHash: HASH,
    },
    newHandle: 'sessionHandle',
    returns: { nonceTPM: DIGEST },
  }),
  PolicyRestart: command(0x180, { handles: { sessionHandle: 'none' } }),
  PolicyGetDigest: command(0x189, { handles: POLICY, returns: { policyDigest: DIGEST } }),

  PolicyPCR: command(0x17f, { handles: POLICY, parameters: { pcrDigest: DIGEST, pcrs: PCR_SELECTIONS } }),
  PolicySecret: command(0x151, {
    handles: { authHandle: 'user', policySession: 'none' },
    parameters: { nonceTPM: DIGEST, cpHashA: DIGEST, policyRef: DIGEST, expiration: I32 },
    returns: { timeout: TIMEOUT, policyTicket: TICKET },
  }),
  PolicySigned: command(0x160, {
    handles: { authObject: 'none', policySession: 'none' },
    parameters: { nonceTPM: DIGEST, cpHashA: DIGEST, policyRef: DIGEST, expiration: I32, auth: SIGNATURE },
    returns: { timeout: TIMEOUT, policyTicket: TICKET },
  }),
  PolicyTicket: command(0x172, {
    handles: POLICY,
    parameters: { timeout: TIMEOUT, cpHashA: DIGEST, policyRef: DIGEST, authName: NAME, ticket: TICKET },
  }),
  PolicyAuthorize: command(0x16a, {
    handles: POLICY,
    parameters: { approvedPolicy: DIGEST, policyRef: DIGEST, keySign: NAME, checkTicket: TICKET },
  }),
  PolicyAuthorizeNV: command(0x192, { handles: { authHandle: 'user', nvIndex: 'none', policySession: 'none' } }),
  PolicyAuthValue: command(0x16b, { handles: POLICY }),
  PolicyPassword: command(0x18c, { handles: POLICY }),
  PolicyCommandCode: command(0x16c, { handles: POLICY, parameters: { code: U32 } }),
  PolicyCounterTimer: command(0x16d, {
    handles: POLICY,
    parameters: { operandB: DIGEST, offset: U16, operation: OPERATION },
  }),
  PolicyCpHash: command(0x16e, { handles: POLICY, parameters: { cpHashA: DIGEST } }),
  PolicyLocality: command(0x16f, { handles: POLICY, parameters: { locality: U8 } }),
  PolicyNameHash: command(0x170, { handles: POLICY, parameters: { nameHash: DIGEST } }),
  PolicyOR: command(0x171, { handles: POLICY, parameters: { pHashList: list(DIGEST, 8) } }),
  PolicyPhysicalPresence: command(0x187, { handles: POLICY }),
  PolicyDuplicationSelect: command(0x188, {
    handles: POLICY,
    parameters: { objectName: NAME, newParentName: NAME, includeObject: YES_NO },
  }),
  PolicyNvWritten: command(0x18f, { handles: POLICY, parameters: { writtenSet: YES_NO } }),
  PolicyTemplate: command(0x190, { handles: POLICY, parameters: { templateHash: DIGEST } }),
  PolicyNV: command(0x149, {
    handles: { authHandle: 'user', nvIndex: 'none', policySession: 'none' },
    parameters: { operandB: DIGEST, offset: U16, operation: OPERATION },
  }),
} as const
