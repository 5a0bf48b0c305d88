import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { parseReference } from '../oci/reference.ts'
import { parsePolicy } from './parse-policy.ts'
import { chooseScope, scopesOf } from './scope.ts'

const policyOf = (transports: Readonly<Record<string, readonly string[]>>) =>
  parsePolicy(
    new TextEncoder().encode(
      JSON.stringify({
        default: [{ type: 'reject' }],
        transports: Object.fromEntries(
          Object.entries(transports).map(([transport, scopes]) => [
            transport,
            Object.fromEntries(scopes.map((scope) => [scope, [{ type: 'insecureAcceptAnything' }]])),
          ]),
        ),
      }),
    ),
  )

describe.skipIf(missingVectors())('GU-09 the recorded table of scopes', () => {
  interface Recorded {
    readonly policy_scope_selection: {
      readonly configured: Readonly<Record<string, readonly string[]>>
      readonly cases: readonly (readonly [string, string, string | null, string])[]
    }
  }
  const { configured, cases } = missingVectors()
    ? { configured: {}, cases: [] }
    : (JSON.parse(readVectorText('guest/inline/expectations.json')) as Recorded).policy_scope_selection
  const policy = policyOf(configured)
  test.each(cases.filter(([transport]) => transport === 'docker'))(
    '%s %s is under %s %s',
    (_, image, transport, wanted) => {
      const scope = transport === null ? 'default' : `${transport}: ${wanted === '' ? 'everything else' : wanted}`
      expect(chooseScope(policy, parseReference(image)).scope).toBe(scope)
    },
  )
})

test('H05 what no scope names falls to the default, which the policy must state', () => {
  const policy = policyOf({ docker: ['registry.example/team'] })
  const { scope, requirements } = chooseScope(policy, parseReference('registry.example/teamwork/app:1'))
  expect(scope).toBe('default')
  expect(requirements).toEqual([{ type: 'reject' }])
})

test('a reference with tag and digest is looked for by its digest', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  expect(scopesOf(parseReference(`registry.example:5000/a/b:1@${digest}`))).toEqual([
    `registry.example:5000/a/b@${digest}`,
    'registry.example:5000/a/b',
    'registry.example:5000/a',
    'registry.example:5000',
    '*.example',
  ])
})

test.each([
  ['Registry.Example:5000', 'registry.example:5000/team/app:1'],
  ['Registry.Example:5000/team', 'REGISTRY.example:5000/team/app:1'],
  ['*.Example', 'a.example/app:1'],
  ['index.docker.io', 'debian:12'],
  ['registry-1.docker.io/library', 'index.docker.io/library/debian:12'],
])('H05 the scope %s applies to %s: hosts have one spelling on both sides', (scope, image) => {
  const policy = policyOf({ docker: [scope] })
  expect(chooseScope(policy, parseReference(image)).requirements).toEqual([{ type: 'insecureAcceptAnything' }])
})

test('H05 one scope in two spellings of its host is refused: which one counts would depend on the order', () => {
  expect(() => policyOf({ docker: ['docker.io/app', 'index.docker.io/app'] })).toThrow(
    expect.objectContaining({ code: 'policy.malformed', message: expect.stringContaining('"docker.io/app"') }),
  )
  expect(() => policyOf({ dir: ['/images/App', '/images/app'] })).not.toThrow()
})
