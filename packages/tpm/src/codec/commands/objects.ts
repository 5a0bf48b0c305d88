import { CURVE, HASH, HASH_OR_NULL, KEY_EXCHANGE, MAC_SCHEME, SYMMETRIC_MODE } from '../algorithms.ts'
import { CREATION_DATA, TICKET } from '../creation.ts'
import { PCR_SELECTIONS } from '../pcr-selection.ts'
import {
  ECC_POINT,
  KDF_SCHEME,
  PUBLIC,
  PUBLIC_PARAMETERS,
  RSA_DECRYPT,
  SENSITIVE,
  SENSITIVE_CREATE,
  SYMMETRIC_OBJECT,
} from '../public-area.ts'
import {
  DATA,
  DIGEST,
  ECC_PARAMETER,
  ENCRYPTED_SECRET,
  ID_OBJECT,
  IV,
  MAX_BUFFER,
  NAME,
  PRIVATE,
  RSA_KEY,
  SENSITIVE_DATA,
  TAGGED_DIGEST,
} from '../scalars.ts'
import { SIGNATURE, SIGNING_SCHEME } from '../signature.ts'
import { list, optionalSized, sized, struct, U16, U32, YES_NO } from '../table.ts'
import { command } from './command.ts'

const SENSITIVE_IN = sized(SENSITIVE_CREATE)
const PUBLIC_AREA = sized(PUBLIC)
const CREATION = sized(CREATION_DATA)
const POINT = sized(ECC_POINT)
const CREATE_PARAMETERS = {
  inSensitive: SENSITIVE_IN,
  inPublic: PUBLIC_AREA,
  outsideInfo: DATA,
  creationPCR: PCR_SELECTIONS,
}

