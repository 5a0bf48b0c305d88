import { VouchsafeError } from '../base/errors.ts'

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
  readonly #bytes: Uint8Array
  readonly #base: number
  readonly #depth: number
  #at = 0

  constructor(what: string, bytes: Uint8Array, base = 0, depth = 0) {
    this.what = what
    this.#bytes = bytes
    this.#base = base
    this.#depth = depth
    if (depth > MAX_DEPTH) throw this.malformed('depth', `nested deeper than ${MAX_DEPTH}`)
  }

  get done(): boolean {
    return this.#at === this.#bytes.length
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
    return this.#bytes[this.#at]
  }

  /** The next element, whatever it is. */
  any(field: string): DerElement {
    const bytes = this.#bytes
    const start = this.#at
    const tag = bytes[start]
    if (tag === undefined) throw this.malformed(field, 'missing')
    if ((tag & 0x1f) === 0x1f) throw this.malformed(field, 'tag of more than one octet')
    const first = bytes[start + 1]
    if (first === undefined) throw this.malformed(field, 'cut short')
    let at = start + 2
    let length = first
    if (first >= 0x80) {
      const octets = first & 0x7f
      if (octets === 0) throw this.malformed(field, 'indefinite length')
      if (octets > 4) throw this.malformed(field, `length of ${octets} octets`)
      length = 0
      for (let i = 0; i < octets; i++) length = length * 256 + (bytes[at++] ?? 0)
      const minimal = octets === 1 ? 0x80 : 2 ** (8 * (octets - 1))
      if (at > bytes.length) throw this.malformed(field, 'cut short')
      if (length < minimal) throw this.malformed(field, 'length is not minimal')
    }
    const end = at + length
    if (end > bytes.length) throw this.malformed(field, `wants ${length} bytes, ${bytes.length - at} are left`)
    this.#at = end
    return { tag, content: bytes.subarray(at, end), raw: bytes.subarray(start, end) }
  }

  /** The next element, which must carry `tag`. */
  take(field: string, tag: number): DerElement {
    const found = this.peek()
    if (found !== tag) {
      const is = found === undefined ? 'missing' : `tag 0x${found.toString(16)}`
      throw this.malformed(field, `${is}, wanted tag 0x${tag.toString(16)}`)
    }
    return this.any(field)
  }

  /** The next element if it carries `tag`, else nothing is read. */
  optional(field: string, tag: number): DerElement | undefined {
    return this.peek() === tag ? this.any(field) : undefined
  }

  /** A reader over the content of the next element. */
  inside(field: string, tag: number): DerReader {
    const element = this.take(field, tag)
    return this.#child(element)
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
    const content = this.take(field, tag).content
    const [first, second] = content
    if (first === undefined) throw this.malformed(field, 'integer without octets')
    if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)))
      throw this.malformed(field, 'integer is not minimal')
    return content
  }

  /** A non-negative integer that fits a JavaScript number exactly. */
  smallInteger(field: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const content = this.integer(field)
    if ((content[0] ?? 0) >= 0x80) throw this.malformed(field, 'negative')
    if (content.length > 8) throw this.malformed(field, `integer of ${content.length} octets`)
    let value = 0
    for (const octet of content) value = value * 256 + octet
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
    const content = this.take(field, TAG.boolean).content
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
      throw this.malformed(field, 'boolean is neither 00 nor FF')
    return content[0] === 0xff
  }

  /** Dotted decimal. */
  oid(field: string): string {
    const content = this.take(field, TAG.oid).content
    if (content.length === 0 || content.length > 64) throw this.malformed(field, `OID of ${content.length} octets`)
    let group = 0
    let widest = 0
    for (const octet of content) {
      if (group === 0 && octet === 0x80) throw this.malformed(field, 'OID arc is not minimal')
      group = octet >= 0x80 ? group + 1 : 0
      if (group > widest) widest = group
    }
    if (group !== 0) throw this.malformed(field, 'OID is cut short')
    // seven groups of seven bits fit a number exactly; UUID-based arcs have 128 bits
    return widest < 7 ? oidText(content) : wideOidText(content)
  }

  octetString(field: string): Uint8Array {
    return this.take(field, TAG.octetString).content
  }

  /** A bit string of whole octets: keys and signatures. */
  bitStringOctets(field: string): Uint8Array {
    const content = this.take(field, TAG.bitString).content
    if (content[0] !== 0) throw this.malformed(field, 'bit string is not of whole octets')
    return content.subarray(1)
  }

  /**
   * A named bit list: the numbers of the bits that are set. AMD's roots keep trailing zero bits, which DER would drop:
   * tolerated, since it changes no meaning. Padding bits must be zero.
   */
  bitNames(field: string): readonly number[] {
    const content = this.take(field, TAG.bitString).content
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
    if (this.take(field, TAG.null).content.length !== 0) throw this.malformed(field, 'NULL with content')
  }

  /** UTCTime or GeneralizedTime, to the second, in UTC. UTCTime means 1950 to 2049. */
  time(field: string): Date {
    const tag = this.peek()
    if (tag !== TAG.utcTime && tag !== TAG.generalizedTime) throw this.malformed(field, 'neither form of time')
    const text = latin1(this.any(field).content)
    const form = tag === TAG.utcTime ? /^(\d{2})(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/
    const match = form.exec(text)
    if (match === null) throw this.malformed(field, `time is not ${tag === TAG.utcTime ? 'YY' : 'YYYY'}MMDDHHMMSSZ`)
    const digits = match[2] ?? ''
    const year = Number(match[1]) + (tag === TAG.generalizedTime ? 0 : Number(match[1]) < 50 ? 2000 : 1900)
    const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = [0, 2, 4, 6, 8].map((i) =>
      Number(digits.slice(i, i + 2)),
    )
    const date = new Date(0)
    date.setUTCFullYear(year, month - 1, day)
    date.setUTCHours(hour, minute, second)
    // a date that the calendar does not have would have rolled over into the next month
    const same = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
    if (!same || hour > 23 || minute > 59 || second > 59) throw this.malformed(field, `no such time: ${text}`)
    return date
  }

  /** Call last: nothing may be left over. */
  end(): void {
    if (!this.done) throw this.malformed('end', `${this.#bytes.length - this.#at} bytes left over`)
  }

  /** A reader over what an element holds, with offsets that still count from the outermost input. */
  #child(element: DerElement): DerReader {
    const base = this.#base + this.#at - element.content.length
    return new DerReader(this.what, element.content, base, this.#depth + 1)
  }
}

function oidText(content: Uint8Array): string {
  let text = ''
  let arc = 0
  for (const octet of content) {
    arc = arc * 128 + (octet & 0x7f)
    if (octet >= 0x80) continue
    // the first two arcs share one number
    if (text !== '') text += `.${arc}`
    else text = arc < 80 ? `${Math.floor(arc / 40)}.${arc % 40}` : `2.${arc - 80}`
    arc = 0
  }
  return text
}

function wideOidText(content: Uint8Array): string {
  let text = ''
  let arc = 0n
  for (const octet of content) {
    arc = (arc << 7n) | BigInt(octet & 0x7f)
    if (octet >= 0x80) continue
    if (text !== '') text += `.${arc}`
    else text = arc < 80n ? `${arc / 40n}.${arc % 40n}` : `2.${arc - 80n}`
    arc = 0n
  }
  return text
}

/** Octets as the characters of the same numbers. */
export function latin1(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

/** Byte for byte; not in constant time: certificates are public. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
