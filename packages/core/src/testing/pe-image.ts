/** Where things stand in `bzImage`. */
export const [HEADERS, SIGNATURE, PE, OPTIONAL] = [0x400, 24, 0x2c0, 0x2d8]
export const [CHECKSUM, SECURITY] = [OPTIONAL + 64, OPTIONAL + 144]

/** A bzImage that is a PE32+ program as well: headers, two sections out of order, bytes after them, a signature. */
export function bzImage(protocol = 0x20f, loadFlags = 1): Uint8Array {
  const image = Uint8Array.from({ length: 0x1000 + 16 + SIGNATURE }, (_, i) => (i * 31) & 0xff)
  const v = new DataView(image.buffer)
  image.fill(0, 0, HEADERS)
  v.setUint16(0, 0x5a4d, true)
  v.setUint32(0x3c, PE, true)
  v.setUint32(0x202, 0x53726448, true)
  v.setUint16(0x206, protocol, true)
  v.setUint8(0x211, loadFlags)
  v.setUint32(0x22c, 0x7fffffff, true)
  v.setUint32(PE, 0x4550, true)
  v.setUint16(PE + 6, 2, true)
  v.setUint16(PE + 20, 160, true)
  v.setUint16(OPTIONAL, 0x20b, true)
  v.setUint32(OPTIONAL + 60, HEADERS, true)
  v.setUint32(CHECKSUM, 0xdeadbeef, true)
  v.setUint32(OPTIONAL + 108, 6, true)
  v.setUint32(SECURITY, 0x1010, true)
  v.setUint32(SECURITY + 4, SIGNATURE, true)
  for (const [i, at] of [0x800, HEADERS].entries()) {
    const section = OPTIONAL + 160 + i * 40
    v.setUint32(section + 16, at === HEADERS ? 0x400 : 0x800, true)
    v.setUint32(section + 20, at, true)
  }
  return image
}
