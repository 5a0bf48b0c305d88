import { equalBytes } from '../../verify/equal-bytes.ts'
import type { HashName, VerifyCrypto } from '../../verify/crypto.ts'
import type { TcgEvent } from '../tcg-log.ts'
import type { EventMeaning } from './event-meaning.ts'

/** The bank whose registers were attested: only its digests prove anything. Made by `proofIn`. */
export interface ProofContext {
  readonly bank: HashName
  readonly digest: (data: Uint8Array) => Uint8Array
  /** Digests that every separator has one of. */
  readonly separators: { readonly normal: readonly Uint8Array[]; readonly error: Uint8Array }
  /** What was found out before of an event: several readers look at the same ones. */
  readonly known: { readonly wholeData: WeakMap<TcgEvent, boolean>; readonly meanings: WeakMap<TcgEvent, EventMeaning> }
}

export function proofIn(bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>): ProofContext {
  const ofWords = new Map<number, Uint8Array>()
  const digest = (data: Uint8Array) => {
    if (data.length !== 4) return crypto.digest(bank, data)
    // a separator has one of three contents, and a boot has one for each register
    const [a = 0, b = 0, c = 0, d = 0] = data
    const word = (a << 24) | (b << 16) | (c << 8) | d
    const found = ofWords.get(word) ?? crypto.digest(bank, data)
    ofWords.set(word, found)
    return found
  }
  const normal = [digest(new Uint8Array(4)), digest(new Uint8Array(4).fill(0xff))]
  const known = { wholeData: new WeakMap(), meanings: new WeakMap() }
  return { bank, digest, separators: { normal, error: digest(Uint8Array.of(1, 0, 0, 0)) }, known }
}

/** Whether the event's digest is the digest of all its data. */
export function measuresData(event: TcgEvent, context: ProofContext): boolean {
  const before = context.known.wholeData.get(event)
  if (before !== undefined) return before
  const found = measures(event, event.data, context)
  context.known.wholeData.set(event, found)
  return found
}

/**
 * Whether the event's digest is the digest of `part` of its data, or of the data in another form. One digest has one
 * content, so then it is not that of the data as it stands: nobody needs to hash that as well.
 */
export function measuresPart(event: TcgEvent, part: Uint8Array, context: ProofContext): boolean {
  const found = measures(event, part, context)
  if (found && part.length !== event.data.length) context.known.wholeData.set(event, false)
  return found
}

/** Whether the event's digest is the digest of `measured`. */
export function measures(event: TcgEvent, measured: Uint8Array, context: ProofContext): boolean {
  return hasDigest(event, context.digest(measured), context)
}

export function hasDigest(event: TcgEvent, wanted: Uint8Array, { bank }: ProofContext): boolean {
  const digest = event.digests.get(bank)
  return digest !== undefined && equalBytes(digest, wanted)
}
