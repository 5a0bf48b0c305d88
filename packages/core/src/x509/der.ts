import { VouchsafeError } from '../base/errors.ts'
import { KnownOctets } from './known-octets.ts'
import { oidText } from './oid-text.ts'

/** Identifier octets of the universal types that certificates use. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  enumerated: 0x0a,
  sequence: 0x30,
  set: 0x31,
} as const

/** A context-specific tag: `[n]`, primitive unless told. */
export function contextTag(n: number, form: 'primitive' | 'constructed' = 'primitive'): number {
  return (form === 'constructed' ? 0xa0 : 0x80) | n
}

/** One element: its identifier octet, its content, and all of it as received. Both share memory with the input. */
export interface DerElement {
  readonly tag: number
  readonly content: Uint8Array
  readonly raw: Uint8Array
}

const MAX_DEPTH = 16

/** A certificate has two dozen. */
const knownOids = new KnownOctets<string>(1024)

/**
 * Reads DER, and nothing that is merely BER: definite and minimal lengths, single-octet tags, minimal integers,
 * booleans of 00 or FF, zero padding bits, no bytes left over, bounded depth (K13). What it hands out shares memory
 * with the input, so a parser copies its input once before it starts.
 *
 * All errors are `endorsement.malformed` and name the structure, the field and the offset in the outermost input.
 * @source ITU-T X.690 (2021) clauses 8, 10 and 11
 */
export class DerReader {
  readonly what: string
  // children read the same array between bounds of their own: a view for each element costs more than reading it
  readonly #bytes: Uint8Array
  readonly #base: number
  readonly #depth: number
  readonly #end: number
  #at: number
  /** Where the content of the last element begins; it ends at `#at`. */
  #content = 0

  /** @param base - Where `bytes` begins in the outermost input: offsets in errors count from there. */
  constructor(what: string, bytes: Uint8Array, base = 0, depth = 0, from = 0, end: number = bytes.length) {
    this.what = what
    this.#bytes = bytes
    this.#base = base
    this.#depth = depth
    this.#end = end
    this.#at = from
    if (depth > MAX_DEPTH) throw this.malformed('depth', `nested deeper than ${MAX_DEPTH}`)
  }

  get done(): boolean {
    return this.#at === this.#end
  }

  /** The error to throw when a field has a value that it may not have. */
  malformed(field: string, why: string): VouchsafeError {
    return new VouchsafeError(
      'endorsement.malformed',
      `${this.what}: ${field} at offset ${this.#base + this.#at}: ${why}`,
    )
  }

  /** The identifier octet of the next element, undefined at the end. */
  peek(): number | undefined {
    return this.#at < this.#end ? this.#bytes[this.#at] : undefined
  }

