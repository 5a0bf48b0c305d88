import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteReader } from '../../codec/byte-reader.ts'
import { ByteWriter } from '../../codec/byte-writer.ts'
import { TpmError } from '../../codec/errors.ts'
import { EV } from '../event-types.ts'
import { parseTcgLog } from '../parse-tcg-log.ts'
import { parseBootOption, parseBootOrder } from './boot-option.ts'
import { describeDevicePath } from './device-path.ts'
import { parseGptTable } from './gpt.ts'
import { encodeGuid, readGuid, VENDOR } from './guid.ts'
import { parseImageLoadPath } from './image-load.ts'
import { encodeSignatureDatabase, parseSignatureDatabase } from './signature-list.ts'
import { encodeUtf16 } from './text.ts'
import { encodeEfiVariable, parseEfiVariable, parseEfiVariableWithExcess } from './variable.ts'

const malformed = (part: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(part) })
const guid = (bytes: Uint8Array) => readGuid(new ByteReader('GUID', bytes, 'little'), 'guid')

describe('a GUID', () => {
  test('has its first three groups in little-endian order', () => {
    const bytes = Uint8Array.of(
      0x61,
      0xdf,
      0xe4,
      0x8b,
      0xca,
      0x93,
      0xd2,
      0x11,
      0xaa,
      0x0d,
      0,
      0xe0,
      0x98,
      0x03,
      0x2b,
      0x8c,
    )
    expect(guid(bytes)).toBe(VENDOR.global)
    expect(encodeGuid(VENDOR.global)).toEqual(bytes)
  })

  test('is read back as it was written, and nothing else is one', () => {
    fc.assert(
      fc.property(fc.uuid(), (text) => {
        expect(guid(encodeGuid(text))).toBe(text)
      }),
      { seed: 1 },
    )
    expect(() => encodeGuid('8be4df61')).toThrow(malformed('GUID'))
  })
})

describe('a firmware variable', () => {
  const variable = { vendor: VENDOR.global, name: 'SecureBoot', data: Uint8Array.of(1) }
  const bytes = encodeEfiVariable(variable)

  test('is read back as it was written', () => {
    expect(parseEfiVariable(bytes)).toEqual(variable)
  })

  test.each([
    ['is cut short', bytes.subarray(0, -1), 'dataLength'],
    ['has a byte left over', Uint8Array.of(...bytes, 0), 'end'],
    ['has a name of 1025 characters', bytes.with(17, 5), 'nameLength'],
    ['has a name longer than itself', bytes.with(17, 1), 'name'],
    ['has a NUL in its name', bytes.with(32, 0), 'name'],
    ['has a name that is no text', bytes.with(33, 0xd8), 'name'],
    ['has data longer than itself', bytes.with(31, 0x80), 'dataLength'],
  ])('is refused when it %s', (_why, raw, field) => {
    expect(() => parseEfiVariable(raw)).toThrow(malformed(field))
  })

  test('may have at most seven bytes after it where old boot loaders are read', () => {
    const excess = (n: number) => Uint8Array.of(...bytes, ...new Uint8Array(n))
    expect(parseEfiVariableWithExcess(excess(7))).toEqual({ variable, excess: 7 })
    expect(() => parseEfiVariableWithExcess(excess(8))).toThrow(malformed('8 bytes left over'))
  })
})

