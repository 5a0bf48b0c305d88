import { bytesToText, textToBytes } from '../value/index.ts'
import { BuiltinError } from './contract.ts'

/** `%XX` for every byte that `keep` does not match. */
export function percentEncode(s: string, keep: RegExp): string {
  let out = ''
  for (const byte of textToBytes(s)) {
    const ch = String.fromCharCode(byte)
    out += byte < 0x80 && keep.test(ch) ? ch : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return out
}

/** Undoes `%XX`. @throws {BuiltinError} for a `%` without two hex digits */
export function percentDecode(s: string): string {
  if (!s.includes('%')) return s
  const source = textToBytes(s)
  const out: number[] = []
  for (let i = 0; i < source.length; i++) {
    if (source[i] !== 0x25) {
      out.push(source[i] ?? 0)
      continue
    }
    const digits = String.fromCharCode(...source.subarray(i + 1, i + 3))
    if (!/^[0-9a-fA-F]{2}$/.test(digits)) {
      throw new BuiltinError(`invalid URL escape ${JSON.stringify(bytesToText(source.subarray(i, i + 3)))}`)
    }
    out.push(Number.parseInt(digits, 16))
    i += 2
  }
  return bytesToText(Uint8Array.from(out))
}
