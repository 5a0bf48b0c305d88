import type { TpmHash } from '../codec/algorithms.ts'
import type { TpmTicket } from '../codec/creation.ts'
import type { Hierarchy } from '../codec/handles.ts'
import type { TaggedDigest } from '../codec/scalars.ts'
import { adopt, assertMade, flushObject } from './adopt.ts'
import { TpmSequence } from './entity.ts'
import type { TpmKey } from './entity.ts'
import type { Executor } from './executor.ts'
import { authorizing } from './key-authorization.ts'
import { hierarchyHandle } from './use-key.ts'
import type { KeyUse } from './use-key.ts'

/** What every TPM takes in one piece (MAX_DIGEST_BUFFER). */
const PIECE_BYTES = 1024
const NONE = new Uint8Array()

/** A digest that the TPM made, with its word for that. */
export interface TpmDigest {
  readonly digest: Uint8Array
  /** Empty when the data begin like a statement of the TPM itself: a restricted key will not sign them. */
  readonly ticket: TpmTicket
}

/**
 * Hashes data of any length in the TPM. Only useful for the ticket: hashing here is thousands of times faster.
 * @param options.hierarchy - Where the ticket counts: that of the key that shall sign. Default null: no ticket.
 */
export async function hash(
  tpm: Executor,
  data: Uint8Array,
  options: { readonly hash: TpmHash; readonly hierarchy?: Hierarchy },
): Promise<TpmDigest> {
  const hierarchy = hierarchyHandle(options.hierarchy)
  if (data.length <= PIECE_BYTES) {
    const { outHash, validation } = await tpm.run('Hash', { data, hashAlg: options.hash, hierarchy })
    return { digest: outHash, ticket: validation }
  }
  await using sequence = await startSequence(tpm, options.hash)
  const last = await updateAllButLast(tpm, sequence, data)
  const args = { sequenceHandle: sequence, buffer: last, hierarchy }
  const { result, validation } = await tpm.run('SequenceComplete', args)
  return { digest: result, ticket: validation }
}

/** HMAC by a key of the TPM over data of any length. */
export async function hmac(
  tpm: Executor,
  data: Uint8Array,
  options: KeyUse & { readonly hash?: TpmHash },
): Promise<Uint8Array> {
  const { key, sessions = [] } = options
  const hashAlg: TpmHash | 'null' = options.hash ?? 'null'
  if (data.length <= PIECE_BYTES)
    return authorizing(tpm, key, options.auth, async (handle) => {
      const args = { handle: key, buffer: data, hashAlg }
      return (await tpm.run('HMAC', args, { auth: { handle }, sessions })).outHMAC
    })
  await using sequence = await startHmac(tpm, options, key, hashAlg)
  const last = await updateAllButLast(tpm, sequence, data)
  const args = { sequenceHandle: sequence, buffer: last, hierarchy: hierarchyHandle('null') }
  return (await tpm.run('SequenceComplete', args)).result
}

/** Has the TPM hash an event of any length and extend all banks of a register with it. */
export async function extendEvent(tpm: Executor, pcr: number, data: Uint8Array): Promise<readonly TaggedDigest[]> {
  await using sequence = await startSequence(tpm, 'null')
  const last = await updateAllButLast(tpm, sequence, data)
  return (await tpm.run('EventSequenceComplete', { pcrHandle: pcr, sequenceHandle: sequence, buffer: last })).results
}

async function startSequence(tpm: Executor, hashAlg: TpmHash | 'null'): Promise<TpmSequence> {
  let sequence: TpmSequence | undefined
  await tpm.run(
    'HashSequenceStart',
    { auth: NONE, hashAlg },
    { adopt: (handle) => (sequence = adoptSequence(tpm, handle)) },
  )
  return assertMade(sequence)
}

async function startHmac(tpm: Executor, options: KeyUse, key: TpmKey, hashAlg: TpmHash | 'null'): Promise<TpmSequence> {
  let sequence: TpmSequence | undefined
  await authorizing(tpm, key, options.auth, (handle) =>
    tpm.run(
      'HMAC_Start',
      { handle: key, auth: NONE, hashAlg },
      { auth: { handle }, adopt: (made) => (sequence = adoptSequence(tpm, made)) },
    ),
  )
  return assertMade(sequence)
}

function adoptSequence(tpm: Executor, handle: number): TpmSequence {
  return adopt(tpm, new TpmSequence(flushObject(tpm), undefined), handle, { isVolatile: true })
}

async function updateAllButLast(tpm: Executor, sequence: TpmSequence, data: Uint8Array): Promise<Uint8Array> {
  let at = 0
  for (; data.length - at > PIECE_BYTES; at += PIECE_BYTES)
    await tpm.run('SequenceUpdate', { sequenceHandle: sequence, buffer: data.subarray(at, at + PIECE_BYTES) })
  return data.subarray(at)
}
