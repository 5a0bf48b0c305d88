import { create } from '@bufbuild/protobuf'
import { encodeTpmPublic, parseTpmPublic } from '../codec/public-area.ts'
import type { TpmPublic } from '../codec/public-area.ts'
import { sealToKey } from '../software/import-blob.ts'
import type { PcrBank } from '../tpm/pcr-bank.ts'
import { policyDigest } from '../tpm/policy.ts'
import type { TpmKey } from '../tpm/entity.ts'
import type { Tpm } from '../tpm/tpm.ts'
import type { HashName } from '../verify/crypto.ts'
import { hashAlgo, pcrValues } from './attestation.ts'
import { ImportBlobSchema } from './gen/tpm_pb.js'
import type { ImportBlob } from './gen/tpm_pb.js'
import { pcrPolicy } from './sealed-bytes.ts'

/**
 * Seals data to a TPM elsewhere as the server side of go-tpm-tools does.
 *
 * @param options.endorsementKey - From a certificate or an enrolment that the caller trusts.
 * @param options.pcrs - Values that the registers there must have. Left out, any state opens it.
 */
export function sealForGotpmImport(options: {
  readonly endorsementKey: TpmPublic
  readonly data: Uint8Array
  readonly pcrs?: PcrBank<HashName>
}): ImportBlob {
  const { endorsementKey: parent, data, pcrs } = options
  const isConditional = pcrs !== undefined && pcrs.values.size > 0
  const blob = sealToKey({ parent, data, ...(isConditional ? { authPolicy: policyDigest(pcrPolicy(pcrs)) } : {}) })
  const condition = isConditional ? { pcrs: { hash: hashAlgo(pcrs.bank), pcrs: Object.fromEntries(pcrs.values) } } : {}
  return create(ImportBlobSchema, {
    duplicate: blob.duplicate,
    encryptedSeed: blob.encryptedSeed,
    publicArea: encodeTpmPublic(blob.public),
    ...condition,
  })
}

/**
 * Opens what go-tpm-tools or `sealForGotpmImport` sealed to an endorsement key of this TPM.
 *
 * @throws {TpmError} `tpm.response` when it is for another TPM or state; `input.malformed`.
 */
export async function openGotpmImport(
  tpm: Tpm,
  message: ImportBlob,
  options: { readonly endorsementKey: TpmKey },
): Promise<Uint8Array> {
  const { endorsementKey: parent } = options
  const { duplicate, encryptedSeed } = message
  const blob = { public: parseTpmPublic(message.publicArea), duplicate, encryptedSeed }
  if (message.pcrs === undefined || Object.keys(message.pcrs.pcrs).length === 0)
    return tpm.unsealImported({ parent, blob })
  const { bank, values } = pcrValues(message.pcrs)
  const policy = [{ kind: 'pcr', selections: [{ hash: bank, pcrs: [...values.keys()] }] }] as const
  return tpm.unsealImported({ parent, blob, policy })
}