  /** The next element, whatever it is. */
  any(field: string): DerElement {
    const start = this.#at
    const tag = this.#step(field)
    return { tag, content: this.#view(), raw: this.#bytes.subarray(start, this.#at) }
  }

  /** The next element, which must carry `tag`. */
  take(field: string, tag: number): DerElement {
    this.#expect(field, tag)
    return this.any(field)
  }

  /** The next element if it carries `tag`, else nothing is read. */
  optional(field: string, tag: number): DerElement | undefined {
    return this.peek() === tag ? this.any(field) : undefined
  }

  /** A reader over the content of the next element, with offsets that still count from the outermost input. */
  inside(field: string, tag: number): DerReader {
    this.#enter(field, tag)
    return new DerReader(this.what, this.#bytes, this.#base, this.#depth + 1, this.#content, this.#at)
  }

  /** A reader over the content of the next element if it carries `tag`. */
  optionalInside(field: string, tag: number): DerReader | undefined {
    return this.peek() === tag ? this.inside(field, tag) : undefined
  }

  sequence(field: string): DerReader {
    return this.inside(field, TAG.sequence)
  }

  set(field: string): DerReader {
    return this.inside(field, TAG.set)
  }

  /** Content octets of a minimal two's-complement integer. */
  integer(field: string, tag: number = TAG.integer): Uint8Array {
    this.#enterInteger(field, tag)
    return this.#view()
  }

  /** A non-negative integer that fits a JavaScript number exactly. */
  smallInteger(field: string, max: number = Number.MAX_SAFE_INTEGER): number {
    this.#enterInteger(field, TAG.integer)
    if (this.#octet(this.#content) >= 0x80) throw this.malformed(field, 'negative')
    const length = this.#at - this.#content
    if (length > 8) throw this.malformed(field, `integer of ${length} octets`)
    let value = 0
    for (let i = this.#content; i < this.#at; i++) value = value * 256 + this.#octet(i)
    // past 2^53 the value is not exact, but it is past every maximum all the same
    if (value > max) throw this.malformed(field, `${value} is over ${max}`)
    return value
  }

  /** A non-negative integer of at most 32 octets. */
  bigInteger(field: string): bigint {
    const content = this.integer(field)
    if ((content[0] ?? 0) >= 0x80) throw this.malformed(field, 'negative')
    if (content.length > 33) throw this.malformed(field, `integer of ${content.length} octets`)
    return content.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n)
  }

  boolean(field: string): boolean {
    this.#enter(field, TAG.boolean)
    const octet = this.#octet(this.#content)
    if (this.#at - this.#content !== 1 || (octet !== 0 && octet !== 0xff))
      throw this.malformed(field, 'boolean is neither 00 nor FF')
    return octet === 0xff
  }

  /** Dotted decimal. */
  oid(field: string): string {
    this.#enter(field, TAG.oid)
    const length = this.#at - this.#content
    if (length === 0 || length > 64) throw this.malformed(field, `OID of ${length} octets`)
    return knownOids.find(this.#bytes, this.#content, this.#at) ?? this.#newOid(field)
  }

  /** The last number of an OID directly below `arc`, whose octets are given; undefined for any other OID. Up to 127. */
  oidBelow(field: string, arc: Uint8Array): number | undefined {
    this.#enter(field, TAG.oid)
    if (this.#at - this.#content !== arc.length + 1) return undefined
    for (let i = 0; i < arc.length; i++) if (this.#bytes[this.#content + i] !== arc[i]) return undefined
    const last = this.#octet(this.#at - 1)
    return last < 0x80 ? last : undefined
  }

  #newOid(field: string): string {
    const content = this.#view()
    let begins = true
    for (const octet of content) {
      if (begins && octet === 0x80) throw this.malformed(field, 'OID arc is not minimal')
      begins = octet < 0x80
    }
    if (!begins) throw this.malformed(field, 'OID is cut short')
    return knownOids.keep(content, oidText(content))
  }

  octetString(field: string): Uint8Array {
    this.#enter(field, TAG.octetString)
    return this.#view()
  }

  /** A bit string of whole octets: keys and signatures. */
  bitStringOctets(field: string): Uint8Array {
    this.#enter(field, TAG.bitString)
    if (this.#content === this.#at || this.#octet(this.#content) !== 0)
      throw this.malformed(field, 'bit string is not of whole octets')
    return this.#bytes.subarray(this.#content + 1, this.#at)
  }

  /**
   * A named bit list: the numbers of the bits that are set. AMD's roots keep trailing zero bits, which DER would drop:
   * tolerated, since it changes no meaning. Padding bits must be zero.
   */
  bitNames(field: string): readonly number[] {
    this.#enter(field, TAG.bitString)
    const content = this.#view()
    const unused = content[0]
    if (unused === undefined || unused > 7 || (content.length === 1 && unused !== 0) || content.length > 5)
      throw this.malformed(field, 'not a bit list')
    const last = content[content.length - 1] ?? 0
    if (content.length > 1 && (last & ((1 << unused) - 1)) !== 0)
      throw this.malformed(field, 'padding bits are not zero')
    const bits: number[] = []
    for (let i = 1; i < content.length; i++)
      for (let bit = 0; bit < 8; bit++) if (((content[i] ?? 0) & (0x80 >> bit)) !== 0) bits.push((i - 1) * 8 + bit)
    return bits
  }

  null(field: string): void {
    this.#enter(field, TAG.null)
    if (this.#at !== this.#content) throw this.malformed(field, 'NULL with content')
  }

  /** UTCTime or GeneralizedTime, to the second, in UTC. UTCTime means 1950 to 2049. */
  time(field: string): Date {
    const tag = this.peek()
    if (tag !== TAG.utcTime && tag !== TAG.generalizedTime) throw this.malformed(field, 'neither form of time')
    this.#step(field)
    const yearDigits = tag === TAG.utcTime ? 2 : 4
    const digits = this.#at - 1 - this.#content
    if (digits !== yearDigits + 10 || this.#octet(this.#at - 1) !== 0x5a || !this.#areDigits())
      throw this.malformed(field, `time is not ${tag === TAG.utcTime ? 'YY' : 'YYYY'}MMDDHHMMSSZ`)
    const from = this.#content + yearDigits
    const [month, day] = [this.#twoDigits(from), this.#twoDigits(from + 2)]
    const [hour, minute, second] = [this.#twoDigits(from + 4), this.#twoDigits(from + 6), this.#twoDigits(from + 8)]
    const [high, low] = [this.#twoDigits(this.#content), this.#twoDigits(from - 2)]
    const year = tag === TAG.generalizedTime ? high * 100 + low : low + (low < 50 ? 2000 : 1900)
    const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
    if (year < 100) date.setUTCFullYear(year, month - 1, day) // which Date.UTC takes for one of the last century
    // a date that the calendar does not have would have rolled over into the next month
    const same = month >= 1 && month <= 12 && day >= 1 && day <= daysOf(month, year)
    if (!same || hour > 23 || minute > 59 || second > 59)
      throw this.malformed(field, `no such time: ${latin1(this.#view())}`)
    return date
  }

  /** Call last: nothing may be left over. */
  end(): void {
    if (!this.done) throw this.malformed('end', `${this.#end - this.#at} bytes left over`)
  }

  /** Reads identifier and length of the next element, and goes past it. Gives the identifier. */
  #step(field: string): number {
    const bytes = this.#bytes
    const end = this.#end
    const start = this.#at
    if (start >= end) throw this.malformed(field, 'missing')
    const tag = this.#octet(start)
    if ((tag & 0x1f) === 0x1f) throw this.malformed(field, 'tag of more than one octet')
    if (start + 1 >= end) throw this.malformed(field, 'cut short')
    let at = start + 2
    let length = this.#octet(start + 1)
    if (length >= 0x80) {
      const octets = length & 0x7f
      if (octets === 0) throw this.malformed(field, 'indefinite length')
      if (octets > 4) throw this.malformed(field, `length of ${octets} octets`)
      if (at + octets > end) throw this.malformed(field, 'cut short')
      length = 0
      for (let i = 0; i < octets; i++) length = length * 256 + (bytes[at++] ?? 0)
      const minimal = octets === 1 ? 0x80 : 2 ** (8 * (octets - 1))
      if (length < minimal) throw this.malformed(field, 'length is not minimal')
    }
    if (at + length > end) throw this.malformed(field, `wants ${length} bytes, ${end - at} are left`)
    this.#content = at
    this.#at = at + length
    return tag
  }

  #expect(field: string, tag: number): void {
    const found = this.peek()
    if (found === tag) return
    const is = found === undefined ? 'missing' : `tag 0x${found.toString(16)}`
    throw this.malformed(field, `${is}, wanted tag 0x${tag.toString(16)}`)
  }

  #enter(field: string, tag: number): void {
    this.#expect(field, tag)
    this.#step(field)
  }

  #enterInteger(field: string, tag: number): void {
    this.#enter(field, tag)
    const length = this.#at - this.#content
    if (length === 0) throw this.malformed(field, 'integer without octets')
    if (length === 1) return
    const [first, second] = [this.#octet(this.#content), this.#octet(this.#content + 1)]
    if ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
      throw this.malformed(field, 'integer is not minimal')
  }

  /** Content of the last element. */
  #view(): Uint8Array {
    return this.#bytes.subarray(this.#content, this.#at)
  }

  #octet(at: number): number {
    return this.#bytes[at] ?? 0
  }

  /** All but the last octet. */
  #areDigits(): boolean {
    for (let i = this.#content; i < this.#at - 1; i++) if (this.#octet(i) < 0x30 || this.#octet(i) > 0x39) return false
    return true
  }

  #twoDigits(at: number): number {
    return (this.#octet(at) - 0x30) * 10 + this.#octet(at + 1) - 0x30
  }
}

function daysOf(month: number, year: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

/** Octets as the characters of the same numbers. */
export function latin1(bytes: Uint8Array): string {
  // at once where they fit a call: one by one makes a text of a thousand parts
  if (bytes.length <= 256) return String.fromCharCode(...bytes)
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
