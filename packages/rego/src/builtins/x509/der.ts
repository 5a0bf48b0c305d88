import { BuiltinError } from '../contract.ts'

/** One DER element. Definite, minimal lengths only; nothing may be left over. */
export class DerNode {
  /** Identifier octet: class, constructed bit, number below 31. */
  readonly tag: number
  readonly content: Uint8Array<ArrayBuffer>
  /** The element with its header. */
  readonly raw: Uint8Array<ArrayBuffer>

  constructor(tag: number, content: Uint8Array<ArrayBuffer>, raw: Uint8Array<ArrayBuffer>) {
    this.tag = tag
    this.content = content
    this.raw = raw
  }

  /** The elements inside a constructed one. */
  children(): DerNode[] {
    if ((this.tag & 0x20) === 0) throw malformed('a constructed element was expected')
    return readDerSequence(this.content)
  }

  expect(tag: number): this {
    if (this.tag !== tag) throw malformed(`tag ${tag} was expected, not ${this.tag}`)
    return this
  }

  integer(): bigint {
    this.expect(TAG.integer)
    const [first, second] = this.content
    if (first === undefined) throw malformed('an integer has no bytes')
    const padded = second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
    if (padded) throw malformed('an integer is not minimal')
    let n = 0n
    for (const b of this.content) n = (n << 8n) | BigInt(b)
    return first >= 0x80 ? n - (1n << BigInt(8 * this.content.length)) : n
  }

  /** Dotted form. */
  oid(): string {
    this.expect(TAG.oid)
    const arcs: bigint[] = []
    let arc = 0n
    for (const [i, b] of this.content.entries()) {
      arc = (arc << 7n) | BigInt(b & 0x7f)
      if (b < 0x80) {
        arcs.push(arc)
        arc = 0n
      } else if (i === this.content.length - 1) throw malformed('an object identifier is cut short')
    }
    const [first] = arcs
    if (first === undefined) throw malformed('an object identifier has no bytes')
    const top = first < 80n ? first / 40n : 2n
    return [top, first - top * 40n, ...arcs.slice(1)].join('.')
  }

  /** The bytes of a bit string without spare bits. */
  bits(): Uint8Array<ArrayBuffer> {
    this.expect(TAG.bitString)
    if (this.content.length === 0) throw malformed('a bit string has no bytes')
    return this.content.subarray(1)
  }

  boolean(): boolean {
    this.expect(TAG.boolean)
    if (this.content.length !== 1) throw malformed('a boolean has not one byte')
    return this.content[0] !== 0
  }
}

export const TAG = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  oid: 6,
  sequence: 0x30,
  set: 0x31,
} as const

export function malformed(what: string): BuiltinError {
  return new BuiltinError(`asn1: structure error: ${what}`)
}

/** All elements of a run of bytes. */
export function readDerSequence(bytes: Uint8Array<ArrayBuffer>): DerNode[] {
  const out: DerNode[] = []
  for (let at = 0; at < bytes.length;) {
    const node = readAt(bytes, at)
    out.push(node)
    at += node.raw.length
  }
  return out
}

/** The one element that the bytes are. */
export function readDer(bytes: Uint8Array<ArrayBuffer>): DerNode {
  const [node, extra] = readDerSequence(bytes)
  if (node === undefined) throw malformed('no bytes')
  if (extra !== undefined) throw malformed('bytes are left over')
  return node
}

function readAt(bytes: Uint8Array<ArrayBuffer>, at: number): DerNode {
  const tag = bytes[at]
  const first = bytes[at + 1]
  if (tag === undefined || first === undefined) throw malformed('cut short')
  if ((tag & 0x1f) === 0x1f) throw malformed('long tags are not used here')
  let length = first
  let start = at + 2
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0 || count > 4) throw malformed('length')
    length = 0
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[start + i] ?? 0)
    start += count
    if (length < 0x80 || (count > 1 && length < 256 ** (count - 1))) throw malformed('length is not minimal')
  }
  if (start + length > bytes.length) throw malformed('cut short')
  return new DerNode(tag, bytes.subarray(start, start + length), bytes.subarray(at, start + length))
}
