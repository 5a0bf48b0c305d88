import { create } from '@bufbuild/protobuf'
import { encodeTpmCreationData, encodeTpmTicket, parseTpmCreationData, parseTpmTicket } from '../codec/creation.ts'
import { TpmError } from '../codec/errors.ts'
import { encodeTpmPublic, parseTpmPublic } from '../codec/public-area.ts'
import { TEMPLATES } from '../codec/templates.ts'
import { digest } from '../crypto/digest.ts'
import type { PcrBank } from '../tpm/pcr-bank.ts'
import type { Policy } from '../tpm/policy.ts'
import type { TpmKey } from '../tpm/entity.ts'
import type { Tpm } from '../tpm/tpm.ts'
import type { HashName } from '../verify/crypto.ts'
import { ALL_PCRS } from '../verify/verify-tpm-quote.ts'
import { hashAlgo, pcrValues } from './attestation.ts'
import { ObjectType, SealedBytesSchema } from './gen/tpm_pb.js'
import type { SealedBytes } from './gen/tpm_pb.js'

/** The storage key under which go-tpm-tools seal; each TPM has one of each kind. */
export type StorageKeyKind = 'rsa' | 'ecc'

const STORAGE_KEYS = {
  rsa: { template: TEMPLATES.srkRsa2048, type: ObjectType.RSA },
  ecc: { template: TEMPLATES.srkEccP256, type: ObjectType.ECC },
} as const
/** The bank of the registers that go into the creation record. */
const CREATION_BANK = 'sha256'

/** Registers that must hold these values. */
export function pcrPolicy(pcrs: PcrBank<HashName>): Policy {
  return [{ kind: 'pcr', selections: [{ hash: pcrs.bank, pcrs: [...pcrs.values.keys()] }], values: [pcrs] }]
}

/** With a password both must hold; what needs none is as go-tpm-tools have it. */
function sealingPolicy(condition: Policy, authValue: Uint8Array | undefined): { readonly policy?: Policy } {
  if (condition.length === 0) return {}
  return { policy: authValue === undefined ? condition : [...condition, { kind: 'auth-value' }] }
}

/**
 * Seals as `gotpm seal` does, so that `gotpm unseal` opens it.
 *
 * @param options.authValue - A password that is needed besides. gotpm knows none, so only `unsealFromGotpm` opens it then.
 * @param options.pcrs - Values that the registers must have: the present ones, from `pcrRead`, or those of a state to
 *   come. Left out, any state of this TPM opens it.
 * @throws {TpmError} `tpm.unavailable` when registers change meanwhile: the record of their values would be false.
 */
export async function sealForGotpm(
  tpm: Tpm,
  options: {
    readonly data: Uint8Array
    readonly srk?: StorageKeyKind
    readonly pcrs?: PcrBank<HashName>
    readonly authValue?: Uint8Array
  },
): Promise<SealedBytes> {
  const { data, pcrs, authValue, srk = 'rsa' } = options
  const { template, type } = STORAGE_KEYS[srk]
  await using parent = await tpm.createPrimary({ hierarchy: 'owner', template })
  const condition = pcrs === undefined || pcrs.values.size === 0 ? [] : pcrPolicy(pcrs)
  const password = authValue === undefined ? {} : { authValue }
  const creationPcrs = [{ hash: CREATION_BANK, pcrs: ALL_PCRS }] as const
  const sealed = await tpm.seal({ parent, data, creationPcrs, ...sealingPolicy(condition, authValue), ...password })
  const certified = await tpm.pcrRead(CREATION_BANK)
  if (Buffer.compare(digest('sha256', ...certified.values.values()), sealed.creationData.pcrDigest) !== 0)
    throw new TpmError('tpm.unavailable', 'registers changed while the data were sealed')
  return create(SealedBytesSchema, {
    priv: sealed.private,
    pub: encodeTpmPublic(sealed.public),
    pcrs: [...(pcrs?.values.keys() ?? [])],
    ...(pcrs === undefined ? {} : { hash: hashAlgo(pcrs.bank) }),
    srk: type,
    certifiedPcrs: { hash: hashAlgo(CREATION_BANK), pcrs: Object.fromEntries(certified.values) },
    creationData: encodeTpmCreationData(sealed.creationData),
    ticket: encodeTpmTicket(sealed.creationTicket),
  })
}

