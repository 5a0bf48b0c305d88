/** Fewer bytes than this are compared one by one sooner than two views of them are made. */
const LONG = 128

/** Byte for byte; not in constant time: certificates are public. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let at = 0
  if (a.length >= LONG && a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0) {
    const words = a.length >> 2
    const [wide, other] = [wordsOf(a, words), wordsOf(b, words)]
    for (let i = 0; i < words; i++) if (wide[i] !== other[i]) return false
    at = words * 4
  }
  for (; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}

function wordsOf(bytes: Uint8Array, count: number): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, count)
}
