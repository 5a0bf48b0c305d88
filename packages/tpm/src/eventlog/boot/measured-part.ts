import type { HashName, VerifyCrypto } from '../../verify/crypto.ts'
import type { TcgEvent } from '../tcg-log.ts'

/** The bank whose registers were attested: only its digests prove anything. Made by `proofIn`. */
export interface ProofContext {
  readonly bank: HashName
  readonly digest: (data: Uint8Array) => Uint8Array
  /** Digests that every separator has one of. */
  readonly separators: { readonly normal: readonly Uint8Array[]; readonly error: Uint8Array }
}

export function proofIn(bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>): ProofContext {
  const digest = (data: Uint8Array) => crypto.digest(bank, data)
  const normal = [digest(new Uint8Array(4)), digest(new Uint8Array(4).fill(0xff))]
  return { bank, digest, separators: { normal, error: digest(Uint8Array.of(1, 0, 0, 0)) } }
}

/** Whether the event's digest is the digest of `measured`. */
export function measures(event: TcgEvent, measured: Uint8Array, context: ProofContext): boolean {
  return hasDigest(event, context.digest(measured), context)
}

export function hasDigest(event: TcgEvent, wanted: Uint8Array, { bank }: ProofContext): boolean {
  const digest = event.digests.get(bank)
  return digest?.length === wanted.length && digest.every((byte, i) => byte === wanted[i])
}