/**
 * Opens what `gotpm seal` or `sealForGotpm` sealed on this TPM.
 *
 * @param options.authValue - The password it was sealed with, if any.
 * @param options.certify - Values that registers must have had when it was sealed, with this TPM as the witness. Left
 *   out, it may have been sealed in any state, also by whoever else has the machine.
 * @throws {TpmError} `evidence.mismatch` when it was sealed in another state; `tpm.response` when the TPM is not in the
 *   state that it was sealed to, or did not seal it; `input.malformed`.
 */
export async function unsealFromGotpm(
  tpm: Tpm,
  message: SealedBytes,
  options: { readonly certify?: PcrBank<HashName>; readonly authValue?: Uint8Array } = {},
): Promise<Uint8Array> {
  const { template } = STORAGE_KEYS[storageKeyKind(message)]
  await using parent = await tpm.createPrimary({ hierarchy: 'owner', template })
  if (options.certify !== undefined) await certifySealing(tpm, parent, message, options.certify)
  const sealed = { private: message.priv, public: parseTpmPublic(message.pub) }
  const { authValue } = options
  const password = authValue === undefined ? {} : { authValue }
  return await tpm.unseal({ parent, sealed, ...sealingPolicy(conditionOf(message), authValue), ...password })
}

function conditionOf(message: SealedBytes): Policy {
  if (message.pcrs.length === 0) return []
  const { bank } = pcrValues({ ...message, $typeName: 'tpm.PCRs', pcrs: {} })
  return [{ kind: 'pcr', selections: [{ hash: bank, pcrs: message.pcrs }] }]
}

function storageKeyKind({ srk }: SealedBytes): StorageKeyKind {
  if (srk === ObjectType.RSA) return 'rsa'
  if (srk === ObjectType.ECC) return 'ecc'
  throw new TpmError('input.malformed', `SealedBytes: there is no storage key of type ${srk}`)
}

/** Has the TPM confirm the creation record, and compares that with what is expected. */
async function certifySealing(
  tpm: Tpm,
  parent: TpmKey,
  message: SealedBytes,
  expected: PcrBank<HashName>,
): Promise<void> {
  const certified = pcrValues(message.certifiedPcrs)
  for (const [pcr, value] of expected.values)
    if (expected.bank !== certified.bank || Buffer.compare(certified.values.get(pcr) ?? Buffer.of(), value) !== 0)
      throw new TpmError('evidence.mismatch', `${expected.bank} PCR ${pcr} had another value when this was sealed`)
  const record = parseTpmCreationData(message.creationData)
  await using object = await tpm.load({ parent, private: message.priv, public: parseTpmPublic(message.pub) })
  await tpm.run('CertifyCreation', {
    signHandle: 'null',
    objectHandle: object,
    qualifyingData: new Uint8Array(),
    creationHash: digest('sha256', message.creationData),
    inScheme: { scheme: 'null' },
    creationTicket: parseTpmTicket(message.ticket),
  })
  const [selection, ...others] = record.pcrSelect
  const values = selection?.pcrs.map((pcr) => certified.values.get(pcr) ?? new Uint8Array()) ?? []
  const isOfRecord = others.length === 0 && selection?.hash === certified.bank
  if (!isOfRecord || Buffer.compare(digest('sha256', ...values), record.pcrDigest) !== 0)
    throw new TpmError('evidence.mismatch', 'SealedBytes: the certified registers are not those of the creation record')
}
