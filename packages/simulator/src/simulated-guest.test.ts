import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Tpm, toKeyObject } from '@vouchsafe/tpm'
import { TEMPLATES } from '@vouchsafe/tpm/codec'
import { EV, eventTypeName, parseTcgLog } from '@vouchsafe/tpm/eventlog'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SIMULATOR_OID as REFUSED_OID } from '@vouchsafe/core'
import { SIMULATOR_OID, type SimulatedGuest, SimulatorManufacturer, startSimulatedGuest } from './index.ts'

const scratch = mkdtempSync(path.join(tmpdir(), 'vsim-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
let directories = 0
const newDirectory = () => path.join(scratch, String(++directories))

describe('a simulated guest', () => {
  const directory = newDirectory()
  let guest: SimulatedGuest

  beforeAll(async () => {
    guest = await startSimulatedGuest({ directory })
  })
  afterAll(async () => {
    await guest.stop()
  })

  test.each([
    ['RSA', 0x01c00002, TEMPLATES.ekRsa2048],
    ['EC', 0x01c0000a, TEMPLATES.ekEccP256],
  ])('has an %s endorsement key with a certificate from its manufacturer alone', async (_kind, index, template) => {
    await using tpm = await Tpm.open(guest.tpm)
    await using key = await tpm.createPrimary({ template, hierarchy: 'endorsement' })
    const certificate = new X509Certificate(await tpm.nvRead(index))
    expect(certificate.publicKey.equals(toKeyObject(key.public))).toBe(true)
    expect(certificate.verify(new X509Certificate(guest.manufacturerCertificate).publicKey)).toBe(true)
    expect(certificate.verify(new X509Certificate(SimulatorManufacturer.create().certificate).publicKey)).toBe(false)
    expect(certificate.keyUsage).toEqual(['2.23.133.8.1'])
    expect(certificate.subjectAltName).toContain('id:00001014')
  })

  test('leaves a log that tpm2_eventlog replays to the registers that tpm2_pcrread reads', () => {
    const env = { ...process.env, TPM2TOOLS_TCTI: guest.tpm }
    const replayed = execFileSync('tpm2_eventlog', [guest.bootLog], { encoding: 'utf8' })
    const read = execFileSync('tpm2_pcrread', ['sha256:0,1,2,3,4,5,6,7,8,9'], { encoding: 'utf8', env })
    for (const [register, value] of Object.entries(guest.registers)) {
      expect(read.toLowerCase()).toMatch(new RegExp(`\\b${register} *: 0x${value}`))
      expect(replayed.slice(replayed.lastIndexOf('sha256:'))).toMatch(new RegExp(`\\b${register} *: 0x${value}`))
    }
  })

  test('logs what firmware, boot loader and kernel log', () => {
    const { events } = parseTcgLog(readFileSync(guest.bootLog))
    expect([...new Set(events.map((e) => eventTypeName(e.type)))]).toEqual([
      'EV_S_CRTM_VERSION',
      'EV_EFI_PLATFORM_FIRMWARE_BLOB2',
      'EV_EFI_VARIABLE_DRIVER_CONFIG',
      'EV_EFI_VARIABLE_BOOT',
      'EV_EFI_ACTION',
      'EV_SEPARATOR',
      'EV_EFI_GPT_EVENT',
      'EV_EFI_VARIABLE_AUTHORITY',
      'EV_EFI_BOOT_SERVICES_APPLICATION',
      'EV_IPL',
      'EV_EVENT_TAG',
    ])
    expect(events.filter((e) => e.type === EV.SEPARATOR).map((e) => e.register)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  test('has its platform hierarchy locked once it is booted', async () => {
    await using tpm = await Tpm.open(guest.tpm)
    await expect(tpm.nvUndefine({ index: 0x01c00002, hierarchy: 'platform' })).rejects.toMatchObject({
      code: 'tpm.response',
    })
  })

  test('counts a reboot, and another command line shows in the registers of boot loader and kernel alone', async () => {
    const before = { ...guest.registers }
    const clock = async () => {
      await using tpm = await Tpm.open(guest.tpm)
      return (await tpm.readClock()).clockInfo.resetCount
    }
    const resets = await clock()
    await guest.reboot({ kernelCommandLine: 'init=/bin/sh' })
    expect(await clock()).toBe(resets + 1)
    const changed = Object.keys(before).filter((register) => before[register] !== guest.registers[register])
    expect(changed).toEqual(['8', '9'])
    await guest.reboot({})
    expect(guest.registers).toEqual(before)
  })
})

test('two guests share no key, and each has a root of its own unless told', async () => {
  const manufacturer = SimulatorManufacturer.create()
  await using a = await startSimulatedGuest({ directory: newDirectory(), manufacturer })
  await using b = await startSimulatedGuest({ directory: newDirectory(), manufacturer })
  await using c = await startSimulatedGuest({ directory: newDirectory() })
  const names = await Promise.all(
    [a, b, c].map(async (guest) => {
      await using tpm = await Tpm.open(guest.tpm)
      await using key = await tpm.createPrimary({ template: TEMPLATES.ekEccP256, hierarchy: 'endorsement' })
      return Buffer.from(key.name).toString('hex')
    }),
  )
  expect(new Set(names).size).toBe(3)
  expect(a.manufacturerCertificate).toEqual(b.manufacturerCertificate)
  expect(c.manufacturerCertificate).not.toEqual(a.manufacturerCertificate)
})

test('marks its certificates with the very identifier that production stores refuse', () => {
  expect(SIMULATOR_OID).toBe(REFUSED_OID)
  const dotted = `2.25.${BigInt('0xf8c3be4b47f345f2984f5e1cfdb7f444')}`
  expect(SIMULATOR_OID).toBe(dotted)
})

test('stopping ends swtpm and leaves nothing', async () => {
  const directory = newDirectory()
  const guest = await startSimulatedGuest({ directory })
  await guest.stop()
  await guest.stop()
  expect(existsSync(directory)).toBe(false)
  await expect(Tpm.open(guest.tpm)).rejects.toMatchObject({ code: 'tpm.unavailable' })
})

test('a guest dies with the process that started it, also when that is killed', async () => {
  const directory = newDirectory()
  const starter = `
    import { startSimulatedGuest } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)}
    await startSimulatedGuest({ directory: ${JSON.stringify(directory)} })
    process.kill(process.pid, 'SIGKILL')`
  expect(() =>
    execFileSync(process.execPath, ['--input-type=module-typescript', '-e', starter], { stdio: 'pipe' }),
  ).toThrow(expect.objectContaining({ signal: 'SIGKILL' }))
  const isOpen = () =>
    Tpm.open(`swtpm:path=${directory}/tpm`).then(
      (tpm) => tpm.close().then(() => true),
      () => false,
    )
  await expect.poll(isOpen, { timeout: 5000 }).toBe(false)
})

test.each([
  [
    'a directory that holds something',
    'directory.in-use',
    () => {
      const directory = newDirectory()
      mkdirSync(directory)
      writeFileSync(path.join(directory, 'x'), '')
      return directory
    },
  ],
  ['a path too long for a socket', 'directory.too-long', () => path.join(newDirectory(), 'x'.repeat(100))],
])('refuses %s', async (_what, code, make) => {
  await expect(startSimulatedGuest({ directory: make() })).rejects.toMatchObject({ code })
})
