import { BuiltinError } from './contract.ts'

const STANDARD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const URL_SAFE = STANDARD.slice(0, 62) + '-_'

type Alphabet = { readonly letters: string; readonly values: ReadonlyMap<string, number> }

function alphabet(letters: string): Alphabet {
  return { letters, values: new Map(Array.from(letters, (ch, i) => [ch, i])) }
}

const STANDARD_ALPHABET = alphabet(STANDARD)
const URL_ALPHABET = alphabet(URL_SAFE)

/** Base64 text of bytes. */
export function encodeBase64(bytes: Uint8Array, kind: 'standard' | 'url', padded: boolean): string {
  const { letters } = kind === 'url' ? URL_ALPHABET : STANDARD_ALPHABET
  let out = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const have = Math.min(3, bytes.length - i)
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    for (let k = 0; k <= have; k++) out += letters.charAt((group >> (18 - 6 * k)) & 63)
    if (padded) out += '='.repeat(3 - have)
  }
  return out
}

/**
 * Decodes as Go does: line breaks are skipped, padding must be right, spare bits are not looked at.
 *
 * @throws {BuiltinError} naming the first offending byte.
 */
export function decodeBase64(text: string, kind: 'standard' | 'url', padded: boolean): Uint8Array<ArrayBuffer> {
  const { values } = kind === 'url' ? URL_ALPHABET : STANDARD_ALPHABET
  const out: number[] = []
  let group = 0
  let count = 0
  let end = -1
  for (let i = 0; i < text.length; i++) {
    const ch = text.charAt(i)
    if (ch === '\n' || ch === '\r') continue
    const value = values.get(ch)
    if (value === undefined) {
      end = padded && ch === '=' ? checkPadding(text, i, count) : -1
      if (end < 0) throw illegal(i)
      break
    }
    group = (group << 6) | value
    if (++count === 4) {
      out.push((group >> 16) & 255, (group >> 8) & 255, group & 255)
      group = 0
      count = 0
    }
  }
  if (count === 1 || (padded && count > 0 && end < 0)) throw illegal(text.length - (padded ? count : 0))
  if (count === 2) out.push((group >> 4) & 255)
  if (count === 3) out.push((group >> 10) & 255, (group >> 2) & 255)
  return new Uint8Array(out)
}

/** Everything from `i` on must be the right number of `=` and line breaks. @returns -1 if not */
function checkPadding(text: string, i: number, count: number): number {
  const rest = text.slice(i).replaceAll(/[\r\n]/g, '')
  if (count < 2) throw illegal(i)
  if (rest.length < 4 - count) throw illegal(text.length)
  const want = '='.repeat(4 - count)
  if (!rest.startsWith(want)) throw illegal(i + 1)
  if (rest.length > want.length) throw illegal(i + want.length)
  return i
}

function illegal(at: number): BuiltinError {
  return new BuiltinError(`illegal base64 data at input byte ${at}`)
}
