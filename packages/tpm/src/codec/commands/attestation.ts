import { TICKET } from '../creation.ts'
import { PCR_SELECTIONS } from '../pcr-selection.ts'
import { DATA, DIGEST, MAX_BUFFER } from '../scalars.ts'
import { SIGNATURE, SIGNING_SCHEME } from '../signature.ts'
import { bytes, U16 } from '../table.ts'
import { command } from './command.ts'

/** TPM2B_ATTEST stays bytes: it is what the signature covers. */
const ATTEST = bytes(4096)

/** Statements that a TPM signs. */
export const ATTESTATION_COMMANDS = {
  Quote: command(0x158, {
    handles: { signHandle: 'user' },
    parameters: { qualifyingData: DATA, inScheme: SIGNING_SCHEME, pcrSelect: PCR_SELECTIONS },
    returns: { quoted: ATTEST, signature: SIGNATURE },
  }),
  Certify: command(0x148, {
    handles: { objectHandle: 'admin', signHandle: 'user' },
    parameters: { qualifyingData: DATA, inScheme: SIGNING_SCHEME },
    returns: { certifyInfo: ATTEST, signature: SIGNATURE },
  }),
  CertifyCreation: command(0x14a, {
    handles: { signHandle: 'user', objectHandle: 'none' },
    parameters: { qualifyingData: DATA, creationHash: DIGEST, inScheme: SIGNING_SCHEME, creationTicket: TICKET },
    returns: { certifyInfo: ATTEST, signature: SIGNATURE },
  }),
  GetTime: command(0x14c, {
    handles: { privacyAdminHandle: 'user', signHandle: 'user' },
    parameters: { qualifyingData: DATA, inScheme: SIGNING_SCHEME },
    returns: { timeInfo: ATTEST, signature: SIGNATURE },
  }),
  GetSessionAuditDigest: command(0x14d, {
    handles: { privacyAdminHandle: 'user', signHandle: 'user', sessionHandle: 'none' },
    parameters: { qualifyingData: DATA, inScheme: SIGNING_SCHEME },
    returns: { auditInfo: ATTEST, signature: SIGNATURE },
  }),
  GetCommandAuditDigest: command(0x133, {
    handles: { privacyHandle: 'user', signHandle: 'user' },
    parameters: { qualifyingData: DATA, inScheme: SIGNING_SCHEME },
    returns: { auditInfo: ATTEST, signature: SIGNATURE },
  }),
  CertifyX509: command(0x197, {
    handles: { objectHandle: 'admin', signHandle: 'user' },
    parameters: { reserved: DATA, inScheme: SIGNING_SCHEME, partialCertificate: MAX_BUFFER },
    returns: { addedToCertificate: MAX_BUFFER, tbsDigest: DIGEST, signature: SIGNATURE },
  }),
  NV_Certify: command(0x184, {
    handles: { signHandle: 'user', authHandle: 'user', nvIndex: 'none' },
    parameters: { qualifyingData: DATA, inScheme: SIGNING_SCHEME, size: U16, offset: U16 },
    returns: { certifyInfo: ATTEST, signature: SIGNATURE },
  }),
} as const
