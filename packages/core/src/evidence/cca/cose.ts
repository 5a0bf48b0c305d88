import { decode, encode, Tagged } from 'cborg'
import type { PublicKey, SignatureScheme } from '../../base/crypto.ts'
import type { CryptoPort } from '../../base/crypto.ts'
import { VouchsafeError } from '../../base/errors.ts'

const MAX_BYTES = 64 * 1024
/** COSE algorithms that count, with the curve each goes with. @source RFC 9053 section 2.1 */
const ALGORITHMS = {
  [-7]: { hash: 'sha256', curve: 'P-256' },
  [-35]: { hash: 'sha384', curve: 'P-384' },
  [-36]: { hash: 'sha512', curve: 'P-521' },
} as const
const COSE_SIGN1 = 18

/**
 * Reads CBOR in its deterministic form only: no indefinite lengths, no keys twice, shortest numbers, nothing left over
 * (K13). Maps become `Map`, so that no key can be more than a key.
 *
 * @throws {VouchsafeError} `input.malformed`, `input.too-large`
 */
export function readCbor(what: string, bytes: Uint8Array, ...tags: readonly number[]): unknown {
  if (bytes.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `${what}: over ${MAX_BYTES} bytes`)
  try {
    return decode(bytes, {
      strict: true,
      useMaps: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowNaN: false,
      allowInfinity: false,
      rejectDuplicateMapKeys: true,
      tags: Tagged.preserve(...tags),
    })
  } catch (cause) {
    throw new VouchsafeError('input.malformed', `${what}: ${(cause as Error).message}`, { cause })
  }
}

/** A signed message taken apart. Nothing in it is authenticated. */
export interface CoseSign1 {
  readonly algorithm: keyof typeof ALGORITHMS
  readonly payload: Uint8Array
  /** What the signature is over. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

/** @throws {VouchsafeError} `input.malformed`; `evidence.algorithm` @source RFC 9052 section 4 */
export function readCoseSign1(what: string, bytes: Uint8Array): CoseSign1 {
  const malformed = (why: string) => new VouchsafeError('input.malformed', `${what}: ${why}`)
  const outer = readCbor(what, bytes, COSE_SIGN1)
  const message = outer instanceof Tagged ? (outer.value as unknown) : outer
  if (!Array.isArray(message) || message.length !== 4) throw malformed('not a COSE_Sign1 of four members')
  const [protectedHeader, unprotected, payload, signature] = message as readonly unknown[]
  if (
    !(protectedHeader instanceof Uint8Array) ||
    !(payload instanceof Uint8Array) ||
    !(signature instanceof Uint8Array)
  )
    throw malformed('protected header, payload and signature are not byte strings')
  if (!(unprotected instanceof Map) || unprotected.size > 0) throw malformed('has unprotected headers')
  const header = readCbor(`${what}: protected header`, protectedHeader)
  if (!(header instanceof Map) || header.size !== 1) throw malformed('protected header has more than an algorithm')
  const algorithm: unknown = header.get(1)
  if (algorithm !== -7 && algorithm !== -35 && algorithm !== -36)
    throw new VouchsafeError('evidence.algorithm', `${what}: COSE algorithm ${String(algorithm)} is not accepted`)
  const signed = encode(['Signature1', protectedHeader, new Uint8Array(0), payload])
  return { algorithm, payload, signed, signature }
}

/** @throws {VouchsafeError} `evidence.signature`; `evidence.algorithm` when the key is on another curve */
export async function verifyCoseSign1(
  what: string,
  message: CoseSign1,
  key: PublicKey,
  crypto: CryptoPort,
): Promise<void> {
  const { hash, curve } = ALGORITHMS[message.algorithm]
  if (key.algorithm.kind !== 'ec' || key.algorithm.curve !== curve)
    throw new VouchsafeError('evidence.algorithm', `${what}: signed for ${curve}, the key is of another kind`)
  const scheme: SignatureScheme = { kind: 'ecdsa', hash, encoding: 'raw' }
  if (!(await crypto.verify(key, scheme, message.signed, message.signature)))
    throw new VouchsafeError('evidence.signature', `${what}: signature does not verify`)
}
