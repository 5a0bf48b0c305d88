import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { readConfig, readTickets } from './config.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vsa-config-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
let files = 0

function written(content: unknown): string {
  const file = path.join(directory, `${++files}.json`)
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

const LEAST = { agreement: 'a.json', imageLayout: 'image', results: 'out', state: '/var/lib/agent' }
const refusal = (message: string) =>
  expect.objectContaining({ code: 'config.malformed', message: expect.stringContaining(message) })

describe('a configuration', () => {
  test('takes paths from beside its file, and safe values for what it leaves out', async () => {
    expect(await readConfig(written({ ...LEAST, data: { 'clinic-a/patients/key': 'a.age' } }))).toEqual({
      evidence: 'tpm',
      tdQuoteService: 'http://169.254.169.254/acc/tdquote',
      tsm: '/sys/kernel/config/tsm/report',
      ccel: '/sys/firmware/acpi/tables/data/CCEL',
      tpm: 'device',
      bootLog: '/sys/kernel/security/tpm0/binary_bios_measurements',
      imaLog: '/sys/kernel/security/ima/binary_runtime_measurements',
      agreement: path.join(directory, 'a.json'),
      image: { kind: 'layout', directory: path.join(directory, 'image') },
      data: { 'clinic-a/patients/key': path.join(directory, 'a.age') },
      results: path.join(directory, 'out'),
      state: '/var/lib/agent',
      workspace: tmpdir(),
      overrides: {},
      limits: { memoryBytes: 2 ** 31, processes: 256 },
      waitSeconds: 3600,
      timeoutSeconds: 30,
    })
  })

  test('names the proxy of a pull itself: no environment is read', async () => {
    const { imageLayout: _, ...rest } = LEAST
    const pull = { reference: `registry.example/app@sha256:${'a'.repeat(64)}`, policy: 'policy.json' }
    const proxy = { https: 'http://proxy.example:3128', noProxy: '.internal' }
    const read = async (more: object) => (await readConfig(written({ ...rest, pull: { ...pull, ...more } }))).image
    expect(await read({ proxy, leastRate: 0 })).toMatchObject({ proxy, leastRate: 0 })
    process.env['HTTPS_PROXY'] = 'http://elsewhere.example'
    try {
      expect(await read({})).not.toHaveProperty('proxy')
    } finally {
      delete process.env['HTTPS_PROXY']
    }
    await expect(read({ proxy: { ...proxy, all: 'x' } })).rejects.toThrow(refusal('all'))
  })

  test.each<[string, unknown, string]>([
    ['a member that nobody knows', { ...LEAST, waitSecond: 1 }, 'waitSecond'],
    ['G01 a broker beside those of the agreement', { ...LEAST, brokers: ['https://127.0.0.1'] }, 'brokers'],
    ['H14 mounts', { ...LEAST, overrides: { mounts: ['/:/host'] } }, 'mounts'],
    ['H14 capabilities', { ...LEAST, overrides: { capabilities: ['CAP_SYS_ADMIN'] } }, 'capabilities'],
    ['H14 a user', { ...LEAST, overrides: { user: '0' } }, 'user'],
    ['H14 devices', { ...LEAST, overrides: { devices: ['/dev/mem'] } }, 'devices'],
    ['G03 an image by tag', { ...LEAST, overrides: { image: 'app:latest' } }, 'overrides.image'],
    ['a data name that is no resource', { ...LEAST, data: { '../key': 'a.age' } }, 'data'],
    ['a member twice', '{"agreement":"a","agreement":"b"}', 'agreement'],
    ['D02 a simulator in place of TPM or CPU', { ...LEAST, evidence: 'simulated' }, 'evidence'],
    ['no agreement', { ...LEAST, agreement: undefined }, 'agreement'],
  ])('refuses %s', async (_what, content, message) => {
    await expect(readConfig(written(content))).rejects.toThrow(refusal(message))
  })

  test('that cannot be read is named', async () => {
    await expect(readConfig(path.join(directory, 'none.json'))).rejects.toThrow(refusal('none.json'))
  })
})

describe('tickets', () => {
  test('are secrets: they print as such', async () => {
    const tickets = await readTickets(written({ 'clinic-a': 't-canary' }))
    expect(Buffer.from(tickets.get('clinic-a')?.expose() ?? []).toString()).toBe('t-canary')
    expect(inspect(tickets) + JSON.stringify([...tickets])).not.toContain('canary')
  })

  test.each<[string, unknown]>([
    ['of an owner who cannot be', { 'Clinic A': 't' }],
    ['that is empty', { 'clinic-a': '' }],
    ['in a list', ['t']],
  ])('refuses one %s', async (_what, content) => {
    await expect(readTickets(written(content))).rejects.toThrow(refusal('tickets'))
  })
})
