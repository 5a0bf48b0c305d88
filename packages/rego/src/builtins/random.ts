import { sha256 } from '@noble/hashes/sha2.js'
import { newRecord, numberFromBigInt, numberText, textToBytes, type NumberValue, type Value } from '../value/index.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from './contract.ts'
import { define, O, takeBigInt } from './define.ts'
import { hex } from './encoding.ts'
import { T } from './types.ts'

/** 32 bytes that depend on the decision's seed and the call only: the same call answers the same within a decision. */
function randomBytes(ctx: BuiltinContext, call: string): Uint8Array {
  return sha256.create().update(ctx.seed).update(textToBytes(call)).digest()
}

function randomInteger(ctx: BuiltinContext, name: string, n: NumberValue): Value {
  const given = takeBigInt(n, 2)
  const limit = given < 0n ? -given : given
  if (limit === 0n) return 0
  if (limit >= 1n << 63n) throw new BuiltinError('the bound is too large')
  const random = BigInt(`0x${hex(randomBytes(ctx, `rand.intn\0${name}\0${numberText(n)}`))}`)
  // 256 random bits over at most 63: the bias is far below anything that can be seen
  return numberFromBigInt(random % limit)
}

function uuidV4(ctx: BuiltinContext, key: string): Value {
  const bytes = randomBytes(ctx, `uuid.rfc4122\0${key}`).slice(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return dashed(hex(bytes))
}

function dashed(h: string): string {
  return [h.slice(0, 8), h.slice(8, 12), h.slice(12, 16), h.slice(16, 20), h.slice(20)].join('-')
}

const PLAIN = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i

/** With or without `urn:uuid:`, in braces or any other two characters, with or without dashes. */
function uuidHex(text: string): string | undefined {
  const inner = /^urn:uuid:/i.test(text) ? text.slice(9) : text.length === 38 ? text.slice(1, 37) : text
  if (/^[0-9a-f]{32}$/i.test(inner)) return text.length === 32 ? inner.toLowerCase() : undefined
  const m = PLAIN.exec(inner)
  return m === null ? undefined : m.slice(1).join('').toLowerCase()
}

function variantOf(byte: number): string {
  if ((byte & 0xc0) === 0x80) return 'RFC4122'
  if ((byte & 0xe0) === 0xc0) return 'Microsoft'
  return (byte & 0xe0) === 0xe0 ? 'Future' : 'Reserved'
}

const DOMAINS = ['Person', 'Group', 'Org'] as const
/** From the start of the Gregorian calendar to 1970, in units of 100 ns. */
const GREGORIAN_OFFSET = 122_192_928_000_000_000n

function parseUuid(text: string): Value | undefined {
  const h = uuidHex(text)
  if (h === undefined) throw new BuiltinError('invalid UUID')
  const byte = (i: number): number => Number.parseInt(h.slice(2 * i, 2 * i + 2), 16)
  const out = newRecord()
  const version = byte(6) >> 4
  out['variant'] = variantOf(byte(8))
  out['version'] = version
  if (version !== 1 && version !== 2) return out
  const ticks = BigInt(`0x${h.slice(13, 16)}${h.slice(8, 12)}${h.slice(0, 8)}`)
  out['time'] = numberFromBigInt(BigInt.asIntN(64, (ticks - GREGORIAN_OFFSET) * 100n))
  out['clocksequence'] = ((byte(8) & 0x3f) << 8) | byte(9)
  out['nodeid'] = (h.slice(20).match(/../g) ?? []).join('-')
  out['macvariables'] = `${(byte(10) & 2) === 2 ? 'local' : 'global'}:${(byte(10) & 1) === 1 ? 'multicast' : 'unicast'}`
  if (version === 2) {
    out['id'] = Number.parseInt(h.slice(0, 8), 16)
    out['domain'] = DOMAINS[byte(9)] ?? `Domain${byte(9)}`
  }
  return out
}

export const RANDOM: readonly Builtin[] = [
  define('rand.intn', [O.string, O.number], T.number, randomInteger, { nondeterministic: true }),
  define('uuid.rfc4122', [O.string], T.string, uuidV4, { nondeterministic: true }),
  define('uuid.parse', [O.string], T.object(T.string), (_, s) => parseUuid(s)),
]
