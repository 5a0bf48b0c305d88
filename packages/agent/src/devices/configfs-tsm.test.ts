import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { evidence, fromBase64Url } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import * as kit from '@vouchsafe/testkit'
import { expect, describe, test } from 'vitest'
import { HardwareAttester } from '../attester/hardware-attester.ts'
import { FakeTsm } from '../testing/fake-tsm.ts'
import { kernelTsm, readTsmReport } from './configfs-tsm.ts'

const data = new Uint8Array(64).map((_, i) => i)
const other = new Uint8Array(64).fill(0xee)
const amd = kit.makeAmdAuthorities('Milan')
const vek = kit.makeVek({ authorities: amd })
const intel = kit.makeIntelAuthorities()
const pck = kit.makePck({ authorities: intel })
const table = kit.encodeSnpCertificateTable([[evidence.SNP_TABLE_ENTRIES.vcek, vek.der]])
const snp = () =>
  new FakeTsm({
    provider: 'sev_guest',
    report: (reportData) => kit.makeSnpReport({ product: 'Milan', reportData }, vek),
    auxblob: table,
  })
const tdx = () =>
  new FakeTsm({
    provider: 'tdx_guest',
    report: (reportData) => kit.makeQuote({ authorities: intel, pck, td: { reportData } }),
  })
const noPause = async () => undefined
const refusal = (code: string) => expect.objectContaining({ code })
const trouble = (code: string) => Object.assign(new Error(code), { code })

describe('KB-02 the kernel’s reports of a CPU', () => {
  test('SEV-SNP: the report is over our bytes, with the host’s certificates beside it', async () => {
    const tsm = snp()
    const { provider, outblob, auxblob } = await readTsmReport(tsm, data, noPause)
    expect(provider).toBe('sev_guest')
    expect(evidence.parseSnpReport(outblob).reportData).toEqual(data)
    expect(auxblob).toEqual(table)
    expect(tsm).toMatchObject({ open: 0, attempts: 1 })
  })

  test('TDX: the quote is over our bytes', async () => {
    const { outblob } = await readTsmReport(tdx(), data, noPause)
    expect(evidence.parseTdReport(evidence.parseDcapQuote(outblob).body, 'td10').reportData).toEqual(data)
  })

  test.each(['read outblob', 'read provider', 'read auxblob', 'write inblob'])(
    'A06 another process that writes before %s: its report is thrown away, and ours is asked for anew',
    async (step) => {
      const tsm = snp()
      let once = true
      tsm.before = (now, entry) => {
        if (now !== step || !once) return
        once = false
        tsm.write(entry, 'inblob', other)
      }
      const { outblob } = await readTsmReport(tsm, data, noPause)
      expect(evidence.parseSnpReport(outblob).reportData).toEqual(data)
      expect(tsm).toMatchObject({ open: 0, attempts: 2 })
    },
  )

  test('another process that never lets go ends it, and no report is handed on', async () => {
    const tsm = snp()
    tsm.before = (now, entry) => {
      if (now === 'read outblob') tsm.write(entry, 'inblob', other)
    }
    await expect(readTsmReport(tsm, data, noPause)).rejects.toThrow(refusal('tsm.contended'))
    expect(tsm).toMatchObject({ open: 0, attempts: 5 })
  })

  test.each(['EBUSY', 'EAGAIN', 'ETIMEDOUT'])('a quoting service that answers %s is asked again', async (code) => {
    const tsm = tdx()
    let left = 2
    tsm.before = (now) => {
      if (now === 'read outblob' && left-- > 0) throw trouble(code)
    }
    await readTsmReport(tsm, data, noPause)
    expect(tsm).toMatchObject({ open: 0, attempts: 3 })
  })

  test('what the kernel refuses for good is told as such', async () => {
    const tsm = tdx()
    tsm.before = (now) => {
      if (now === 'read outblob') throw trouble('EIO')
    }
    await expect(readTsmReport(tsm, data, noPause)).rejects.toThrow(refusal('tsm.unavailable'))
    const absent = kernelTsm('/nonexistent/tsm')
    await expect(readTsmReport(absent, data, noPause)).rejects.toThrow(refusal('tsm.unavailable'))
    const arm = new FakeTsm({ provider: 'arm_cca_guest', report: () => new Uint8Array(8) })
    await expect(readTsmReport(arm, data, noPause)).rejects.toThrow(refusal('tsm.provider'))
    expect([tsm.open, arm.open]).toEqual([0, 0])
  })

  test('on disk: an entry has a name of its own, and goes with its files', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'vs-tsm-'))
    try {
      const tsm = kernelTsm(directory)
      const [a, b] = [tsm.makeEntry(), tsm.makeEntry()]
      expect(a).not.toBe(b)
      tsm.write(a, 'inblob', data)
      expect(new Uint8Array(readFileSync(path.join(a, 'inblob')))).toEqual(data)
      writeFileSync(path.join(a, 'outblob'), data)
      expect(tsm.read(a, 'outblob')).toEqual(data)
      tsm.removeEntry(b)
      expect(existsSync(b)).toBe(false)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('the attester of a CPU', () => {
  const binding = new Uint8Array(32).fill(7)
  const launchLog = Uint8Array.of(1, 2, 3)

  test.each([
    ['snp', snp],
    ['tdx', tdx],
  ] as const)(
    '%s: evidence commits to request and launch, and names the machine as brokers will',
    async (format, make) => {
      const attester = new HardwareAttester(make())
      const shown = await attester.collect(binding, launchLog)
      const raw = shown.format === 'snp' ? shown.report : shown.quote
      const expected = evidence.hardwareReportData(binding, launchLog, nodeCrypto)
      expect(Buffer.from(fromBase64Url(raw)).includes(Buffer.from(expected))).toBe(true)
      expect(shown.format).toBe(format)
      expect(await evidence.hardwareMachineId(shown, nodeCrypto)).toBe(await attester.machine())
      if (shown.format === 'snp') expect(fromBase64Url(shown.vek ?? '')).toEqual(vek.der)
    },
  )
})
