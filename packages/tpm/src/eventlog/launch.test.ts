import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../core/node/crypto.ts'
import { TpmError } from '../codec/errors.ts'
import type { CelLog, CelRecord } from './cel-record.ts'
import { CEL_CONTENT } from './cel-record.ts'
import { readConfidentialSpaceHost, readConfidentialSpaceLaunch } from './confidential-space.ts'
import { toHex } from './hex.ts'
import { decodeLaunchEvent, encodeLaunchEvent } from './launch-event.ts'
import type { LaunchEvent } from './launch-event.ts'
import { launchEvents, launchRecord, readLaunch } from './launch.ts'
import type { Launch } from './launch.ts'
import { parseCel } from './parse-cel.ts'
import { replayCel } from './replay-cel.ts'
import { celRecord, encodeCelRecord, writeCel } from './write-cel.ts'

const refused = (part: string) =>
  expect.objectContaining({ code: 'evidence.log', message: expect.stringContaining(part) })
const malformed = (part: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(part) })

const launch: Launch = {
  agreement: `sha256:${'a'.repeat(64)}`,
  image: `sha256:${'b'.repeat(64)}`,
  imageReference: 'registry.example/word-count:1',
  args: ['/bin/count', '', '--ä'],
  env: { B: 'two', A: '', __proto__x: '=' },
  debug: false,
  network: 'none',
  output: 'closed',
  restart: 'never',
  isolation: 'runc',
  capabilities: ['CAP_CHOWN', 'CAP_KILL'],
  mounts: [],
}
const events = launchEvents(launch)
const record = (event: LaunchEvent, space: 'pcr' | 'ccmr' = 'pcr') =>
  launchRecord(event, space, ['sha256', 'sha384'], nodeCrypto)
const records = events.map((event) => record(event))
const cel = writeCel(records)
const read = (log: CelLog) => readLaunch(log, 'sha256', nodeCrypto)
const without = (kind: LaunchEvent['kind']) => records.filter((_, i) => events[i]!.kind !== kind)
const before = (kind: LaunchEvent['kind'], ...extra: CelRecord[]) => {
  const at = events.findIndex((event) => event.kind === kind)
  return [...records.slice(0, at), ...extra, ...records.slice(at)]
}

