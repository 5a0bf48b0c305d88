import { ByteReader, ByteWriter } from '@vouchsafe/tpm/codec'
import type { CredentialChallenge } from '@vouchsafe/tpm'

const MAGIC = 0xbadcc0de
const VERSION = 1
const MAX_PART = 1024

/** A credential challenge as tpm2_makecredential writes it and tpm2_activatecredential reads it. */
export function encodeCredentialFile(challenge: CredentialChallenge): Uint8Array {
  return new ByteWriter('big')
    .u32('magic', MAGIC)
    .u32('version', VERSION)
    .sized('credentialBlob', challenge.credentialBlob)
    .sized('secret', challenge.encryptedSecret)
    .finish()
}

/** @throws {TpmError} `input.malformed` */
export function parseCredentialFile(bytes: Uint8Array): CredentialChallenge {
  const r = new ByteReader('credential file', bytes, 'big')
  if (r.u32('magic') !== MAGIC) throw r.malformed('magic', 'not a credential of tpm2-tools')
  if (r.u32('version') !== VERSION) throw r.malformed('version', 'not 1')
  const credentialBlob = r.sized('credentialBlob', MAX_PART)
  const encryptedSecret = r.sized('secret', MAX_PART)
  r.end()
  return { credentialBlob, encryptedSecret }
}
