import { concat, fromHex } from '../../base/encoding.ts'

/** rsaEncryption with NULL parameters. @source RFC 3279 section 2.3.1 */
const ALGORITHM = fromHex('300d06092a864886f70d0101010500')

/** DER SubjectPublicKeyInfo of modulus and exponent, both big-endian. What is no sensible key is refused when it is imported. */
export function spkiOfRsa(modulus: Uint8Array, exponent: Uint8Array): Uint8Array<ArrayBuffer> {
  const key = element(0x30, concat(unsigned(modulus), unsigned(exponent)))
  return element(0x30, concat(ALGORITHM, element(0x03, concat(Uint8Array.of(0), key))))
}

function unsigned(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0)
  const digits = first < 0 ? Uint8Array.of(0) : bytes.subarray(first)
  return element(0x02, (digits[0] ?? 0) < 0x80 ? digits : concat(Uint8Array.of(0), digits))
}

function element(tag: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const n = content.length
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff]
  return concat(Uint8Array.of(tag, ...length), content)
}