describe('a launch log', () => {
  test('gives back what was launched', () => {
    expect(read(parseCel(cel))).toEqual(launch)
  })

  test('gives back what was launched on a guest without TPM', () => {
    const log = events.map((event) => record(event, 'ccmr'))
    expect(readLaunch(log, 'sha384', nodeCrypto)).toEqual(launch)
    expect([...replayCel(log, 'sha384', nodeCrypto).registers.keys()]).toEqual([4])
  })

  test('can be appended to record by record', () => {
    expect(Buffer.concat(records.map((r, i) => encodeCelRecord(r, i)))).toEqual(Buffer.from(cel))
  })

  test('replays to the extensions that were made, and does not depend on the order of variables', () => {
    const digests = records.map((r) => r.digests.get('sha256')!)
    const value = digests.reduce((pcr, digest) => nodeCrypto.digest('sha256', pcr, digest), new Uint8Array(32))
    expect(replayCel(parseCel(cel), 'sha256', nodeCrypto)).toEqual({
      space: 'pcr',
      bank: 'sha256',
      registers: new Map([[13, value]]),
    })
    const { A, B, ...rest } = launch.env
    expect(launchEvents({ ...launch, env: { ...rest, B: B!, A: A! } })).toEqual(events)
  })

  test('gives a variable called __proto__ as any other', () => {
    const env = JSON.parse('{"__proto__": "x"}')
    const log = launchEvents({ ...launch, env }).map((event) => record(event))
    expect(Object.entries(read(log).env)).toEqual([['__proto__', 'x']])
  })

  test('C04 an empty one is refused', () => {
    expect(parseCel(new Uint8Array())).toEqual([])
    expect(() => replayCel([], 'sha256', nodeCrypto)).toThrow(refused('extends no register'))
    expect(() => read([])).toThrow(refused('no record measures separator'))
  })

  test.each(events.map((event) => event.kind).filter((kind) => kind !== 'env'))('is refused without %s', (kind) => {
    expect(() => read(without(kind))).toThrow(refused(`no record measures ${kind}`))
  })

  test.each(events.map((event, i) => [event.kind, records[i]!] as const))(
    'C08 is refused when %s is measured twice, even with the same value',
    (kind, twice) => {
      const log = before('separator', twice)
      expect(() => read(log)).toThrow(refused(kind === 'separator' ? 'after the separator' : 'a second time'))
    },
  )

  test.each([
    { kind: 'image', value: `sha256:${'c'.repeat(64)}` } as const,
    { kind: 'debug', value: true } as const,
    { kind: 'args', value: ['/bin/sh'] } as const,
    { kind: 'env', name: 'A', value: 'other' } as const,
  ])('C08 is refused when $kind is measured with two values, in either order', (other) => {
    expect(() => read([record(other), ...records])).toThrow(refused('a second time'))
    expect(() => read(before('separator', record(other)))).toThrow(refused('a second time'))
  })

  test('C03 nothing may follow the separator, not even another separator', () => {
    const late = record({ kind: 'env', name: 'LATE', value: '' })
    expect(() => read([...records, late])).toThrow(refused(`record ${records.length} comes after the separator`))
    expect(() => read([...records, records.at(-1)!])).toThrow(refused('comes after the separator'))
  })

  test('C09 a record of another register is refused', () => {
    const elsewhere = celRecord({ space: 'pcr', register: 12 }, records[0]!.content, ['sha256'], nodeCrypto)
    expect(() => read([elsewhere, ...records.slice(1)])).toThrow(refused('record 0 is of pcr 12'))
  })

  test('C09 a record of another content type is refused, also in a log that otherwise is whole', () => {
    const target = { space: 'pcr', register: 13 } as const
    const foreign = celRecord(target, { type: 80, value: records[0]!.content.value }, ['sha256'], nodeCrypto)
    expect(() => read(before('separator', foreign))).toThrow(refused('content of type 80'))
  })

  test('C09 an event of unknown kind is refused', () => {
    const value = encodeLaunchEvent({ kind: 'separator' }).with(0, 77)
    const target = { space: 'pcr', register: 13 } as const
    const unknown = celRecord(target, { type: CEL_CONTENT.launch, value }, ['sha256'], nodeCrypto)
    expect(() => read(before('separator', unknown))).toThrow(refused('77 is no kind of launch event'))
  })

  test('C02 a content that is not the one measured is refused, when read as when replayed', () => {
    const forged = { ...records[1]!, content: record({ kind: 'image', value: `sha256:${'c'.repeat(64)}` }).content }
    const log = records.map((r, i) => (i === 1 ? forged : r))
    expect(() => read(log)).toThrow(refused('record 1 has a content that is not the one measured'))
    expect(() => replayCel(log, 'sha256', nodeCrypto)).toThrow(refused('record 1 has a content'))
  })

  test('C02 the content type is measured too', () => {
    const forged = { ...records[0]!, content: { ...records[0]!.content, type: 80 } }
    expect(() => replayCel([forged], 'sha256', nodeCrypto)).toThrow(refused('record 0 has a content'))
  })

  test('B06 a bank that the log does not have is refused', () => {
    expect(() => readLaunch(records, 'sha512', nodeCrypto)).toThrow(refused('no sha512 digest, only sha256, sha384'))
    expect(() => replayCel(records, 'sha512', nodeCrypto)).toThrow(refused('no sha512 digest'))
  })
})

