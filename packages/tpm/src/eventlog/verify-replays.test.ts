import { missingVectors, readVector } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../core/node/crypto.ts'
import { parseCcelLog, parseTcgLog } from './parse-tcg-log.ts'
import { replayTcgLog } from './replay.ts'
import type { Replay } from './replay.ts'
import { verifyReplays } from './verify-replays.ts'
import type { AttestedRegisters } from './verify-replays.ts'

const refused = (part: string) =>
  expect.objectContaining({ code: 'evidence.log', message: expect.stringContaining(part) })

const value = (fill: number) => new Uint8Array(32).fill(fill)
const replay = (registers: Record<number, Uint8Array>, changes: Partial<Replay> = {}): Replay => ({
  space: 'pcr',
  bank: 'sha256',
  registers: new Map(Object.entries(registers).map(([i, v]) => [Number(i), v])),
  ...changes,
})
const attested = (values: Record<number, Uint8Array>): AttestedRegisters => ({
  space: 'pcr',
  bank: 'sha256',
  values: new Map(Object.entries(values).map(([i, v]) => [Number(i), v])),
})
const STRICT = { mayBeUnexplained: [] }

test('every attested register is replayed, untouched or named as unexplained', () => {
  const coverage = verifyReplays(
    [replay({ 0: value(1), 4: value(2) }), replay({ 13: value(3) })],
    attested({ 0: value(1), 1: value(0), 4: value(2), 11: value(7), 13: value(3), 17: value(0xff), 22: value(0) }),
    { mayBeUnexplained: [11, 12] },
  )
  expect(coverage).toEqual({ replayed: [0, 4, 13], untouched: [1, 17, 22], unexplained: [11] })
})

test.each([
  [
    'a register holds something else',
    [replay({ 0: value(1) })],
    attested({ 0: value(2) }),
    'pcr 0 (sha256): the log gives 01',
  ],
  [
    'a register without events is not zero',
    [replay({ 0: value(1) })],
    attested({ 0: value(1), 1: value(9) }),
    'pcr 1 (sha256): the log gives no event',
  ],
  ['PCR 16 is all ones', [replay({ 0: value(1) })], attested({ 0: value(1), 16: value(0xff) }), 'pcr 16'],
  ['PCR 23 is all ones', [replay({ 0: value(1) })], attested({ 0: value(1), 23: value(0xff) }), 'pcr 23'],
  ['there is no log', [], attested({ 0: value(0) }), 'no log to compare'],
  ['a value is too short', [replay({ 0: value(1) })], attested({ 0: value(1).subarray(1) }), '31 bytes'],
  ['an untouched value is empty', [replay({ 0: value(1) })], attested({ 0: value(1), 2: new Uint8Array() }), '0 bytes'],
])('C04 refused when %s', (_why, replays, registers, part) => {
  expect(() => verifyReplays(replays, registers, STRICT)).toThrow(refused(part))
})

test('C04 naming a register as unexplained does not excuse one that a log writes', () => {
  const registers = attested({ 0: value(2) })
  expect(() => verifyReplays([replay({ 0: value(1) })], registers, { mayBeUnexplained: [0] })).toThrow(refused('pcr 0'))
})

test('B05 refused when a log writes a register that was not attested', () => {
  const replays = [replay({ 0: value(1), 7: value(2) })]
  expect(() => verifyReplays(replays, attested({ 0: value(1) }), STRICT)).toThrow(
    refused('pcr 7, which was not attested'),
  )
})

test('B06 refused when the log was replayed in another bank or for other registers', () => {
  const registers = attested({ 0: value(1) })
  expect(() => verifyReplays([replay({ 0: value(1) }, { bank: 'sha384' })], registers, STRICT)).toThrow(
    refused('sha384'),
  )
  expect(() => verifyReplays([replay({ 0: value(1) }, { space: 'ccmr' })], registers, STRICT)).toThrow(refused('ccmr'))
})

test('C08 refused when two logs write one register, even with the same value', () => {
  const replays = [replay({ 13: value(1) }), replay({ 13: value(1) })]
  expect(() => verifyReplays(replays, attested({ 13: value(1) }), STRICT)).toThrow(refused('two logs write pcr 13'))
})

describe.skipIf(missingVectors())('a recorded boot', () => {
  const log = () => parseTcgLog(readVector('gce/tpm/eventlogs/cos-101-amd-sev.bin'))
  const held = () => {
    const { registers } = replayTcgLog(log(), 'sha256', nodeCrypto)
    return attested(Object.fromEntries(Array.from({ length: 24 }, (_, i) => [i, registers.get(i) ?? value(0)])))
  }
  const verify = (events: ReturnType<typeof log>['events']) =>
    verifyReplays([replayTcgLog({ ...log(), events }, 'sha256', nodeCrypto)], held(), STRICT)

  test('verifies against all 24 registers', () => {
    expect(verify(log().events).replayed).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14])
  })

  test('C04 cut anywhere, it fails', () => {
    const { events } = log()
    for (let length = 0; length < events.length; length++)
      expect(() => verify(events.slice(0, length))).toThrow(expect.objectContaining({ code: 'evidence.log' }))
  })

  test('C04 without any one of its events, it fails', () => {
    const { events } = log()
    for (const event of events)
      expect(() => verify(events.filter((other) => other !== event))).toThrow(refused(`pcr ${event.register}`))
  })

  test('C04 with two different events of one register exchanged, it fails', () => {
    const [a, b, ...rest] = log().events
    expect(() => verify([b!, a!, ...rest])).toThrow(refused('pcr 0'))
  })

  test('C04 with any one digest changed, it fails', () => {
    const { events } = log()
    for (const event of events) {
      const digest = event.digests.get('sha256')!
      const digests = new Map([...event.digests, ['sha256' as const, digest.with(31, digest[31]! ^ 1)]])
      const changed = events.map((other) => (other === event ? { ...event, digests } : other))
      expect(() => verify(changed)).toThrow(refused(`pcr ${event.register}`))
    }
  })

  test('C01 with only types and data changed, it still replays: neither is measured', () => {
    const relabelled = log().events.map((event) => ({ ...event, type: 2, data: new Uint8Array() }))
    expect(() => verify(relabelled)).not.toThrow()
  })

  test('a register value of four zero bytes is refused', () => {
    const registers = attested({ 0: new Uint8Array(4) })
    const replays = [replayTcgLog(log(), 'sha256', nodeCrypto)]
    expect(() => verifyReplays(replays, { ...registers, bank: 'sha256' }, STRICT)).toThrow(refused('not attested'))
    const { values } = held()
    expect(() =>
      verifyReplays(replays, { ...registers, values: new Map([...values, [0, new Uint8Array(4)]]) }, STRICT),
    ).toThrow(refused('4 bytes'))
  })
})

describe.skipIf(missingVectors())('a recorded TDX guest', () => {
  test.each([
    ['CCEL_data_gcp', 1],
    ['CCEL_data', 2],
  ])('%s is refused with another value in register %i, naming both values', (name, register) => {
    const replayed = replayTcgLog(parseCcelLog(readVector(`coco/eventlog/${name}`)), 'sha384', nodeCrypto)
    const given = replayed.registers.get(register)!.map((byte) => byte ^ 0xff)
    const values = new Map([...replayed.registers, [register, given]])
    expect(() => verifyReplays([replayed], { space: 'ccmr', bank: 'sha384', values }, STRICT)).toThrow(
      refused(
        `ccmr ${register} (sha384): the log gives ${Buffer.from(replayed.registers.get(register)!).toString('hex')}, attested was ${Buffer.from(given).toString('hex')}`,
      ),
    )
  })
})
