import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { GuestClient } from '@vouchsafe/client'
import { evidence } from '@vouchsafe/core'
import * as kit from '@vouchsafe/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HardwareWorld, MEASUREMENT, startHardwareWorld } from '../../../broker/src/testing/hardware-world.ts'
import { planLaunch } from '../launch/plan-launch.ts'
import { BrokerSession } from '../session/broker-session.ts'
import { Checkpoints } from '../session/checkpoints.ts'
import { FakeTsm } from '../testing/fake-tsm.ts'
import { HardwareAttester } from './hardware-attester.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vsa-cpu-'))
const measurement = Uint8Array.from(Buffer.from(MEASUREMENT, 'hex'))
let world: HardwareWorld
beforeAll(async () => {
  world = await startHardwareWorld()
})
afterAll(async () => {
  await world?.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** Machines whose kernels make reports as their CPUs would. */
function machines(): Readonly<Record<'snp' | 'tdx', FakeTsm>> {
  const { vek, intel, pck } = world.vendors
  return {
    snp: new FakeTsm({
      provider: 'sev_guest',
      report: (reportData) => kit.makeSnpReport({ product: 'Milan', measurement, reportData }, vek),
      auxblob: kit.encodeSnpCertificateTable([[evidence.SNP_TABLE_ENTRIES.vcek, vek.der]]),
    }),
    tdx: new FakeTsm({
      provider: 'tdx_guest',
      report: (reportData) => kit.makeQuote({ authorities: intel, pck, td: { mrTd: measurement, reportData } }),
    }),
  }
}

async function sessionOn(tsm: FakeTsm) {
  const cpu = new HardwareAttester(tsm)
  const launchLog = cpu.launchLog(planLaunch(world.agreement, {}, 'runc'))
  const [owner] = world.agreement.body.owners
  if (owner === undefined) throw new Error('no owner')
  const pin = { ...owner.broker, url: world.clinic.pin.url }
  const checkpoints = await Checkpoints.open(path.join(directory, `${tsm.attempts}-${performance.now()}.json`))
  return new BrokerSession({
    owner,
    client: new GuestClient(pin, { timeoutMs: 20_000 }),
    agreement: world.agreement,
    machine: await cpu.machine(),
    collect: (binding) => cpu.collect(binding, launchLog),
    checkpoints,
    signal: new AbortController().signal,
  })
}

describe('KB-02 an agent on a CPU, from the kernel’s report to the secret', () => {
  test.each(['snp', 'tdx'] as const)(
    '%s: attests without enrolment, is given the secret, and renews its lease',
    async (format) => {
      const session = await sessionOn(machines()[format])
      const attested = await session.attest()
      const { secrets, lease } = await session.release(attested, ['patients/key'])
      expect(Buffer.from(secrets.get('patients/key')?.expose() ?? []).toString()).toBe('data key')
      expect((await session.renew(lease.id)).lease.id).toBe(lease.id)
      session.close()
    },
  )

  test('D12 a guest of another measurement is refused', async () => {
    const { vek } = world.vendors
    const report = (reportData: Uint8Array) => kit.makeSnpReport({ product: 'Milan', reportData }, vek)
    const session = await sessionOn(new FakeTsm({ provider: 'sev_guest', report }))
    await expect(session.attest()).rejects.toThrow(expect.objectContaining({ code: 'appraisal.measurement' }))
    session.close()
  })
})

test('a TD sends its boot log where there is one, and does without where there is none', async () => {
  const { tdx } = machines()
  const file = path.join(directory, 'CCEL')
  const collect = (bootLog: string) =>
    new HardwareAttester(tdx, bootLog).collect(new Uint8Array(32), new Uint8Array([1]))
  expect(await collect(file)).not.toHaveProperty('bootLog')
  writeFileSync(file, 'a log')
  expect(await collect(file)).toMatchObject({ format: 'tdx', bootLog: Buffer.from('a log').toString('base64url') })
  await expect(collect(directory)).rejects.toMatchObject({ code: 'config.malformed' })
})
