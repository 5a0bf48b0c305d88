import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PrincipalKey } from '@vouchsafe/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { initBroker } from '../../../../broker/src/init.ts'
import { startClinic, stopClinic, type TestClinic } from '../../../../broker/src/testing/two-clinics.ts'
import { writeOwner } from '../../files.ts'
import { CommandLine } from '../testing/command-line.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vs-references-'))
const [owner, vendor] = [PrincipalKey.generate(), PrincipalKey.generate()]
let clinic: TestClinic
let line: CommandLine
beforeAll(async () => {
  const tenants = [{ id: 'clinic', owner: 'clinic', ownerKey: owner.key, anchors: [] }]
  const { config } = await initBroker(
    {
      directory,
      profile: 'simulated',
      listen: { host: '127.0.0.1', port: 0 },
      publicUrl: 'https://127.0.0.1:0',
      tenants,
    },
    new Date(),
  )
  clinic = await startClinic('clinic', owner, config, [])
  line = new CommandLine()
  line.write('owner.pem', owner.toPem())
  line.write('vendor.pem', vendor.toPem())
  writeOwner(line.file('owner.json'), line.file('owner.pem'), clinic.pin)
})
afterAll(async () => {
  line?.remove()
  await stopClinic(clinic)
  rmSync(directory, { recursive: true, force: true })
})

const AS = ['--as', 'owner.json'] as const
function add(id: string) {
  line.write('value.json', JSON.stringify({ [id]: { kind: 'snp', measurement: 'ab'.repeat(48) } }))
  return line.answer('reference', 'add', 'value.json', '--into', 'guests.json', '--key', 'vendor.pem')
}

test('KB-11 a set is pushed with all its versions, listed with who vouches for it, and a value ended', async () => {
  await add('one')
  await add('two')
  const push = () => line.answer('reference', 'push', 'guests.json', '--signer', vendor.key, ...AS)
  expect(await push()).toEqual({ set: 'guests', signer: vendor.key, filed: [1, 2], version: 2 })
  expect(await push()).toMatchObject({ filed: [] })
  await add('three')
  expect(await push()).toMatchObject({ filed: [3], version: 3 })

  expect(await line.answer('reference', 'end', 'guests', 'two', '--reason', 'CVE', ...AS)).toMatchObject({ version: 3 })
  const { stdout } = await line.run('reference', 'filed', ...AS)
  expect(stdout).toContain(`guests, version 3`)
  expect(stdout).toContain(`vouched for by ${vendor.key}`)
  expect(stdout).toMatch(/ENDED\s+snp\s+two/)
  const told = await line.answer<{ filings: object[] }>('reference', 'filed', 'guests', ...AS)
  expect(told.filings).toMatchObject([
    { version: 1, by: 'clinic', ended: null },
    { version: 2, ended: null },
    { version: 3, ended: null },
    { version: 3, ended: { value: 'two', reason: 'CVE' } },
  ])
  expect((await line.run('reference', 'filed', 'guests', ...AS)).stdout).toContain('ended two: CVE')
})

test('F09 a set is pushed only under the key that its owner knows, and what is not there cannot be ended', async () => {
  expect(await line.refusal('reference', 'push', 'guests.json', '--signer', owner.key, ...AS)).toMatchObject({
    code: 'agreement.signature',
  })
  expect(await line.refusal('reference', 'push', 'guests.json', ...AS)).toMatchObject({ code: 'usage' })
  expect(await line.refusal('reference', 'end', 'guests', 'none', '--reason', 'x', ...AS)).toMatchObject({
    code: 'store.unknown',
  })
  expect(await line.refusal('reference', 'filed', 'nothing', ...AS)).toMatchObject({ code: 'store.unknown' })
})
