import { haveVectors, missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DIGEST_BYTES } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import { EV } from './event-types.ts'
import { parseCcelLog, parseTcgLog } from './parse-tcg-log.ts'
import type { TcgLog } from './tcg-log.ts'
import { newTcgLog, writeTcgLog } from './write-tcg-log.ts'

/** The parts of a message in their order, such as event and field. */
const malformed = (parts: string) =>
  expect.objectContaining({
    code: 'input.malformed',
    message: expect.stringMatching(new RegExp(parts.replace(/^(event \d) /, '$1: .*'))),
  })

const digests = (fill: number) =>
  new Map([
    ['sha1' as const, new Uint8Array(20).fill(fill)],
    ['sha256' as const, new Uint8Array(32).fill(fill)],
  ])
const log = newTcgLog(
  ['sha1', 'sha256'],
  [
    { register: 0, type: EV.S_CRTM_VERSION, digests: digests(1), data: Uint8Array.of(0, 0) },
    { register: 'none', type: EV.NO_ACTION, digests: digests(0), data: Uint8Array.of(9) },
    { register: 23, type: EV.IPL, digests: digests(2), data: new Uint8Array() },
  ],
)
const bytes = writeTcgLog(log)
/** Where the first event starts: register, type, SHA-1 digest, size, then 16 + 8 + 4 + 2 × 4 + 1 bytes. */
const FIRST_EVENT = 32 + 37
const DIGESTS = FIRST_EVENT + 8

const with32 = (at: number, value: number) => {
  const changed = bytes.slice()
  new DataView(changed.buffer).setUint32(at, value, true)
  return changed
}
const with16 = (at: number, value: number) => {
  const changed = bytes.slice()
  new DataView(changed.buffer).setUint16(at, value, true)
  return changed
}