describe('a launch event', () => {
  const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((b) => `sha256:${toHex(b)}`)
  const text = fc.string({ unit: 'binary' }).filter((s) => !s.includes('\0') && s.isWellFormed())
  const sorted = fc.uniqueArray(text).map((a) => a.toSorted((x, y) => (x < y ? -1 : 1)))
  const event: fc.Arbitrary<LaunchEvent> = fc.oneof(
    fc.record({ kind: fc.constantFrom('agreement', 'image'), value: digest }),
    fc.record({ kind: fc.constant('args'), value: fc.array(text) }),
    fc.record({ kind: fc.constantFrom('capabilities', 'mounts'), value: sorted }),
    fc.record({ kind: fc.constant('env'), name: fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/), value: text }),
    fc.record({ kind: fc.constant('debug'), value: fc.boolean() }),
  )

  test('is read back as it was written', () => {
    fc.assert(
      fc.property(event, (e) => {
        expect(decodeLaunchEvent(encodeLaunchEvent(e))).toEqual(e)
      }),
      { seed: 3 },
    )
  })

  test('has one encoding: what decodes encodes to the same bytes', () => {
    const change = fc.record({ at: fc.nat(200), byte: fc.nat(255) })
    fc.assert(
      fc.property(event, change, (e, { at, byte }) => {
        const bytes = encodeLaunchEvent(e)
        bytes[at % bytes.length] = byte
        let decoded: LaunchEvent
        try {
          decoded = decodeLaunchEvent(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(TpmError)
          return
        }
        expect(encodeLaunchEvent(decoded)).toEqual(bytes)
      }),
      { seed: 4, numRuns: 3000 },
    )
  })

  test.each<[string, LaunchEvent, string]>([
    ['an image by name', { kind: 'image', value: 'word-count:1' }, 'not sha256:'],
    ['an agreement in capitals', { kind: 'agreement', value: `sha256:${'A'.repeat(64)}` }, 'not sha256:'],
    ['no reference', { kind: 'image-reference', value: '' }, 'empty'],
    ['a reference with a NUL', { kind: 'image-reference', value: 'a\0b' }, 'NUL'],
    ['an argument with a NUL', { kind: 'args', value: ['a\0b'] }, 'NUL'],
    ['a lone surrogate', { kind: 'args', value: ['\ud800'] }, 'surrogate'],
    ['a variable name with =', { kind: 'env', name: 'A=B', value: '' }, 'no variable name'],
    ['a variable value with a NUL', { kind: 'env', name: 'A', value: '\0' }, 'NUL'],
    ['mounts out of order', { kind: 'mounts', value: ['b', 'a'] }, 'not sorted'],
    ['a capability twice', { kind: 'capabilities', value: ['a', 'a'] }, 'repeats'],
  ])('cannot be written with %s', (_what, wrong, part) => {
    expect(() => encodeLaunchEvent(wrong)).toThrow(malformed(part))
  })

  const raw = (type: number, ...value: number[]) => Uint8Array.of(type, 0, 0, 0, value.length, ...value)
  test.each([
    ['a debug flag of 2', raw(5, 2), '2 is neither yes'],
    ['an empty debug flag', raw(5), 'wants 1 bytes'],
    ['a debug flag of two bytes', raw(5, 0, 0), '1 bytes left over'],
    ['an unknown network', raw(6, 0x61), '"a" is none of none, host'],
    ['a separator with a value', raw(255, 0), '1 bytes left over'],
    ['a variable of one text', raw(4, 0, 0, 0, 1, 65), 'not name and value'],
    ['a variable of three texts', raw(4, 0, 0, 0, 1, 65, 0, 0, 0, 0, 0, 0, 0, 0), 'not name and value'],
    ['an argument past the end', raw(3, 0, 0, 0, 2, 65), 'wants 2 bytes, 1 are left'],
    ['bytes after its value', Uint8Array.of(...raw(5, 0), 0), 'end'],
    ['a text that is not UTF-8', raw(3, 0, 0, 0, 1, 0xff), 'not UTF-8'],
    ['a length past its end', raw(5, 0).with(4, 2), 'wants 2 bytes'],
  ])('C09 is refused with %s', (_what, bytes, part) => {
    expect(() => decodeLaunchEvent(bytes)).toThrow(malformed(part))
  })
})

