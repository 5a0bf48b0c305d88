import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PrincipalKey } from '@vouchsafe/client'
import { agreement, goodClaims } from '../../../../core/src/testing/agreement-fixture.ts'
import { CommandLine } from '../testing/command-line.ts'

const key = PrincipalKey.generate()
const claims = goodClaims(agreement())
const firmware = claims.boot.registers['0'] ?? ''
const BY = ['--references', 'boots.ref.json', '--signer', key.key] as const

let line: CommandLine
beforeAll(async () => {
  line = new CommandLine()
  line.write('owner.pem', key.toPem())
  line.write('claims.json', JSON.stringify(claims))
  line.write('values.json', JSON.stringify({ firmware: [firmware] }))
  line.write(
    'release.rego',
    'package release\n\nallow if input.boot.registers["0"] in query_reference_value("firmware")\n',
  )
  await line.answer('reference', 'import', 'values.json', '--into', 'boots.ref.json', '--key', 'owner.pem')
})
afterAll(() => line?.remove())

describe('KB-11 policies that ask for reference values', () => {
  test('are tried with a set from a file, under the key that is known to vouch for it', async () => {
    const { status, stdout } = await line.run('policy', 'eval', 'release.rego', '--claims', 'claims.json', ...BY)
    expect(status).toBe(0)
    expect(stdout).toContain('query_reference_value("firmware")')
    const without = await line.run('policy', 'eval', 'release.rego', '--claims', 'claims.json')
    expect(without.status).toBe(1)
    expect(without.stdout).toContain('the agreement names no set of reference values')
  })

  test('F09 a set of another signer, and a set beside a record, are refused', async () => {
    const other = PrincipalKey.generate().key
    const ask = ['policy', 'eval', 'release.rego'] as const
    const by = ['--references', 'boots.ref.json', '--signer', other] as const
    expect(await line.refusal(...ask, '--claims', 'claims.json', ...by)).toMatchObject({ code: 'agreement.signature' })
    expect(await line.refusal(...ask, '--record', 'd.json', ...BY)).toMatchObject({ status: 2 })
    expect(await line.refusal(...ask, '--claims', 'claims.json', '--signer', other)).toMatchObject({ status: 2 })
  })

  test('are tested with values of the test’s own', async () => {
    line.write(
      'release_test.rego',
      `package release_test
import data.release
values(name) := {"firmware": ["aa"]}[name]
none(_) := null
guest := {"boot": {"registers": {"0": "aa"}}}
test_listed if release.allow with input as guest with query_reference_value as values
test_not_listed if not release.allow with input as guest with query_reference_value as none
`,
    )
    expect(await line.answer('policy', 'test', 'release.rego', 'release_test.rego')).toMatchObject({ passed: true })
    line.write('bare_test.rego', 'package bare_test\ntest_it if query_reference_value("firmware") == null\n')
    expect((await line.run('policy', 'test', 'bare_test.rego')).status).toBe(1)
  })

  test('F05 in an agreement that names no set are refused when it is checked', async () => {
    const rego = {
      modules: { 'r.rego': 'package r\nallow if input.class in query_reference_value("c")' },
      allow: 'data.r.allow',
    }
    const grants = [{ id: 'g', owner: 'clinic-a', resources: ['patients/key'], when: [], rego }]
    line.write('none.json', new Uint8Array(agreement({ grants }).bytes))
    const { environment } = agreement().body
    const references = [{ set: 'boots', signer: key.key, atLeast: 1 }]
    line.write('one.json', new Uint8Array(agreement({ grants, environment: { ...environment, references } }).bytes))
    const refused = await line.run('policy', 'check', 'none.json', '--json')
    expect({ status: refused.status, ...refused.json<object>() }).toMatchObject({
      status: 1,
      findings: [{ grant: 'g', check: 'reference', severity: 'refuse' }],
    })
    expect(await line.answer('policy', 'check', 'one.json')).toEqual({ refused: false, findings: [] })
  })
})