describe('a signature database', () => {
  const OWNER = 'd281fad2-8d88-47a4-9792-5baa47bb1b89'
  const X509 = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072'
  const SHA256 = 'c1c41626-504c-4092-aca9-41f936934328'
  const X509_SHA256 = '3bd2a492-96c0-4079-b420-fcf98ef103ed'
  const list = (
    type: string,
    header: Uint8Array,
    entryBytes: number,
    body: Uint8Array,
    listBytes = 28 + header.length + body.length,
  ) =>
    new ByteWriter('little')
      .raw(encodeGuid(type))
      .u32('list', listBytes)
      .u32('header', header.length)
      .u32('entry', entryBytes)
      .raw(header)
      .raw(body)
      .finish()
  const entry = (data: Uint8Array) => Uint8Array.of(...encodeGuid(OWNER), ...data)
  const hash = entry(new Uint8Array(32).fill(7))
  const none = new Uint8Array()

  test('is read back as it was written', () => {
    const database = {
      certificates: [
        { owner: OWNER, der: Uint8Array.of(0x30, 0) },
        { owner: OWNER, der: Uint8Array.of(0x30, 1, 0) },
      ],
      hashes: [
        { owner: OWNER, sha256: new Uint8Array(32).fill(1) },
        { owner: OWNER, sha256: new Uint8Array(32).fill(2) },
      ],
    }
    expect(parseSignatureDatabase(encodeSignatureDatabase(database))).toEqual({ ...database, others: [] })
    expect(parseSignatureDatabase(none)).toEqual({ certificates: [], hashes: [], others: [] })
  })

  test('C05 with a vendor header gives the entries after it, and never bytes of the header', () => {
    const header = entry(new Uint8Array(32).fill(0xbb))
    const database = parseSignatureDatabase(list(X509_SHA256, header, 48, hash))
    expect(database.others).toEqual([{ type: X509_SHA256, owner: OWNER, data: new Uint8Array(32).fill(7) }])
    expect(database.hashes).toEqual([])
  })

  test.each([
    ['a header where its type has none', list(SHA256, hash, 48, hash), 'signatureHeaderSize'],
    ['a header past its list', list(X509_SHA256, none, 48, hash).with(20, 1), 'signatureListSize'],
    ['a header of four billion bytes', list(X509_SHA256, none, 48, hash).fill(0xff, 20, 24), 'signatureListSize'],
    ['entries of 16 bytes', list(X509, none, 16, entry(none)), 'signatureSize'],
    ['entries of no bytes', list(X509, none, 0, none), 'signatureSize'],
    ['SHA-256 entries of 47 bytes', list(SHA256, none, 47, hash.subarray(1)), 'wanted 48'],
    ['SHA-256 entries of 64 bytes', list(SHA256, none, 64, entry(new Uint8Array(48))), 'wanted 48'],
    ['one and a half entries', list(SHA256, none, 48, Uint8Array.of(...hash, ...hash.subarray(24))), 'whole entries'],
    ['no entry', list(SHA256, none, 48, none), 'whole entries'],
    ['a list shorter than its header', list(SHA256, none, 48, hash, 27), 'whole entries'],
    ['a list longer than the variable', list(SHA256, none, 48, hash, 28 + 96), 'signatures'],
    ['a list that ends before its entry', list(SHA256, none, 48, hash, 28 + 47), 'whole entries'],
    ['bytes after its list', Uint8Array.of(...list(SHA256, none, 48, hash), 0), 'signatureType'],
  ])('C05 is refused with %s', (_what, raw, field) => {
    expect(() => parseSignatureDatabase(raw)).toThrow(malformed(field))
  })

  test('C05 whatever bytes are changed, each byte that is accepted is header or entry: sizes always add up', () => {
    const good = Uint8Array.of(
      ...list(SHA256, none, 48, Uint8Array.of(...hash, ...hash)),
      ...list(X509, none, 20, entry(Uint8Array.of(0x30, 2, 5, 0))),
    )
    const change = fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), (changes) => {
        const raw = good.slice()
        for (const { at, byte } of changes) raw[at] = byte
        try {
          const { certificates, hashes, others } = parseSignatureDatabase(raw)
          const entries = [
            ...certificates.map((c) => c.der),
            ...hashes.map((h) => h.sha256),
            ...others.map((o) => o.data),
          ]
          const bytes = entries.reduce((sum, data) => sum + 16 + data.length, 0)
          // two lists of 28 bytes, unless a change made one of them or hid bytes in a vendor header
          expect(bytes).toBeLessThanOrEqual(raw.length - 28)
        } catch (error) {
          expect(error).toBeInstanceOf(TpmError)
        }
      }),
      { seed: 2, numRuns: 2000 },
    )
  })

  describe.skipIf(missingVectors())('from recorded revocation lists', () => {
    // an authenticated variable: EFI_TIME, then WIN_CERTIFICATE with its length, then the database
    test.each([
      ['dbxupdate-2014-08-11.bin', 13],
      ['dbxupdate_x64-2020-10-12.bin', 180],
      ['dbxupdate_x64-2021-04-29.bin', 211],
    ])('%s holds its hashes', (name, atLeast) => {
      const raw = readVector(`gce/tpm/secure-boot/${name}`)
      const database = raw.subarray(16 + new DataView(raw.buffer).getUint32(16, true))
      expect(parseSignatureDatabase(database).hashes.length).toBeGreaterThanOrEqual(atLeast)
    })
  })
})

