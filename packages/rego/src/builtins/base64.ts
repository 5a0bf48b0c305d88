import { BuiltinError } from './contract.ts'

const STANDARD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const URL_SAFE = STANDARD.slice(0, 62) + '-_'

/** `values` by character code; -1 for what is no letter. */
type Alphabet = { readonly letters: string; readonly values: Int8Array }

function alphabet(letters: string): Alphabet {
  const values = new Int8Array(128).fill(-1)
  for (let i = 0; i < letters.length; i++) values[letters.charCodeAt(i)] = i
  return { letters, values }
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
  const out = new Uint8Array(Math.ceil((text.length * 3) / 4))
  let length = 0
  let group = 0
  let count = 0
  let padding = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const value = values[code] ?? -1
    if (value < 0) {
      if (code === 10 || code === 13) continue
      if (!padded || code !== 61) throw illegal(i)
      checkPadding(text, i, count)
      padding = true
      break
    }
    group = (group << 6) | value
    if (++count === 4) {
      out[length++] = group >> 16
      out[length++] = group >> 8
      out[length++] = group
      group = 0
      count = 0
    }
  }
  if (count === 1 || (padded && count > 0 && !padding)) throw illegal(text.length - (padded ? count : 0))
  if (count === 2) out[length++] = group >> 4
  if (count === 3) {
    out[length++] = group >> 10
    out[length++] = group >> 2
  }
  return out.slice(0, length)
}

/** Everything from `i` on must be the right number of `=` and line breaks. */
function checkPadding(text: string, i: number, count: number): void {
  const rest = text.slice(i).replaceAll(/[\r\n]/g, '')
  if (count < 2) throw illegal(i)
  if (rest.length < 4 - count) throw illegal(text.length)
  const want = '='.repeat(4 - count)
  if (!rest.startsWith(want)) throw illegal(i + 1)
  if (rest.length > want.length) throw illegal(i + want.length)
}

function illegal(at: number): BuiltinError {
  return new BuiltinError(`illegal base64 data at input byte ${at}`)
}
