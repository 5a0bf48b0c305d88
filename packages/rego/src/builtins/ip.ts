/** IP addresses and blocks of them, as numbers of 32 or 128 bits. */

export type Family = 4 | 6

export type Block = {
  readonly family: Family
  /** First address. */
  readonly first: bigint
  readonly prefix: number
}

export function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128
}

export function lastOf({ family, first, prefix }: Block): bigint {
  return first + (1n << BigInt(bitsOf(family) - prefix)) - 1n
}

function parseIPv4(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let out = 0n
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    out = (out << 8n) | BigInt(part)
  }
  return out
}

/** Eight groups of hex, one run of zeros as `::`, the last two groups also as IPv4. */
function parseIPv6(text: string): bigint | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head = '', tail] = halves
  const high = parseGroups(head, tail === undefined)
  const low = tail === undefined ? [] : parseGroups(tail, true)
  if (high === undefined || low === undefined) return undefined
  const missing = 8 - high.length - low.length
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  const groups = [...high, ...Array.from({ length: missing }, () => 0), ...low]
  return groups.reduce((n, g) => (n << 16n) | BigInt(g), 0n)
}

function parseGroups(text: string, atEnd: boolean): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const out: number[] = []
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      out.push(Number.parseInt(part, 16))
      continue
    }
    const v4 = atEnd && i === parts.length - 1 ? parseIPv4(part) : undefined
    if (v4 === undefined) return undefined
    out.push(Number(v4 >> 16n), Number(v4 & 0xffffn))
  }
  return out
}

/** An address; an IPv4 one written as IPv6 (`::ffff:…`) counts as IPv4, as in Go. */
export function parseAddress(text: string): { readonly family: Family; readonly value: bigint } | undefined {
  if (!text.includes(':')) {
    const value = parseIPv4(text)
    return value === undefined ? undefined : { family: 4, value }
  }
  const value = parseIPv6(text)
  if (value === undefined) return undefined
  return value >> 32n === 0xffffn ? { family: 4, value: value & 0xffffffffn } : { family: 6, value }
}

/** An address with prefix length; host bits are cleared. */
export function parseBlock(text: string): Block | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const addressText = text.slice(0, slash)
  const lengthText = text.slice(slash + 1)
  const address = parseAddress(addressText)
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return undefined
  const written: Family = addressText.includes(':') ? 6 : 4
  const value = written === 6 && address.family === 4 ? address.value | (0xffffn << 32n) : address.value
  const prefix = Number(lengthText)
  if (prefix > bitsOf(written)) return undefined
  return blockOf(written, value, prefix)
}

export function blockOf(family: Family, address: bigint, prefix: number): Block {
  const hostBits = BigInt(bitsOf(family) - prefix)
  return { family, first: (address >> hostBits) << hostBits, prefix }
}

export function formatAddress(family: Family, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((s) => (value >> s) & 255n).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn))
  if (value >> 32n === 0xffffn) return formatAddress(4, value & 0xffffffffn)
  const run = longestZeroRun(groups)
  const hex = (part: readonly number[]): string => part.map((g) => g.toString(16)).join(':')
  if (run.length < 2) return hex(groups)
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let i = 0; i <= groups.length; i++) {
    if (i < groups.length && groups[i] === 0) continue
    if (i - start > best.length) best = { start, length: i - start }
    start = i + 1
  }
  return best
}

export function formatBlock({ family, first, prefix }: Block): string {
  return `${formatAddress(family, first)}/${prefix}`
}