describe('a crypto-agile log', () => {
  test('reads back what was written', () => {
    expect(parseTcgLog(bytes)).toEqual(log)
  })

  test('is copied: later writes to the input change nothing', () => {
    const input = Buffer.from(bytes)
    const parsed = parseTcgLog(input)
    input.fill(0)
    expect(parsed).toEqual(log)
  })

  test.each([
    ['is empty', new Uint8Array(), 'the log is empty'],
    ['is cut short', bytes.subarray(0, -1), 'event 3 size'],
    ['has a byte left over', Uint8Array.of(...bytes, 0), 'event 4 register'],
    ['has zero padding', Uint8Array.of(...bytes, ...new Uint8Array(64)), 'event 4 digest count'],
    ['has 0xFF padding', Uint8Array.of(...bytes, ...new Uint8Array(64).fill(255)), 'event 4 register'],
    ['declares no algorithm', with32(32 + 24, 0), 'no algorithm'],
    ['declares 17 algorithms', with32(32 + 24, 17), '17 is over 16'],
    ['declares one algorithm twice', with32(32 + 32, 0x0014_0004), 'sha1 is declared twice'],
    ['declares a wrong digest size', with16(32 + 30, 21), '21 for sha1'],
    ['has a header with a digest', with16(8, 1), 'digest'],
    ['has a vendor size past its header', bytes.with(FIRST_EVENT - 1, 1), 'vendorInfo'],
    ['names register 24', with32(FIRST_EVENT, 24), 'event 1 register'],
    ['measures into no register', with32(FIRST_EVENT, 0xffffffff), 'event 1 register'],
    ['has no digest', with32(DIGESTS, 0), 'event 1 digest count'],
    ['has a digest too many', with32(DIGESTS, 3), 'event 1 digest count'],
    ['has four billion digests', with32(DIGESTS, 0xffffffff), 'event 1 digest count'],
    ['uses an undeclared algorithm', with16(DIGESTS + 4, 0x0c), '0xc is not declared'],
    ['repeats an algorithm', with16(DIGESTS + 4 + 22, 0x04), 'sha1 occurs twice'],
    ['has a huge event', with32(DIGESTS + 4 + 22 + 34, 0xfffffff0), 'event 1 size'],
    ['has an event past its end', with32(DIGESTS + 4 + 22 + 34, 60_000), 'event 1 data'],
  ])('C07 is refused when it %s', (_why, raw, field) => {
    expect(() => parseTcgLog(raw)).toThrow(malformed(field))
  })

  test('C07 is refused when it is over 16 MiB', () => {
    const huge = new Uint8Array(16 * 1024 * 1024 + 1)
    const error = expect.objectContaining({
      code: 'input.too-large',
      message: expect.stringContaining('bytes are over'),
    })
    expect(() => parseTcgLog(huge)).toThrow(error)
  })

  test('C07 is refused when it has more than 65,536 events', () => {
    const [event] = log.events
    const many = { ...log, events: Array.from({ length: 65_537 }, () => event!) }
    expect(() => parseTcgLog(writeTcgLog(many))).toThrow(expect.objectContaining({ code: 'input.too-large' }))
  })

  test.each([
    ['another specification version', with16(32 + 20, 0x0102), 'version 1.2'],
    ['an unknown hash', with16(32 + 28, 0x99), '0x99'],
  ])('is not supported with %s', (_why, raw, part) => {
    const error = expect.objectContaining({ code: 'evidence.unsupported', message: expect.stringContaining(part) })
    expect(() => parseTcgLog(raw)).toThrow(error)
  })

  test('is written only with a digest of the right size for each bank', () => {
    const wrong = { ...log, events: [{ ...log.events[0]!, digests: new Map([['sha1' as const, new Uint8Array(20)]]) }] }
    expect(() => writeTcgLog(wrong)).toThrow(malformed('1 digests for 2'))
    const short = {
      ...log,
      banks: ['sha1' as const],
      events: [{ ...log.events[0]!, digests: new Map([['sha1' as const, new Uint8Array(19)]]) }],
    }
    expect(() => writeTcgLog(short)).toThrow(malformed('no sha1 digest of 20 bytes'))
  })

  test('reads back whatever can be written', () => {
    const banks = fc.uniqueArray(fc.constantFrom('sha1', 'sha256', 'sha384', 'sha512', 'sm3_256', 'sha3_384'), {
      minLength: 1,
    })
    const event = fc.record({
      register: fc.nat(23),
      type: fc.nat(0xffffffff),
      data: fc.uint8Array(),
      fill: fc.nat(255),
    })
    fc.assert(
      fc.property(banks, fc.array(event), (names, events) => {
        const made = newTcgLog(
          names,
          events.map(({ register, type, data, fill }) => ({
            register,
            type,
            data,
            digests: new Map(names.map((bank) => [bank, new Uint8Array(DIGEST_BYTES[bank]).fill(fill)])),
          })),
        )
        expect(parseTcgLog(writeTcgLog(made))).toEqual(made)
      }),
      { seed: 1 },
    )
  })
})

describe('a log of the older form', () => {
  const old: TcgLog = {
    format: 'sha1',
    space: 'pcr',
    banks: ['sha1'],
    events: [0, 1].map((position) => ({
      position,
      register: position,
      type: EV.POST_CODE,
      digests: new Map([['sha1' as const, new Uint8Array(20).fill(7)]]),
      data: Uint8Array.of(position),
    })),
  }

  test('reads back what was written', () => {
    expect(parseTcgLog(writeTcgLog(old))).toEqual(old)
  })

  test('holds SHA-1 only', () => {
    expect(() => writeTcgLog({ ...old, banks: ['sha256'] })).toThrow(malformed('SHA-1 digests only'))
  })

  test('is not accepted as the log of a confidential guest', () => {
    expect(() => parseCcelLog(writeTcgLog(old))).toThrow(malformed('must be crypto-agile'))
  })
})