describe('a canonical event log', () => {
  const bytes = writeCel([records[0]!, records[1]!])
  const NUMBER = 12
  const REGISTER = 18
  const DIGESTS = 24

  test.each([
    ['its first number is 1', bytes.with(NUMBER, 1), 'record 0 number'],
    ['a number is left out', writeCel(records.slice(0, 1)).length, 'record 1 number'],
    ['a number has four bytes', bytes.with(4, 4), 'wants 8 bytes'],
    ['a number has nine bytes', bytes.with(4, 9), '9 is over 8'],
    ['a part has another type', bytes.with(0, 1), 'record 0 number type'],
    ['its register is an NV index', bytes.with(13, 2), 'record 0 register type'],
    ['its register is 24', bytes.with(REGISTER, 24), 'there is no pcr 24'],
    ['its register is that of another machine', bytes.with(13, 108), 'there is no ccmr 13'],
    ['a digest is of no hash', bytes.with(DIGESTS, 0x10), '0x10 is not a hash'],
    ['a digest occurs twice', bytes.with(DIGESTS + 37, 0x0b), 'sha256 occurs twice'],
    ['a digest is too short', bytes.with(DIGESTS + 4, 31), '31 bytes are not a sha256 digest'],
    ['a length is over what is left', bytes.with(DIGESTS - 4, 0x7f), 'digests length'],
    ['it is cut short', bytes.subarray(0, -1), 'record 1 content'],
    ['something is left over', Uint8Array.of(...bytes, 0), 'record 2 number length'],
  ])('C09 is refused when %s', (_why, changed, part) => {
    if (typeof changed === 'number') changed = bytes.with(changed + NUMBER, 5)
    expect(() => parseCel(changed)).toThrow(malformed(part))
  })

  test('C09 is refused when a record has no digest', () => {
    expect(() => parseCel(writeCel([{ ...records[0]!, digests: new Map() }]))).toThrow(malformed('there is none'))
  })

  test('C09 is refused when records differ in their banks or their kind of register', () => {
    const [first, second] = records
    const fewer = { ...second!, digests: new Map([...second!.digests].slice(0, 1)) }
    expect(() => parseCel(writeCel([first!, fewer]))).toThrow(malformed('not of the same banks'))
    const mixed = [first!, record(events[1]!, 'ccmr')]
    expect(() => parseCel(writeCel(mixed))).toThrow(malformed('is a ccmr, record 0 a pcr'))
    expect(() => replayCel(mixed, 'sha256', nodeCrypto)).toThrow(refused('writes a ccmr'))
  })

  test('C07 is refused when it is over 4 MiB or has more than 16,384 records', () => {
    const large = expect.objectContaining({ code: 'input.too-large' })
    expect(() => parseCel(new Uint8Array(4 * 1024 * 1024 + 1))).toThrow(large)
    const small = celRecord({ space: 'pcr', register: 13 }, { type: 1, value: new Uint8Array() }, ['sha1'], nodeCrypto)
    expect(() => parseCel(writeCel(Array.from({ length: 16_385 }, () => small)))).toThrow(large)
  })

  test('is not written for a register that does not exist', () => {
    expect(() => writeCel([{ ...records[0]!, register: 24 }])).toThrow(malformed('there is no pcr 24'))
  })

  test('fails only with its own error, whichever bytes are changed', () => {
    const change = fc.record({ at: fc.nat(cel.length - 1), byte: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), fc.nat(cel.length), (changes, length) => {
        const changed = cel.slice(0, length)
        for (const { at, byte } of changes) if (at < length) changed[at] = byte
        try {
          read(parseCel(changed))
        } catch (error) {
          expect(error).toBeInstanceOf(TpmError)
        }
      }),
      { seed: 5, numRuns: 2000 },
    )
  })
})

