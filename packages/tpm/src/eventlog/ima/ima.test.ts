import { missingVectors, readVector } from '@vouchsafe/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../../core/node/crypto.ts'
import { ByteWriter } from '../../codec/byte-writer.ts'
import { TpmError } from '../../codec/errors.ts'
import { toHex } from '../hex.ts'
import { parseTcgLog } from '../parse-tcg-log.ts'
import { replayTcgLog } from '../replay.ts'
import { verifyReplays } from '../verify-replays.ts'
import { parseImaAsciiLog } from './parse-ima-ascii.ts'
import { parseImaLog } from './parse-ima.ts'
import { bootAggregate, replayIma } from './replay-ima.ts'
import { encodeImaTemplate } from './ima-template.ts'
import type { ImaEntry } from './ima-event.ts'

const malformed = (part: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(part) })
const refused = (part: string) =>
  expect.objectContaining({ code: 'evidence.log', message: expect.stringContaining(part) })
const sha1 = (data: Uint8Array) => nodeCrypto.digest('sha1', data)

const entries: Record<string, ImaEntry> = {
  ima: { hash: 'sha1', digest: new Uint8Array(20).fill(1), path: '/bin/old name' },
  'ima-ng': { hash: 'sha256', digest: new Uint8Array(32).fill(2), path: '/bin/two words' },
  'ima-sig': {
    hash: 'sha256',
    digest: new Uint8Array(32).fill(3),
    path: '/bin/ä b',
    signature: Uint8Array.of(3, 2, 4),
  },
}

/** One record as the kernel writes it into the binary list. */
function record(template: string, data: Uint8Array, hash = sha1(data), register = 10): Uint8Array {
  const w = new ByteWriter('little')
    .u32('register', register)
    .raw(hash)
    .sized32('name', new TextEncoder().encode(template))
  if (template !== 'ima') return w.sized32('data', data).finish()
  return w
    .raw(data.subarray(0, 20))
    .sized32('name', data.subarray(20, data.indexOf(0, 20)))
    .finish()
}

/** The same record as a line of the ASCII list. */
function line(template: string, { hash, digest, path, signature }: ImaEntry): string {
  const data = encodeImaTemplate(template, { hash, digest, path, ...(signature && { signature }) })
  const prefix = template === 'ima' ? '' : `${hash}:`
  const sig = template === 'ima-sig' ? ` ${toHex(signature ?? new Uint8Array())}` : ''
  return `10 ${toHex(sha1(data))} ${template} ${prefix}${toHex(digest)} ${path}${sig}\n`
}

const data = (template: string) => encodeImaTemplate(template, entries[template]!)
const binary = Buffer.concat(Object.keys(entries).map((template) => record(template, data(template))))
const ascii = Object.entries(entries)
  .map(([template, entry]) => line(template, entry))
  .join('')