describe('the log area of a confidential guest', () => {
  const ccel = writeTcgLog({ ...log, space: 'ccmr', events: log.events.slice(0, 1) })
  const padded = (fill: number, last = fill) => Uint8Array.of(...ccel, ...new Uint8Array(99).fill(fill), last)

  test.each([0, 0xff])('may be filled up with 0x%i', (fill) => {
    expect(parseCcelLog(padded(fill)).events).toEqual(log.events.slice(0, 1))
  })

  test.each([
    [0, 1],
    [0xff, 0xfe],
  ])('may not hide bytes behind its padding of 0x%i', (fill, last) => {
    expect(() => parseCcelLog(padded(fill, last))).toThrow(malformed('event 2'))
  })

  test('has registers 0 to 4 only', () => {
    expect(() => parseCcelLog(bytes)).toThrow(malformed('event 3 register'))
  })
})

describe.skipIf(missingVectors())('recorded logs', () => {
  const expected: Record<string, { file: string; derived: { eventCount: number; logAlgs: string[] } }> = haveVectors
    ? JSON.parse(readVectorText('gce/tpm/expected.json')).logs
    : {}

  test.each(Object.values(expected))('$file has the expected events and banks', ({ file, derived }) => {
    const raw = readVector(`gce/${file}`)
    const parsed = parseTcgLog(raw)
    const header = parsed.format === 'crypto-agile' ? 1 : 0
    expect(parsed.events.length + header).toBe(derived.eventCount)
    expect(parsed.banks).toEqual(derived.logAlgs.map((name) => name.toLowerCase()))
    expect(writeTcgLog(parsed)).toEqual(raw)
  })

  test.each(['crypto_agile_eventlog', 'sb_cert_eventlog', 'option_rom_eventlog'])('%s parses', (name) => {
    expect(parseTcgLog(readVector(`gce/tpm/eventlogs-legacy/${name}`)).events.length).toBeGreaterThan(10)
  })

  test('a first event that is shorter than a header makes a log of the older form', () => {
    const parsed = parseTcgLog(readVector('gce/tpm/eventlogs-legacy/short_no_action_eventlog'))
    expect(parsed).toMatchObject({ format: 'sha1', events: [{ position: 0, type: EV.NO_ACTION }] })
  })

  test('a padded log area is refused where no padding is expected, and the same log without padding is not', () => {
    const name = 'gce/ccel/cos-113-intel-tdx-dupe-separator'
    expect(() => parseTcgLog(readVector(`${name}.bin`))).toThrow(malformed('register'))
    expect(parseCcelLog(readVector(`${name}.bin`))).toEqual(parseCcelLog(readVector(`${name}-unpadded.bin`)))
  })

  test.each(['data', 'data_ovmf', 'data_grub', 'data_grub_gke', 'data_csv', 'AAEL_alibabacloud'])(
    'CCEL_%s gives the events that its reference reader gave',
    (name) => {
      const reference = JSON.parse(readVectorText(`coco/eventlog/CCEL_${name}_out.json`)).uefi_event_logs
      const { events } = parseCcelLog(readVector(`coco/eventlog/CCEL_${name}`))
      const plain = events.map((event) => ({
        index: event.register,
        event: Buffer.from(event.data).toString('base64'),
        digest: Buffer.from([...event.digests.values()][0]!).toString('hex'),
      }))
      const wanted = reference.map((e: { index: number; event: string; digests: { digest: string }[] }) => ({
        index: e.index,
        event: e.event,
        digest: e.digests[0]!.digest,
      }))
      expect(plain).toEqual(wanted)
    },
  )

  test('fails only with its own error, whichever bytes are changed', () => {
    const raw = readVector('gce/tpm/eventlogs/cos-85-amd-sev.bin')
    const change = fc.record({ at: fc.nat(raw.length - 1), byte: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(raw.length), (changes, length) => {
        const changed = raw.slice(0, length)
        for (const { at, byte } of changes) if (at < length) changed[at] = byte
        try {
          parseTcgLog(changed)
        } catch (error) {
          expect(error).toBeInstanceOf(TpmError)
        }
      }),
      { seed: 2, numRuns: 2000 },
    )
  })
})
