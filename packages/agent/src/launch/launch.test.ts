import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Agreement } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type SimulatedGuest, startSimulatedGuest } from '@vouchsafe/simulator'
import { Tpm } from '@vouchsafe/tpm'
import { parseCel, readLaunch, replayCel } from '@vouchsafe/tpm/eventlog'
import type { Launch } from '@vouchsafe/tpm/eventlog'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { measureLaunch } from './measure-launch.ts'
import { type LaunchOverrides, planLaunch } from './plan-launch.ts'

const digest = (c: string) => `sha256:${c.repeat(64)}`
const agreement = {
  digest: digest('a'),
  body: {
    workload: { image: digest('b') },
    launch: { args: ['/app/run'], env: { MODE: 'strict' }, debug: false, network: 'none', output: 'closed' },
  },
} as unknown as Agreement

const AGREED: Launch = {
  agreement: digest('a'),
  image: digest('b'),
  imageReference: digest('b'),
  args: ['/app/run'],
  env: { MODE: 'strict' },
  debug: false,
  network: 'none',
  output: 'closed',
  restart: 'never',
  isolation: 'runc',
  capabilities: [],
  mounts: [],
}

describe('a launch is planned', () => {
  test('as agreed, where the operator asks for nothing else', () => {
    expect(planLaunch(agreement, {}, 'runc')).toEqual(AGREED)
  })

  test.each<[string, LaunchOverrides, Partial<Launch>]>([
    ['image', { image: digest('c') }, { image: digest('c'), imageReference: digest('c') }],
    ['arguments', { args: ['/bin/sh'] }, { args: ['/bin/sh'] }],
    ['a further variable', { env: { DUMP: '1' } }, { env: { MODE: 'strict', DUMP: '1' } }],
    ['another value', { env: { MODE: 'lax' } }, { env: { MODE: 'lax' } }],
    ['debug', { debug: true }, { debug: true }],
    ['network', { network: 'host' }, { network: 'host' }],
    ['output', { output: 'log' }, { output: 'log' }],
  ])('H14 with the operator’s %s in it, for all to see', (_what, overrides, changed) => {
    expect(planLaunch(agreement, overrides, 'runc')).toEqual({ ...AGREED, ...changed })
  })

  test.each([
    'LD_PRELOAD',
    'LD_LIBRARY_PATH',
    'NODE_OPTIONS',
    'PYTHONPATH',
    'BASH_ENV',
    'HTTPS_PROXY',
    'https_proxy',
    'PATH',
    'NODE_EXTRA_CA_CERTS',
    'GCONV_PATH',
    'JAVA_TOOL_OPTIONS',
    'PERL5LIB',
    'RUBYOPT',
    'SSL_CERT_FILE',
    'OPENSSL_CONF',
  ])('H15 never with a variable %s, which is as good as code', (name) => {
    expect(() => planLaunch(agreement, { env: { [name]: 'x' } }, 'runc')).toThrow(
      expect.objectContaining({ code: 'launch.override', message: expect.stringContaining(name) }),
    )
  })
})

describe('a launch is measured', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'vsl-'))
  let guest: SimulatedGuest
  beforeAll(async () => {
    guest = await startSimulatedGuest({ directory: path.join(directory, 'g') })
  })
  beforeEach(() => guest.reboot())
  afterAll(async () => {
    await guest?.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test('CS-17 CS-18 fact by fact, in every bank, and reads back from its log', async () => {
    await using tpm = await Tpm.open(guest.tpm)
    const log = parseCel(await measureLaunch(tpm, AGREED))
    for (const bank of ['sha1', 'sha256', 'sha384', 'sha512'] as const) {
      const { registers } = replayCel(log, bank, nodeCrypto)
      expect((await tpm.pcrRead(bank, [13])).values.get(13)).toEqual(registers.get(13))
      expect(readLaunch(log, bank, nodeCrypto)).toEqual(AGREED)
    }
  })

  test('H18 C08 once between two resets: the second time nothing is extended', async () => {
    await using tpm = await Tpm.open(guest.tpm)
    await measureLaunch(tpm, AGREED)
    const before = (await tpm.pcrRead('sha256', [13])).values.get(13)
    await expect(measureLaunch(tpm, { ...AGREED, args: ['/bin/sh'] })).rejects.toMatchObject({
      code: 'launch.measured-before',
    })
    expect((await tpm.pcrRead('sha256', [13])).values.get(13)).toEqual(before)
  })

  test.each(['sha1', 'sha512'] as const)(
    'not when something else was measured into the %s bank alone',
    async (hash) => {
      await using tpm = await Tpm.open(guest.tpm)
      await tpm.pcrExtend(13, [{ hash, digest: new Uint8Array(hash === 'sha1' ? 20 : 64).fill(1) }])
      await expect(measureLaunch(tpm, AGREED)).rejects.toMatchObject({ code: 'launch.measured-before' })
      expect((await tpm.pcrRead('sha256', [13])).values.get(13)).toEqual(new Uint8Array(32))
    },
  )
})