describe.skipIf(missingVectors())('structures of recorded boots', () => {
  const events = (file: string, ...types: number[]) =>
    parseTcgLog(readVector(file)).events.filter((event) => types.includes(event.type))
  const COS = 'gce/tpm/eventlogs/cos-85-amd-sev.bin'

  test('the partition table names its disk and partitions', () => {
    const [event] = events(COS, EV.EFI_GPT_EVENT)
    const table = parseGptTable(event!.data)
    expect(table.diskId).toBe('2a90a0e9-6ae6-2f4d-9938-d422cd837136')
    expect(table.partitions.map(({ name }) => name)).toContain('EFI-SYSTEM')
    expect(() => parseGptTable(event!.data.with(0, 0))).toThrow(malformed('EFI PART'))
    expect(() => parseGptTable(event!.data.with(92, 200))).toThrow(malformed('partitionType'))
    expect(() => parseGptTable(event!.data.with(92, 1))).toThrow(malformed('left over'))
    expect(() => parseGptTable(event!.data.with(99, 1))).toThrow(malformed('is over 1024'))
    expect(() => parseGptTable(event!.data.with(84, 64))).toThrow(malformed('entrySize'))
  })

  test('images are told by their device path', () => {
    const [shim] = events(COS, EV.EFI_BOOT_SERVICES_APPLICATION)
    expect(parseImageLoadPath(shim!.data)).toBe(
      String.raw`PciRoot(0x0)/Pci(0x4,0x0)/NVMe(0x1)/HD(12,GPT,22849e7a-91c5-3049-85e7-78145a9107cd,0x3d000,0x10000)/\EFI\BOOT\BOOTX64.EFI`,
    )
    expect(() => parseImageLoadPath(shim!.data.subarray(0, -1))).toThrow(malformed('devicePathLength'))
  })

  test('boot variables tell order and options', () => {
    const [order, option] = events(COS, EV.EFI_VARIABLE_BOOT).map((event) => parseEfiVariable(event.data))
    expect(parseBootOrder(order!.data)).toEqual([0, 1])
    expect(parseBootOption(option!.data)).toMatchObject({ description: 'UiApp', attributes: 0x109 })
    expect(() => parseBootOrder(order!.data.subarray(1))).toThrow(malformed('option'))
    expect(() => parseBootOption(option!.data.subarray(0, 9))).toThrow(malformed('description'))
  })

  test('device paths agree with those of another reader', () => {
    const reference = JSON.parse(readVectorText('coco/eventlog/CCEL_data_grub_gke_out.json')).uefi_event_logs
    const [image] = reference.filter(
      (e: { details: { device_paths?: string[] } }) => e.details.device_paths !== undefined,
    )
    const path = parseImageLoadPath(new Uint8Array(Buffer.from(image.event, 'base64'))).split('/')
    expect(path.length).toBe(image.details.device_paths.length)
    expect(path.at(-1)).toContain(
      image.details.device_paths
        .at(-1)
        .replace(/^File\(|\)$/g, '')
        .split('\\')
        .at(-1),
    )
  })
})

describe('a device path', () => {
  const node = (type: number, subType: number, ...data: number[]) => [type, subType, 4 + data.length, 0, ...data]
  const text = (s: string) => [...encodeUtf16(s)]
  const end = node(0x7f, 0xff)

  test.each([
    [[...node(1, 1, 2, 3), ...end], 'Pci(0x3,0x2)'],
    [[...node(2, 1, 0xd0, 0x41, 0x03, 0x0a, 1, 0, 0, 0), ...end], 'PciRoot(0x1)'],
    [[...node(4, 4, ...text('\\a\0')), ...end], '\\a'],
    [[...node(3, 5, 1, 2), ...node(0x7f, 1), ...node(3, 5, 3, 4), ...end], 'Usb(0x1,0x2),Usb(0x3,0x4)'],
    [[...node(9, 9, 0xab), ...end], 'Path(9,9,ab)'],
    [end, ''],
  ])('%# is told in text', (bytes, wanted) => {
    expect(describeDevicePath(Uint8Array.from(bytes))).toBe(wanted)
  })

  test.each([
    ['a node shorter than its header', [4, 4, 3, 0], 'less than'],
    ['a node past the end', [4, 4, 9, 0, 1], 'node'],
    ['a path of 129 nodes', Array.from({ length: 129 }, () => node(9, 9)).flat(), 'more than 128'],
    ['a partition cut short', node(4, 1, 1, 2), 'partition'],
  ])('is refused with %s', (_what, bytes, part) => {
    expect(() => describeDevicePath(Uint8Array.from(bytes))).toThrow(malformed(part))
  })
})
