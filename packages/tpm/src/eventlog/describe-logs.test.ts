import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../core/node/crypto.ts'
import { imaRecord } from '../testing/ima-record.ts'
import { describeCelRecord } from './describe-cel.ts'
import { describeImaEvent, imaDigest } from './ima/describe-ima.ts'
import { parseImaLog } from './ima/parse-ima.ts'
import { toHex } from './hex.ts'
import { LAUNCH_REGISTER, launchEvents, launchRecord } from './launch.ts'
import type { Launch } from './launch.ts'
import { parseCel } from './parse-cel.ts'
import { celRecord } from './write-cel.ts'

describe('what a kernel read, in words', () => {
  const digest = new Uint8Array(32).fill(7)
  const event = (path: string, signature?: Uint8Array) => {
    const { bytes } = imaRecord({ hash: 'sha256', digest, path, ...(signature && { signature }) })
    const [first] = parseImaLog(bytes)
    if (first === undefined) throw new Error('no record')
    return first
  }
  const say = (e: ReturnType<typeof event>) => describeImaEvent(e, nodeCrypto)

  test('names register, template, file, digest and signature', () => {
    expect(say(event('/bin/sh'))).toEqual({
      register: 'PCR 10',
      type: 'ima-sig',
      proof: 'proved',
      sentence: `read "/bin/sh", sha256 ${toHex(digest)}`,
    })
    expect(say(event('/bin/sh', Uint8Array.of(3, 2))).sentence).toContain('with a signature of 2 bytes')
    expect(say(event('boot_aggregate')).sentence).toContain('the boot before it')
    expect(say(event('/bin/\u001b[2Jsh')).sentence).toContain('\\u001b[2Jsh')
  })

  test('C02 a record whose data was edited contradicts its hash', () => {
    const e = event('/bin/sh')
    const edited = { ...e, templateData: e.templateData.with(-1, 9) }
    expect(say(edited)).toMatchObject({
      proof: 'contradiction',
      sentence: expect.stringContaining('not that of the data'),
    })
  })

  test('a file that was written meanwhile is not known, and its register got all ones', () => {
    const violated = { ...event('/var/log/x'), templateHash: new Uint8Array(20), violation: true }
    expect(say(violated)).toMatchObject({ proof: 'digest only', sentence: expect.stringContaining('as the log says') })
    expect(imaDigest(violated, 'sha256', nodeCrypto)).toBe('ff'.repeat(32))
  })

  test('a template that is not known is not made out to say something', () => {
    const data = Uint8Array.of(1, 2)
    const other = {
      register: 10,
      template: 'x',
      templateData: data,
      templateHash: nodeCrypto.digest('sha1', data),
      violation: false,
    }
    expect(say(other)).toMatchObject({
      proof: 'proved',
      sentence: 'a record of template "x" with 2 bytes, which says nothing here',
    })
  })
})

describe('what a launcher measured, in words', () => {
  const say = (record: Parameters<typeof describeCelRecord>[0]) => describeCelRecord(record, 'sha256', nodeCrypto)
  const launch: Launch = {
    agreement: `sha256:${'1'.repeat(64)}`,
    image: `sha256:${'2'.repeat(64)}`,
    imageReference: 'app:v1',
    args: ['/app', '--fast'],
    env: { LANG: 'C' },
    debug: false,
    network: 'none',
    output: 'closed',
    restart: 'never',
    isolation: 'runc',
    capabilities: [],
    mounts: [],
  }
  const records = launchEvents(launch).map((e) => launchRecord(e, 'pcr', ['sha256'], nodeCrypto))

  test('tells each fact of a launch, and its end', () => {
    expect(records.map((r) => say(r).sentence)).toEqual([
      `agreement "${launch.agreement}"`,
      `image "${launch.image}"`,
      'image-reference "app:v1"',
      'args "/app" "--fast"',
      'env LANG="C"',
      'debug no',
      'network "none"',
      'output "closed"',
      'restart "never"',
      'isolation "runc"',
      'capabilities none',
      'mounts none',
      'the launch is closed: nothing may follow',
    ])
    expect(say(records[0] as never)).toMatchObject({ register: 'PCR 13', type: 'launch', proof: 'proved' })
  })

  test('C02 a record with another content, or without a digest of the bank, contradicts', () => {
    const [record] = records
    if (record === undefined) throw new Error('no record')
    const other = { ...record, content: { ...record.content, value: record.content.value.with(-1, 0) } }
    expect(say(other)).toMatchObject({ proof: 'contradiction', sentence: 'the content is not the one measured' })
    expect(describeCelRecord(record, 'sha384', nodeCrypto)).toMatchObject({
      proof: 'contradiction',
      sentence: 'there is no sha384 digest',
    })
  })

  test('what cannot be read is bytes', () => {
    const at = { space: 'pcr', register: LAUNCH_REGISTER.pcr } as const
    for (const type of [118, 80, 82, 99])
      expect(say(celRecord(at, { type, value: Uint8Array.of(0xee, 1) }, ['sha256'], nodeCrypto))).toMatchObject({
        proof: 'proved',
        sentence: 'measured 2 bytes: ee01',
      })
  })
})

describe.skipIf(missingVectors())('recorded logs in words', () => {
  test('of a Confidential Space guest', () => {
    const log = parseCel(new Uint8Array(Buffer.from(readVectorText('gce/cel/agent-cel.b64'), 'base64')))
    const said = log.map((r) => describeCelRecord(r, 'sha384', nodeCrypto))
    expect(said[0]).toMatchObject({
      register: 'RTMR 3',
      proof: 'proved',
      sentence: expect.stringMatching(/^ImageRef "/),
    })
    expect(said.map((s) => s.sentence)).toEqual(
      expect.arrayContaining(['RestartPolicy "Never"', 'memory monitoring is off', 'GpuCCMode "ON"']),
    )
    expect(said.at(-1)?.sentence).toBe('the launch is closed: nothing may follow')
  })

  test('of a host', () => {
    const said = parseCel(readVector('gce/cel/host-cel_launch_event_log.bin')).map((r) =>
      describeCelRecord(r, 'sha256', nodeCrypto),
    )
    expect(said.map((s) => [s.register, s.sentence])).toEqual([
      ['PCR 19', `the host has CPU ${'42'.repeat(16)}`],
      ['PCR 19', 'the launch is closed: nothing may follow'],
    ])
  })

  test('of our own boot', () => {
    const said = parseImaLog(readVector('vm-boot/ima.bin')).map((e) => describeImaEvent(e, nodeCrypto))
    expect(said[0]).toMatchObject({
      register: 'PCR 10',
      proof: 'proved',
      sentence: expect.stringContaining('the boot before it'),
    })
  })
})
