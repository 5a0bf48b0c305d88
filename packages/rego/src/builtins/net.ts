import {
  isArray,
  isObject,
  isSet,
  objectEntries,
  RegoSet,
  sortedElements,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from './contract.ts'
import { declared, define, O, oneOf, takeStrings } from './define.ts'
import {
  bitsOf,
  blockOf,
  formatAddress,
  formatBlock,
  lastOf,
  parseAddress,
  parseBlock,
  type Block,
  type Family,
} from './ip.ts'
import { T } from './types.ts'

function takeBlock(text: string): Block {
  const block = parseBlock(text)
  if (block === undefined) throw new BuiltinError(`invalid CIDR address: ${text}`)
  return block
}

/** A block, or an address as a block of one. */
function takeBlockOrAddress(text: string): Block {
  const address = parseAddress(text)
  return address === undefined ? takeBlock(text) : blockOf(address.family, address.value, bitsOf(address.family))
}

function contains(outer: Block, inner: Block): boolean {
  return outer.family === inner.family && outer.first <= inner.first && lastOf(inner) <= lastOf(outer)
}

function intersects(a: Block, b: Block): boolean {
  return a.family === b.family && a.first <= lastOf(b) && b.first <= lastOf(a)
}

type Named = { readonly key: Value; readonly block: Block }
type Many = string | readonly Value[] | RegoSet | RegoRecord | RegoMap

/** The blocks of an operand with the key that names each: index, object key, or the element itself. */
function namedBlocks(v: Many, position: number, parse: (text: string) => Block): Named[] {
  if (typeof v === 'string') return [{ key: v, block: parse(v) }]
  const entries: ReadonlyArray<readonly [Value, Value]> = isArray(v)
    ? v.map((x, i) => [i, x])
    : isSet(v)
      ? sortedElements(v).map((x) => [x, x])
      : objectEntries(v)
  return entries.map(([key, x]) => ({ key, block: parse(textOf(x, position)) }))
}

function textOf(v: Value, position: number): string {
  const text = isArray(v) ? v[0] : v
  if (typeof text === 'string') return text
  throw new BuiltinError(`operand ${position}: element must be string or non-empty array`)
}

function containsMatches(ctx: BuiltinContext, a: Many, b: Many): Value {
  const outer = namedBlocks(a, 1, takeBlock)
  const inner = namedBlocks(b, 2, takeBlockOrAddress)
  ctx.spend(outer.length * inner.length)
  const out = new RegoSet()
  for (const x of outer) for (const y of inner) if (contains(x.block, y.block)) out.add([x.key, y.key])
  return out
}

function expand(ctx: BuiltinContext, text: string): Value {
  const block = takeBlock(text)
  const size = lastOf(block) - block.first + 1n
  ctx.reserve(size > 0xffffffffn ? Infinity : Number(size) * 16)
  ctx.spend(Number(size))
  const out = new RegoSet()
  for (let n = 0n; n < size; n++) out.add(formatAddress(block.family, block.first + n))
  return out
}

/** The prefix length of an IPv4 address that names none: that of its class. */
function classPrefix(address: bigint): number {
  const top = Number(address >> 24n)
  return top < 128 ? 8 : top < 192 ? 16 : 24
}

function takeMergeable(text: string): Block {
  if (text.includes('/')) return takeBlock(text)
  const address = parseAddress(text)
  if (address === undefined) throw new BuiltinError(`invalid IP address: ${text}`)
  if (address.family === 6) throw new BuiltinError('IPv6 invalid: needs prefix length')
  return blockOf(4, address.value, classPrefix(address.value))
}

/** The fewest blocks that cover exactly the same addresses. */
function merge(ctx: BuiltinContext, v: readonly Value[] | RegoSet): Value {
  const blocks = takeStrings(v, 1).map(takeMergeable)
  ctx.spend(blocks.length)
  const families: readonly Family[] = [4, 6]
  return RegoSet.of(families.flatMap((family) => mergeFamily(family, blocks).map(formatBlock)))
}

function mergeFamily(family: Family, blocks: readonly Block[]): Block[] {
  const ranges = blocks
    .filter((b) => b.family === family)
    .map((b) => ({ first: b.first, last: lastOf(b) }))
    .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
  const joined: Array<{ first: bigint; last: bigint }> = []
  for (const r of ranges) {
    const before = joined.at(-1)
    if (before !== undefined && r.first <= before.last + 1n) {
      if (r.last > before.last) before.last = r.last
    } else joined.push({ ...r })
  }
  return joined.flatMap((r) => coverRange(family, r.first, r.last))
}

function coverRange(family: Family, first: bigint, last: bigint): Block[] {
  const out: Block[] = []
  for (let at = first; at <= last;) {
    let hostBits = 0
    // as large as the alignment of its start and the end of the range allow
    while (hostBits < bitsOf(family) && fits(at, hostBits + 1, last)) hostBits++
    out.push({ family, first: at, prefix: bitsOf(family) - hostBits })
    at += 1n << BigInt(hostBits)
  }
  return out
}

function fits(at: bigint, hostBits: number, last: bigint): boolean {
  const size = 1n << BigInt(hostBits)
  return at % size === 0n && at + size - 1n <= last
}

function lookUp(ctx: BuiltinContext, name: string): Value {
  const ask = ctx.host.lookupAddresses
  if (ask === undefined) throw new Error('net.lookup_ip_addr: the host does not provide it')
  return RegoSet.of(ctx.settle(`net.lookup_ip_addr\0${name}`, () => ask(name)))
}

const element = T.oneOf(T.string, T.array())
const many = oneOf<Many>(
  T.oneOf(T.string, T.array(element), T.object(T.string, element), T.set(element)),
  '{string, array, object, set}',
  (v) => typeof v === 'string' || isArray(v) || isSet(v) || isObject(v),
)
const blocks = declared(O.collection, T.oneOf(T.array(T.oneOf(T.string)), T.set(T.string)))

export const NET: readonly Builtin[] = [
  define('net.cidr_contains', [O.string, O.string], T.boolean, (_, a, b) =>
    contains(takeBlock(a), takeBlockOrAddress(b)),
  ),
  define(
    'net.cidr_overlap',
    [O.string, O.string],
    T.boolean,
    (_, a, b) => contains(takeBlock(a), takeBlockOrAddress(b)),
    {
      deprecated: true,
    },
  ),
  define('net.cidr_contains_matches', [many, many], T.set(T.tuple(T.any, T.any)), containsMatches),
  define('net.cidr_intersects', [O.string, O.string], T.boolean, (_, a, b) => intersects(takeBlock(a), takeBlock(b))),
  define('net.cidr_expand', [O.string], T.set(T.string), expand),
  define('net.cidr_merge', [blocks], T.set(T.string), merge),
  define(
    'net.cidr_is_valid',
    [declared(O.any, T.string)],
    T.boolean,
    (_, v) => typeof v === 'string' && parseBlock(v) !== undefined,
  ),
  define('net.lookup_ip_addr', [O.string], T.set(T.string), lookUp, {
    nondeterministic: true,
    host: 'lookupAddresses',
  }),
]