/** Keys and sealed data: making, loading, moving, using. */
export const OBJECT_COMMANDS = {
  CreatePrimary: command(0x131, {
    handles: { primaryHandle: 'user' },
    parameters: CREATE_PARAMETERS,
    newHandle: 'objectHandle',
    returns: {
      outPublic: PUBLIC_AREA,
      creationData: CREATION,
      creationHash: DIGEST,
      creationTicket: TICKET,
      name: NAME,
    },
  }),
  Create: command(0x153, {
    handles: { parentHandle: 'user' },
    parameters: CREATE_PARAMETERS,
    returns: {
      outPrivate: PRIVATE,
      outPublic: PUBLIC_AREA,
      creationData: CREATION,
      creationHash: DIGEST,
      creationTicket: TICKET,
    },
  }),
  CreateLoaded: command(0x191, {
    handles: { parentHandle: 'user' },
    parameters: { inSensitive: SENSITIVE_IN, inPublic: PUBLIC_AREA },
    newHandle: 'objectHandle',
    returns: { outPrivate: PRIVATE, outPublic: PUBLIC_AREA, name: NAME },
  }),
  Load: command(0x157, {
    handles: { parentHandle: 'user' },
    parameters: { inPrivate: PRIVATE, inPublic: PUBLIC_AREA },
    newHandle: 'objectHandle',
    returns: { name: NAME },
  }),
  LoadExternal: command(0x167, {
    parameters: { inPrivate: optionalSized(SENSITIVE), inPublic: PUBLIC_AREA, hierarchy: U32 },
    newHandle: 'objectHandle',
    returns: { name: NAME },
  }),
  ReadPublic: command(0x173, {
    handles: { objectHandle: 'none' },
    returns: { outPublic: PUBLIC_AREA, name: NAME, qualifiedName: NAME },
  }),
  MakeCredential: command(0x168, {
    handles: { handle: 'none' },
    parameters: { credential: DIGEST, objectName: NAME },
    returns: { credentialBlob: ID_OBJECT, secret: ENCRYPTED_SECRET },
  }),
  ActivateCredential: command(0x147, {
    handles: { activateHandle: 'admin', keyHandle: 'user' },
    parameters: { credentialBlob: ID_OBJECT, secret: ENCRYPTED_SECRET },
    returns: { certInfo: DIGEST },
  }),
  Unseal: command(0x15e, { handles: { itemHandle: 'user' }, returns: { outData: SENSITIVE_DATA } }),
  ObjectChangeAuth: command(0x150, {
    handles: { objectHandle: 'admin', parentHandle: 'none' },
    parameters: { newAuth: DIGEST },
    returns: { outPrivate: PRIVATE },
  }),

  Duplicate: command(0x14b, {
    handles: { objectHandle: 'duplicate', newParentHandle: 'none' },
    parameters: { encryptionKeyIn: DATA, symmetricAlg: SYMMETRIC_OBJECT },
    returns: { encryptionKeyOut: DATA, duplicate: PRIVATE, outSymSeed: ENCRYPTED_SECRET },
  }),
  Rewrap: command(0x152, {
    handles: { oldParent: 'user', newParent: 'none' },
    parameters: { inDuplicate: PRIVATE, name: NAME, inSymSeed: ENCRYPTED_SECRET },
    returns: { outDuplicate: PRIVATE, outSymSeed: ENCRYPTED_SECRET },
  }),
  Import: command(0x156, {
    handles: { parentHandle: 'user' },
    parameters: {
      encryptionKey: DATA,
      objectPublic: PUBLIC_AREA,
      duplicate: PRIVATE,
      inSymSeed: ENCRYPTED_SECRET,
      symmetricAlg: SYMMETRIC_OBJECT,
    },
    returns: { outPrivate: PRIVATE },
  }),

  RSA_Encrypt: command(0x174, {
    handles: { keyHandle: 'none' },
    parameters: { message: RSA_KEY, inScheme: RSA_DECRYPT, label: DATA },
    returns: { outData: RSA_KEY },
  }),
  RSA_Decrypt: command(0x159, {
    handles: { keyHandle: 'user' },
    parameters: { cipherText: RSA_KEY, inScheme: RSA_DECRYPT, label: DATA },
    returns: { message: RSA_KEY },
  }),
  ECDH_KeyGen: command(0x163, { handles: { keyHandle: 'none' }, returns: { zPoint: POINT, pubPoint: POINT } }),
  ECDH_ZGen: command(0x154, {
    handles: { keyHandle: 'user' },
    parameters: { inPoint: POINT },
    returns: { outPoint: POINT },
  }),
  ECC_Parameters: command(0x178, {
    parameters: { curveID: CURVE },
    returns: {
      parameters: struct({
        curveID: CURVE,
        keySize: U16,
        kdf: KDF_SCHEME,
        sign: SIGNING_SCHEME,
        p: ECC_PARAMETER,
        a: ECC_PARAMETER,
        b: ECC_PARAMETER,
        gX: ECC_PARAMETER,
        gY: ECC_PARAMETER,
        n: ECC_PARAMETER,
        h: ECC_PARAMETER,
      }),
    },
  }),
  Sign: command(0x15d, {
    handles: { keyHandle: 'user' },
    parameters: { digest: DIGEST, inScheme: SIGNING_SCHEME, validation: TICKET },
    returns: { signature: SIGNATURE },
  }),
  VerifySignature: command(0x177, {
    handles: { keyHandle: 'none' },
    parameters: { digest: DIGEST, signature: SIGNATURE },
    returns: { validation: TICKET },
  }),
  EncryptDecrypt2: command(0x193, {
    handles: { keyHandle: 'user' },
    parameters: { inData: MAX_BUFFER, decrypt: YES_NO, mode: SYMMETRIC_MODE, ivIn: IV },
    returns: { outData: MAX_BUFFER, ivOut: IV },
  }),

  /** The older form of EncryptDecrypt2: its data cannot be encrypted on the bus, since it comes last. */
  EncryptDecrypt: command(0x164, {
    handles: { keyHandle: 'user' },
    parameters: { decrypt: YES_NO, mode: SYMMETRIC_MODE, ivIn: IV, inData: MAX_BUFFER },
    returns: { outData: MAX_BUFFER, ivOut: IV },
  }),
  EC_Ephemeral: command(0x18e, { parameters: { curveID: CURVE }, returns: { Q: POINT, counter: U16 } }),
  ZGen_2Phase: command(0x18d, {
    handles: { keyA: 'user' },
    parameters: { inQsB: POINT, inQeB: POINT, inScheme: KEY_EXCHANGE, counter: U16 },
    returns: { outZ1: POINT, outZ2: POINT },
  }),
  Commit: command(0x18b, {
    handles: { signHandle: 'user' },
    parameters: { P1: POINT, s2: SENSITIVE_DATA, y2: ECC_PARAMETER },
    returns: { K: POINT, L: POINT, E: POINT, counter: U16 },
  }),
  TestParms: command(0x18a, { parameters: { parameters: PUBLIC_PARAMETERS } }),

  Hash: command(0x17d, {
    parameters: { data: MAX_BUFFER, hashAlg: HASH, hierarchy: U32 },
    returns: { outHash: DIGEST, validation: TICKET },
  }),
  /** TPM2_MAC in later revisions; same code. */
  HMAC: command(0x155, {
    handles: { handle: 'user' },
    parameters: { buffer: MAX_BUFFER, hashAlg: MAC_SCHEME },
    returns: { outHMAC: DIGEST },
  }),
  HMAC_Start: command(0x15b, {
    handles: { handle: 'user' },
    parameters: { auth: DIGEST, hashAlg: MAC_SCHEME },
    newHandle: 'sequenceHandle',
  }),
  HashSequenceStart: command(0x186, {
    parameters: { auth: DIGEST, hashAlg: HASH_OR_NULL },
    newHandle: 'sequenceHandle',
  }),
  SequenceUpdate: command(0x15c, { handles: { sequenceHandle: 'user' }, parameters: { buffer: MAX_BUFFER } }),
  SequenceComplete: command(0x13e, {
    handles: { sequenceHandle: 'user' },
    parameters: { buffer: MAX_BUFFER, hierarchy: U32 },
    returns: { result: DIGEST, validation: TICKET },
  }),
  EventSequenceComplete: command(0x185, {
    handles: { pcrHandle: 'user', sequenceHandle: 'user' },
    parameters: { buffer: MAX_BUFFER },
    returns: { results: list(TAGGED_DIGEST, 16) },
  }),
} as const
