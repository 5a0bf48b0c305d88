import { Buffer } from 'node:buffer'

/** One entry of an archive made for a test. Shares no code with the product's writer or reader. */
export interface RawEntry {
  readonly name: string | Buffer
  /** The typeflag; `0` unless told. */
  readonly type?: string
  readonly body?: Uint8Array | string
  readonly link?: string | Buffer
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: number
  readonly device?: readonly [number, number]
  /** Records of a pax header in front, in order. */
  readonly pax?: readonly (readonly [string, string | Buffer])[]
  /** Long names as GNU writes them, in front. */
  readonly gnuLongName?: string
  readonly gnuLongLink?: string
  readonly magic?: string
  /** Instead of the length of `body`. */
  readonly size?: number
  /** Last word on the header block, before its checksum. */
  readonly patch?: (block: Buffer) => void
}

const pad = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)])
const latin = (text: string | Buffer | undefined) =>
  typeof text === 'string' ? Buffer.from(text, 'utf8') : (text ?? Buffer.alloc(0))

export function rawEntry(entry: RawEntry): Buffer {
  const parts: Buffer[] = []
  if (entry.pax !== undefined) {
    const records = entry.pax.map(([key, value]) => paxRecord(key, latin(value)))
    parts.push(rawEntry({ name: 'pax', type: 'x', body: Buffer.concat(records) }))
  }
  if (entry.gnuLongName !== undefined)
    parts.push(rawEntry({ name: '././@LongLink', type: 'L', body: `${entry.gnuLongName}\0`, magic: 'ustar  \0' }))
  if (entry.gnuLongLink !== undefined)
    parts.push(rawEntry({ name: '././@LongLink', type: 'K', body: `${entry.gnuLongLink}\0`, magic: 'ustar  \0' }))
  const body = Buffer.from(typeof entry.body === 'string' ? Buffer.from(entry.body) : (entry.body ?? Buffer.alloc(0)))
  const block = Buffer.alloc(512)
  latin(entry.name).subarray(0, 100).copy(block, 0)
  const octal = (value: number, at: number, length: number) =>
    block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
  octal(entry.mode ?? (entry.type === '5' ? 0o755 : 0o644), 100, 8)
  octal(entry.uid ?? 0, 108, 8)
  octal(entry.gid ?? 0, 116, 8)
  octal(entry.size ?? body.length, 124, 12)
  octal(entry.mtime ?? 1_000_000_000, 136, 12)
  block.write(entry.type ?? '0', 156, 'latin1')
  latin(entry.link).subarray(0, 100).copy(block, 157)
  block.write(entry.magic ?? 'ustar\x0000', 257, 'latin1')
  octal(entry.device?.[0] ?? 0, 329, 8)
  octal(entry.device?.[1] ?? 0, 337, 8)
  entry.patch?.(block)
  block.fill(0x20, 148, 156)
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    8,
  )
  parts.push(block, pad(body))
  return Buffer.concat(parts)
}

export function rawTar(entries: readonly RawEntry[], end: Uint8Array = Buffer.alloc(1024)): Buffer {
  return Buffer.concat([...entries.map(rawEntry), end])
}

function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length
  for (let total = length + 1; total !== length;) {
    length = total
    total = String(length).length + rest.length
  }
  return Buffer.concat([Buffer.from(String(length)), rest])
}

/** An archive with checksums that hold again, so that what lies behind them is reached. */
export function mendedTar(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes)
  for (let at = 0; at + 512 <= out.length; at += 512) {
    const block = out.subarray(at, at + 512)
    if (!Buffer.from(block.subarray(257, 262)).equals(Buffer.from('ustar'))) continue
    block.fill(0x20, 148, 156)
    const sum = block.reduce((total, byte) => total + byte, 0)
    block.set(Buffer.from(sum.toString(8).padStart(7, '0')), 148)
  }
  return out
}
