import { ByteReader } from '@vouchsafe/tpm/codec'
import type { CryptoPort, HashName } from '../../base/crypto.ts'
import { concat } from '../../base/encoding.ts'
import { parsed } from '../parsed.ts'

const PE32 = 0x10b
const PE32_PLUS = 0x20b
const MAX_SECTIONS = 96

/**
 * How firmware measures a program: all of the file but its checksum, the place of its signatures, and the signatures.
 *
 * @throws {VouchsafeError} `input.malformed`: no PE image, or one whose parts lie outside it
 * @source Windows Authenticode Portable Executable Signature Format, 1.0: Calculating the PE Image Hash
 */
export function authenticodeDigest(image: Uint8Array, hash: HashName, crypto: CryptoPort): Uint8Array {
  const { checksum, securityEntry, headersEnd, signatures, sections } = parsed(() => readPe(image))
  const parts = [
    image.subarray(0, checksum),
    image.subarray(checksum + 4, securityEntry),
    image.subarray(securityEntry + 8, headersEnd),
    ...sections.map(({ at, size }) => image.subarray(at, at + size)),
  ]
  const hashed = sections.reduce((sum, { size }) => sum + size, headersEnd)
  // what follows the last section, but for the signatures at the end
  return crypto.digest(hash, concat(...parts, image.subarray(hashed, Math.max(hashed, image.length - signatures))))
}

function readPe(image: Uint8Array) {
  const at = (what: string, offset: number, length: number) => {
    const r = new ByteReader('PE image', image, 'little')
    r.view('what stands before', offset)
    return new ByteReader(`PE image: ${what}`, r.take(what, length), 'little')
  }
  const dos = at('MS-DOS header', 0, 64)
  if (dos.u16('e_magic') !== 0x5a4d) throw dos.malformed('e_magic', 'not MZ')
  dos.view('up to e_lfanew', 58)
  const start = dos.u32('e_lfanew')
  const coff = at('COFF header', start, 24)
  if (coff.u32('signature') !== 0x4550) throw coff.malformed('signature', 'not PE')
  coff.u16('Machine')
  const count = coff.u16('NumberOfSections')
  if (count > MAX_SECTIONS) throw coff.malformed('NumberOfSections', `${count} is over ${MAX_SECTIONS}`)
  coff.view('up to SizeOfOptionalHeader', 12)
  const optionalSize = coff.u16('SizeOfOptionalHeader')
  const optionalAt = start + 24
  const optional = at('optional header', optionalAt, optionalSize)
  const magic = optional.u16('Magic')
  if (magic !== PE32 && magic !== PE32_PLUS) throw optional.malformed('Magic', `0x${magic.toString(16)}`)
  optional.view('up to SizeOfHeaders', 58)
  const headersEnd = optional.u32('SizeOfHeaders')
  const directories = magic === PE32 ? 96 : 112
  const counted = at('NumberOfRvaAndSizes', optionalAt + directories - 4, 4).u32('NumberOfRvaAndSizes')
  if (counted < 5) throw optional.malformed('NumberOfRvaAndSizes', `${counted}: there is no place for signatures`)
  const securityEntry = optionalAt + directories + 32
  const security = at('security directory', securityEntry, 8)
  security.u32('offset')
  const signatures = security.u32('size')
  const table = at('section table', optionalAt + optionalSize, count * 40)
  const sections = Array.from({ length: count }, () => {
    table.view('name and memory', 16)
    const size = table.u32('SizeOfRawData')
    const position = table.u32('PointerToRawData')
    table.view('the rest', 16)
    if (position + size > image.length) throw table.malformed('PointerToRawData', 'the section lies outside the file')
    return { at: position, size }
  })
    .filter(({ size }) => size > 0)
    .sort((a, b) => a.at - b.at)
  if (headersEnd > image.length || headersEnd < securityEntry + 8)
    throw optional.malformed('SizeOfHeaders', `${headersEnd}`)
  return { checksum: optionalAt + 64, securityEntry, headersEnd, signatures, sections }
}
