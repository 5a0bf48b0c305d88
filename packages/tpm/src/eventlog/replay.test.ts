import { haveVectors, missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../core/node/crypto.ts'
import type { HashName } from '../verify/crypto.ts'
import { EV } from './event-types.ts'
import { completeExitBootServices } from './exit-boot-services.ts'
import { toHex } from './hex.ts'
import { measuredEvent, noActionEvent } from './measured-event.ts'
import { parseCcelLog, parseTcgLog } from './parse-tcg-log.ts'
import { replayTcgLog, replayTcgLogWith } from './replay.ts'
import type { Replay } from './replay.ts'
import { startupLocalityData } from './startup-locality.ts'
import { newTcgLog } from './write-tcg-log.ts'

const refused = (part: string) =>
  expect.objectContaining({ code: 'evidence.log', message: expect.stringContaining(part) })
const replayed = (replay: Replay) => Object.fromEntries([...replay.registers].map(([i, value]) => [i, toHex(value)]))

const version = measuredEvent({ register: 0, type: EV.S_CRTM_VERSION, data: Uint8Array.of(1) }, ['sha256'], nodeCrypto)
const locality = (data: Uint8Array, register: number | 'none' = 0) => noActionEvent(register, data, ['sha256'])
const replayOf = (...events: Parameters<typeof newTcgLog>[1]) =>
  replayTcgLog(newTcgLog(['sha256'], events), 'sha256', nodeCrypto)

describe('the startup locality', () => {
  test.each([0, 3, 4] as const)('C06 of %i is the last byte of what PCR 0 starts with', (value) => {
    const start = new Uint8Array(32).with(31, value)
    const digest = nodeCrypto.digest('sha256', start, nodeCrypto.digest('sha256', Uint8Array.of(1)))
    expect(replayOf(locality(startupLocalityData(value)), version).registers.get(0)).toEqual(digest)
  })

  test.each([
    ['has another value', [locality(startupLocalityData(3).with(16, 2)), version], 'is 2, wanted 0, 3 or 4'],
    ['is cut short', [locality(startupLocalityData(3).subarray(0, 16)), version], '16 bytes, wanted 17'],
    ['has a byte left over', [locality(Uint8Array.of(...startupLocalityData(3), 0)), version], '18 bytes'],
    ['is repeated', [locality(startupLocalityData(3)), locality(startupLocalityData(3)), version], 'is repeated'],
    ['comes after PCR 0 was extended', [version, locality(startupLocalityData(3))], 'comes after'],
    ['stands in another register', [locality(startupLocalityData(3), 1), version], 'does not stand in PCR 0'],
    ['stands in no register', [locality(startupLocalityData(3), 'none'), version], 'does not stand in PCR 0'],
  ])('C06 is refused when it %s', (_why, events, part) => {
    expect(() => replayOf(...events)).toThrow(refused(part))
  })

  test('C06 counts only as an event of type EV_NO_ACTION', () => {
    const posing = measuredEvent({ register: 0, type: EV.ACTION, data: startupLocalityData(3) }, ['sha256'], nodeCrypto)
    const start = nodeCrypto.digest('sha256', new Uint8Array(32), posing.digests.get('sha256')!)
    expect(replayOf(posing).registers.get(0)).toEqual(start)
  })
})

test('C04 a log that extends nothing is refused, not replayed to zero', () => {
  expect(() => replayOf()).toThrow(refused('extends no register'))
  expect(() => replayOf(locality(startupLocalityData(3)))).toThrow(refused('extends no register'))
})

test('B06 a bank that the log does not have is refused', () => {
  const log = newTcgLog(['sha256'], [version])
  expect(() => replayTcgLog(log, 'sha384', nodeCrypto)).toThrow(refused('no sha384 bank, only sha256'))
})

describe.skipIf(missingVectors())('recorded logs replay to what their registers held', () => {
  type Expected = { file: string; banks: Record<string, Record<string, string>> }
  const logs: Expected[] = haveVectors ? Object.values(JSON.parse(readVectorText('gce/tpm/expected.json')).logs) : []

  test.each(logs)('$file', ({ file, banks }) => {
    const log = parseTcgLog(readVector(`gce/${file}`))
    for (const [bank, registers] of Object.entries(banks))
      expect(replayed(replayTcgLog(log, bank.toLowerCase() as HashName, nodeCrypto))).toEqual(registers)
  })

  test('seed-systems/tpm/gce-eventlog.bin', () => {
    const expected = JSON.parse(readVectorText('seed-systems/tpm/gce-eventlog.expected.json')).pcrSha256
    const log = parseTcgLog(readVector('seed-systems/tpm/gce-eventlog.bin'))
    expect(log.events.length).toBe(121)
    for (const [register, value] of Object.entries(replayed(replayTcgLog(log, 'sha256', nodeCrypto))))
      expect([register, value]).toEqual([register, expected[register]])
  })

  test.each(['windows_gcp_shielded_vm', 'linux_tpm12'])('%s', (name) => {
    const { Log } = JSON.parse(readVectorText(`gce/tpm/eventlogs-legacy/${name}.json`))
    const log = parseTcgLog(Buffer.from(Log.Raw, 'base64'))
    const held = new Map<number, string>(
      Log.PCRs.map((pcr: { Index: number; Digest: string }) => [
        pcr.Index,
        Buffer.from(pcr.Digest, 'base64').toString('hex'),
      ]),
    )
    for (const [register, value] of replayTcgLog(log, 'sha1', nodeCrypto).registers)
      expect([register, toHex(value)]).toEqual([register, held.get(register)])
  })

  const rtmrs = haveVectors ? JSON.parse(readVectorText('gce/tpm/expected.json')).ccel : {}
  test.each([
    ['cos-113-intel-tdx.bin', rtmrs['cos-113-intel-tdx.bin']?.rtmr],
    ['cos-113-intel-tdx-dupe-separator.bin', rtmrs['cos-113-intel-tdx-dupe-separator.bin']?.rtmr],
    ['cos-113-intel-tdx-dupe-separator-unpadded.bin', rtmrs['cos-113-intel-tdx-dupe-separator.bin']?.rtmr],
    ['CCEL_unpadded.data.bin', rtmrs['CCEL_unpadded.data.bin']?.derivedRtmr],
    ['event_log.bin', rtmrs['event_log.bin']?.derivedRtmr],
  ])('gce/ccel/%s', (file, rtmr: Record<string, string>) => {
    const { registers } = replayTcgLog(parseCcelLog(readVector(`gce/ccel/${file}`)), 'sha384', nodeCrypto)
    for (const [i, value] of Object.entries(rtmr)) {
      const replayedValue = registers.get(Number(i) + 1) ?? new Uint8Array(48)
      expect([i, toHex(replayedValue)]).toEqual([i, value])
    }
  })

  const table = haveVectors ? readVectorText('coco/INDEX.md').split('\n') : []
  test.each(['data', 'data_ovmf', 'data_grub', 'data_gcp', 'data_grub_gke', 'AAEL_alibabacloud', 'data_csv'])(
    'coco/eventlog/CCEL_%s',
    (name) => {
      const row = table
        .find((line) => line.startsWith(`| \`CCEL_${name}\``))!
        .split('|')
        .slice(2, 6)
      const log = parseCcelLog(readVector(`coco/eventlog/CCEL_${name}`))
      const sm3 = (data: Uint8Array) => new Uint8Array(createHash('sm3').update(data).digest())
      const { registers } =
        name === 'data_csv' ? replayTcgLogWith(log, 'sm3_256', sm3) : replayTcgLog(log, 'sha384', nodeCrypto)
      const values = [1, 2, 3, 4].map((i) => toHex(registers.get(i) ?? new Uint8Array()))
      expect(values).toEqual(row.map((cell) => (cell.trim() === '0' ? '' : cell.trim())))
    },
  )
})

describe.skipIf(missingVectors())('a log whose last events came too late', () => {
  const log = () => parseTcgLog(readVector('gce/tpm/eventlogs-legacy/ebs_event_missing_eventlog'))
  const pcr5 = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
  const HELD = '31245808d6d35849bc394f6343f2b3ff908ed5e3'

  test('does not replay to PCR 5 as it stands', () => {
    expect(replayed(replayTcgLog(log(), 'sha1', nodeCrypto))['5']).toBe('e5781a2fd49c23a33b16bf0ba5f10efa1aa5d43c')
  })

  test('is completed by the two missing events, and by nothing else', () => {
    const completed = completeExitBootServices(log(), 'sha1', pcr5(HELD), nodeCrypto)!
    expect(completed.added).toEqual(['Exit Boot Services Invocation', 'Exit Boot Services Returned with Success'])
    expect(replayed(replayTcgLog(completed.log, 'sha1', nodeCrypto))['5']).toBe(HELD)
    expect(completed.log.events.map((event) => event.position)).toEqual(completed.log.events.map((_, i) => i))
  })

  test('is left alone when PCR 5 already fits or no ending fits', () => {
    const asIs = pcr5('e5781a2fd49c23a33b16bf0ba5f10efa1aa5d43c')
    expect(completeExitBootServices(log(), 'sha1', asIs, nodeCrypto)).toBeUndefined()
    expect(completeExitBootServices(log(), 'sha1', asIs.with(0, 0), nodeCrypto)).toBeUndefined()
  })

  test('B06 is not verified in a bank that it does not have', () => {
    const sha256 = pcr5('6caea123fa6111305ee624e452e269ad14ac522ab8bf0c88e11616de4c222f7d')
    expect(() => completeExitBootServices(log(), 'sha256', sha256, nodeCrypto)).toThrow(refused('no sha256 bank'))
  })
})