describe('a runtime measurement list', () => {
  test('gives its entries, whether binary or text', () => {
    const log = parseImaLog(binary)
    expect(log.map((event) => event.entry)).toEqual(Object.values(entries))
    expect(parseImaAsciiLog(ascii)).toEqual(log)
    expect(parseImaLog(new Uint8Array())).toEqual([])
    expect(parseImaAsciiLog('')).toEqual([])
  })

  test('replays each bank with its own hash of the data', () => {
    for (const bank of ['sha1', 'sha256', 'sha384'] as const) {
      const digests = Object.keys(entries).map((template) => nodeCrypto.digest(bank, data(template)))
      const start: Uint8Array = new Uint8Array(digests[0]!.length)
      const value = digests.reduce((pcr, digest) => nodeCrypto.digest(bank, pcr, digest), start)
      expect(replayIma(parseImaLog(binary), bank, nodeCrypto).registers).toEqual(new Map([[10, value]]))
    }
  })

  test('a violation extends all ones', () => {
    const log = parseImaLog(record('ima-ng', data('ima-ng'), new Uint8Array(20)))
    expect(log[0]).toMatchObject({ violation: true })
    const value = nodeCrypto.digest('sha256', new Uint8Array(32), new Uint8Array(32).fill(0xff))
    expect(replayIma(log, 'sha256', nodeCrypto).registers.get(10)).toEqual(value)
  })

  test('C02 data that is not what was hashed is refused', () => {
    const log = parseImaLog(binary)
    const forged = log.with(1, { ...log[1]!, templateData: data('ima-sig') })
    expect(() => replayIma(forged, 'sha256', nodeCrypto)).toThrow(refused('record 1'))
    const text = parseImaAsciiLog(ascii.replace('/bin/two words', '/bin/two  words'))
    expect(() => replayIma(text, 'sha256', nodeCrypto)).toThrow(refused('record 1'))
  })

  test('C04 an empty list is refused', () => {
    expect(() => replayIma([], 'sha256', nodeCrypto)).toThrow(refused('extends no register'))
  })

  test('records of other templates replay and say nothing', () => {
    const other = parseImaLog(record('ima-buf', Uint8Array.of(1, 2, 3)))
    expect(other[0]).not.toHaveProperty('entry')
    const value = nodeCrypto.digest('sha256', new Uint8Array(32), nodeCrypto.digest('sha256', Uint8Array.of(1, 2, 3)))
    expect(replayIma(other, 'sha256', nodeCrypto).registers.get(10)).toEqual(value)
    const text = line('ima-ng', entries['ima-ng']!).replace('ima-ng', 'ima-buf')
    expect(() => parseImaAsciiLog(text)).toThrow(expect.objectContaining({ code: 'evidence.unsupported' }))
  })

  const ng = record('ima-ng', data('ima-ng'))
  const sig = record('ima-sig', data('ima-sig'))
  const old = record('ima', data('ima'))
  const DATA = 4 + 20 + 4 + 6 + 4
  test.each([
    ['is cut short', ng.subarray(0, -1), 'record 0 data'],
    ['has a byte left over', Uint8Array.of(...ng, 0), 'record 1 register'],
    ['names register 24', ng.with(0, 24), 'there is no PCR 24'],
    ['has a template name of 65 bytes', ng.with(24, 65), 'template name'],
    ['has a template name with a space', ng.with(28, 0x20), 'not a name'],
    ['has an empty template name', ng.with(24, 0), 'not a name'],
    ['has data over 128 KiB', ng.with(DATA - 2, 3), 'data'],
    ['has a digest past its data', ng.with(DATA, 200), 'd-ng'],
    ['has a hash name without colon', ng.with(DATA + 4 + 6, 0x2d), 'd-ng'],
    ['has a hash name without NUL', ng.with(DATA + 4 + 7, 1), 'd-ng'],
    ['has a file name without NUL', ng.with(ng.length - 1, 1), 'n-ng'],
    ['has a file name with two NULs', ng.with(ng.length - 2, 0), 'n-ng'],
    ['has a file name that is no text', ng.with(ng.length - 2, 0xff), 'not UTF-8'],
    ['has a signature past its data', sig.with(sig.length - 7, 4), 'sig'],
    ['has bytes after its signature', sig.with(sig.length - 7, 2), 'end'],
    ['has an old name of 256 bytes', old.with(4 + 20 + 4 + 3 + 20 + 1, 1), 'record 0 name'],
  ])('C07 is refused when it %s', (_why, raw, part) => {
    expect(() => parseImaLog(raw)).toThrow(malformed(part))
  })

  test.each([
    ['does not end', ascii.slice(0, -1), 'line 3 does not end'],
    ['has an empty line', `${ascii}\n`, 'line 4 is not register'],
    ['names register 24', ascii.replace(/^10/, '24'), 'there is no PCR 24'],
    ['has half a digit in a digest', line('ima-ng', entries['ima-ng']!).replace(':02', ':2'), 'line 1 has no digest'],
    ['has no hash name', line('ima-ng', entries['ima-ng']!).replace('sha256:', ''), 'line 1 has no digest'],
    [
      'has no signature field',
      line('ima-sig', { ...entries['ima-sig']!, path: 'x' }).replace(/ 030204\n/, '\n'),
      'no signature field',
    ],
  ])('C07 as text is refused when it %s', (_why, text, part) => {
    expect(() => parseImaAsciiLog(text)).toThrow(malformed(part))
  })

  test('is not written with what its template cannot hold', () => {
    expect(() => encodeImaTemplate('ima', { ...entries['ima']!, path: 'x'.repeat(256) })).toThrow(
      malformed('at most 255'),
    )
    expect(() => encodeImaTemplate('ima', entries['ima-ng']!)).toThrow(malformed('20 bytes'))
  })

  test('fails only with its own error, whichever bytes are changed', () => {
    const change = fc.record({ at: fc.nat(binary.length - 1), byte: fc.nat(255) })
    const run = (parse: () => void) => {
      try {
        parse()
      } catch (error) {
        expect(error).toBeInstanceOf(TpmError)
      }
    }
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const raw = new Uint8Array(binary)
        for (const { at, byte } of changes) raw[at] = byte
        run(() => replayIma(parseImaLog(raw), 'sha256', nodeCrypto))
        const text = [...ascii]
        for (const { at, byte } of changes) text[at % text.length] = String.fromCharCode(byte)
        run(() => replayIma(parseImaAsciiLog(text.join('')), 'sha256', nodeCrypto))
      }),
      { seed: 6, numRuns: 2000 },
    )
  })
})

describe.skipIf(missingVectors())('the recorded list of our own boot', () => {
  test('replays with the boot log to every quoted register, and is tied to that boot', () => {
    const log = parseImaLog(readVector('vm-boot/ima.bin'))
    expect(log).toMatchObject([
      { register: 10, template: 'ima-sig', entry: { hash: 'sha256', path: 'boot_aggregate' } },
    ])
    const values = new Map<number, Uint8Array>()
    const raw = readVector('vm-boot/q.pcrs')
    const lists = 4 + 16 * 8 + 4
    for (let i = 0; i < 11; i++) {
      const at = lists + (i < 8 ? 4 + i * 66 : 8 + 8 * 66 + (i - 8) * 66)
      values.set(i, raw.slice(at + 2, at + 34))
    }
    const boot = replayTcgLog(parseTcgLog(readVector('vm-boot/evlog.bin')), 'sha256', nodeCrypto)
    const runtime = replayIma(log, 'sha256', nodeCrypto)
    const attested = { space: 'pcr', bank: 'sha256', values } as const
    expect(verifyReplays([boot, runtime], attested, { mayBeUnexplained: [] })).toEqual({
      replayed: [0, 1, 2, 3, 4, 5, 6, 7, 9, 10],
      untouched: [8],
      unexplained: [],
    })
    expect(bootAggregate('sha256', values, nodeCrypto)).toEqual(log[0]!.entry!.digest)
    expect(() => bootAggregate('sha256', new Map(), nodeCrypto)).toThrow(
      expect.objectContaining({ code: 'evidence.pcr-selection' }),
    )
  })
})