describe.skipIf(missingVectors())('the log of a Confidential Space guest', () => {
  const bytes = () => new Uint8Array(Buffer.from(readVectorText('gce/cel/agent-cel.b64'), 'base64'))
  const log = () => parseCel(bytes())
  const readSpace = (l: CelLog) => readConfidentialSpaceLaunch(l, 'sha384', nodeCrypto)

  test('is written as it was read', () => {
    expect(log().length).toBe(18)
    expect(writeCel(log())).toEqual(bytes())
  })

  test('replays to the recorded register', () => {
    const { registers, space } = replayCel(log(), 'sha384', nodeCrypto)
    expect(space).toBe('ccmr')
    expect([...registers].map(([register, value]) => [register, toHex(value)])).toEqual([
      [4, '2261f93374ed538b35e7e93c540a1562ccb25d14f6c40a1efea03d329e29a97172d84e152344af4a7188d0c8b9fcabeb'],
    ])
  })

  test('tells what was launched', () => {
    const space = readSpace(log())
    expect(space).toMatchObject({
      imageReference:
        'us-west1-docker.pkg.dev/confidential-space-images-dev/cs-integ-test-images/gpu/cuda-vector-add:latest',
      restartPolicy: 'Never',
      memoryMonitoring: false,
      gpuCcMode: 'ON',
      overriddenArgs: [],
      overriddenEnv: {},
    })
    expect(space.imageDigest).toMatch(/^sha256:777049f969d7/)
    expect(space.imageId).toMatch(/^sha256:/)
    expect(space.args.length).toBe(1)
    expect(Object.keys(space.env).length).toBe(10)
    expect(space).not.toHaveProperty('gpuAttestation')
  })

  const IMAGE_REF = 0
  const ARG = 4
  const again = (i: number, change: (value: Uint8Array) => Uint8Array = (v) => v) =>
    celRecord(
      { space: 'ccmr', register: 4 },
      { type: 80, value: change(log()[i]!.content.value) },
      ['sha384'],
      nodeCrypto,
    )
  const event = (type: number, value: string) => {
    const v = new TextEncoder().encode(value)
    return again(0, () => Uint8Array.of(type, 0, 0, 0, v.length, ...v))
  }

  test.each([
    ['C08 an image reference comes twice', () => [again(IMAGE_REF), ...log()], 'ImageRef a second time'],
    ['C08 a restart policy comes twice', () => [event(2, 'Always'), ...log()], 'RestartPolicy a second time'],
    ['C08 a variable comes twice', () => [again(5), ...log()], 'is measured a second time'],
    ['C03 an event follows the separator', () => [...log(), again(ARG)], 'record 18 comes after the separator'],
    ['C03 the separator comes twice', () => [...log(), log()[17]!], 'record 18 comes after the separator'],
    ['C03 the separator is missing', () => log().slice(0, -1), 'no separator'],
    ['C03 the separator tells of a failure', () => [...log().slice(0, -1), event(8, 'x')], 'failed launch'],
    ['C09 an event type is unknown', () => [event(12, ''), ...log()], 'event of type 12'],
    ['C09 bytes follow an event', () => [again(0, (v) => Uint8Array.of(...v, 0)), ...log()], 'left over'],
    ['C02 a content was changed', () => [{ ...log()[0]!, content: log()[1]!.content }], 'not the one measured'],
    ['there is no image digest', () => log().filter((_, i) => i !== 1), 'no ImageDigest'],
    ['an override contradicts', () => [event(7, 'PATH=/evil'), ...log()], 'OverrideEnv PATH'],
    ['a variable has no name', () => [event(5, '=x'), ...log()], 'not NAME=value'],
    ['the restart policy is unknown', () => [event(2, 'never'), ...log().filter((_, i) => i !== 2)], 'none of Always'],
  ])('is refused when %s', (_why, changed, part) => {
    expect(() => readSpace(changed())).toThrow(refused(part))
  })

  test('C09 is refused in another register or as another kind of content', () => {
    const moved = celRecord({ space: 'ccmr', register: 3 }, log()[0]!.content, ['sha384'], nodeCrypto)
    expect(() => readSpace([moved])).toThrow(refused('record 0 is of ccmr 3'))
    expect(() => readSpace(records.map((r) => ({ ...r })))).toThrow(refused('content of type 118'))
    expect(() => readLaunch(log(), 'sha384', nodeCrypto)).toThrow(refused('content of type 80'))
  })
})

describe.skipIf(missingVectors())('the log of a bare-metal host', () => {
  const log = () => parseCel(readVector('gce/cel/host-cel_launch_event_log.bin'))

  test('replays to the recorded register and names its processor', () => {
    const { registers } = replayCel(log(), 'sha256', nodeCrypto)
    expect([...registers].map(([register, value]) => [register, toHex(value)])).toEqual([
      [19, '3ed1b5e170fc70001cc427164e1784752b96faaf34241c519027fbff3ee9295a'],
    ])
    const host = readConfidentialSpaceHost(log(), 'sha256', nodeCrypto)
    expect(host.cpuIds.map((id) => Buffer.from(id).toString())).toEqual(['B'.repeat(16)])
  })

  test('is refused without its separator, with anything after it, and in the place of a guest', () => {
    const [cpu, separator] = log()
    const readHost = (l: CelLog) => () => readConfidentialSpaceHost(l, 'sha256', nodeCrypto)
    expect(readHost([cpu!])).toThrow(refused('no separator'))
    expect(readHost([separator!, cpu!])).toThrow(refused('record 1 comes after the separator'))
    expect(readHost(records)).toThrow(refused('record 0 is of pcr 13'))
    expect(() => readConfidentialSpaceLaunch(log(), 'sha256', nodeCrypto)).toThrow(refused('record 0 is of pcr 19'))
  })
})
