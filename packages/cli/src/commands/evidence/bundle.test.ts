import * as kit from '@vouchsafe/testkit'
import { afterAll, beforeAll, expect, describe, test } from 'vitest'
import { answersOf, makeVendors } from '../../../../broker/src/testing/hardware-world.ts'
import { CommandLine } from '../testing/command-line.ts'

const vendors = makeVendors()
const reportData = new Uint8Array(64).fill(0x5a)
const nonce = '5a'.repeat(64)
let line: CommandLine
let server: kit.FaultyServer

beforeAll(async () => {
  server = await kit.startFaultyServer(answersOf(vendors))
  line = new CommandLine()
  const { amd, intel, vek, pck } = vendors
  line.write('roots.pem', kit.toPem(amd.ark, amd.ask, intel.root))
  line.write('report.bin', kit.makeSnpReport({ product: 'Milan', reportData }, vek))
  line.write('quote.bin', kit.makeQuote({ authorities: intel, pck, td: { reportData } }))
  line.write(
    'other.bin',
    kit.makeQuote({
      authorities: intel,
      pck: kit.makePck({ authorities: intel, fmspc: '00606a000000' }),
      td: { reportData },
    }),
  )
})
afterAll(async () => {
  line.remove()
  await server.close()
})

const ROOTS = ['--trust-root', 'roots.pem'] as const
const bundle = (...more: readonly string[]) =>
  line.run(
    'evidence',
    'bundle',
    '--out',
    'bundle.json',
    '--cache',
    line.file('cache'),
    ...ROOTS,
    '--amd-url',
    server.url,
    '--intel-url',
    server.url,
    '--intel-root-crl-url',
    `${server.url}/root.der`,
    ...more,
    '--json',
  )

describe('collateral in a file', () => {
  test('is fetched for evidence, kept, and judges it offline: AMD and Intel', async () => {
    const made = await bundle('--for', 'report.bin', '--for', 'quote.bin')
    expect(made.status).toBe(0)
    expect(
      made.json<{ entries: { key: string }[] }>().entries.map(({ key }) => key.split('/').slice(0, 2).join('/')),
    ).toEqual(['amd/crl', 'amd/vcek', 'intel/tdx'])
    const asked = server.requests.length
    const collateral = ['--nonce', nonce, ...ROOTS, '--collateral', 'bundle.json'] as const
    for (const file of ['report.bin', 'quote.bin']) {
      const answer = await line.answer<{ verified: boolean; unchecked: string[] }>(
        'evidence',
        'verify',
        file,
        ...collateral,
      )
      expect(answer.verified).toBe(true)
      expect(answer.unchecked.join()).not.toMatch(/collateral|revocation/)
    }
    expect(await line.refusal('evidence', 'verify', 'other.bin', ...collateral)).toMatchObject({
      code: 'endorsement.unavailable',
    })
    expect(server.requests.length).toBe(asked)
  })

  test('D09 is no good after its time, and says so', async () => {
    await bundle('--for', 'quote.bin')
    const later = new Date(Date.now() + 90 * 86_400_000).toISOString()
    const given = ['--nonce', nonce, ...ROOTS, '--collateral', 'bundle.json', '--at', later] as const
    expect(await line.refusal('evidence', 'verify', 'quote.bin', ...given)).toMatchObject({
      code: 'endorsement.expired',
    })
  })

  test('must be given, or gone without in so many words', async () => {
    const given = ['--nonce', nonce, ...ROOTS] as const
    expect(await line.refusal('evidence', 'verify', 'quote.bin', ...given)).toMatchObject({
      code: 'endorsement.unavailable',
    })
    const { unchecked } = await line.answer<{ unchecked: string[] }>(
      'evidence',
      'verify',
      'quote.bin',
      ...given,
      '--without-collateral',
    )
    expect(unchecked.join()).toContain('collateral')
  })

  test('D08 the vendors’ own roots do not vouch for it', async () => {
    const given = ['--nonce', nonce, '--without-collateral'] as const
    expect(await line.refusal('evidence', 'verify', 'quote.bin', ...given)).toMatchObject({
      code: 'endorsement.untrusted',
    })
  })
})

test('A02 a nonce of other bytes, of another length, or none at all is no answer', async () => {
  const given = [...ROOTS, '--without-collateral'] as const
  expect(await line.refusal('evidence', 'verify', 'quote.bin', ...given)).toMatchObject({ code: 'usage' })
  expect(await line.refusal('evidence', 'verify', 'quote.bin', ...given, '--nonce', '5a5a')).toMatchObject({
    code: 'usage',
  })
  expect(await line.refusal('evidence', 'verify', 'quote.bin', ...given, '--nonce', '00'.repeat(64))).toMatchObject({
    code: 'evidence.binding',
  })
})
