import { describe, expect, test } from 'vitest'
import { runTests } from './run-tests.ts'

const POLICY = `package authz

default allow := false

allow if {
	input.role == "admin"
	not data.locked
}

allow if input.role == "owner"

unused := 1 if input.never
`
const TESTS = `package authz_test

import data.authz

test_admin if authz.allow with input as {"role": "admin"}

test_guest if not authz.allow with input as {"role": "guest"}

test_wrong if {
	x := 1
	authz.allow with input.role as "guest"
	x == 1
}

todo_test_later if false

test_error if {
	conflict
}

conflict := 1

conflict := x if x := to_number(data.two)

test_table[name] := ok if {
	some name, role in {"admin": "admin", "guest": "guest"}
	ok := authz.allow with input.role as role
}

test_prints if print("hello", 1)
`

describe('the test runner', () => {
  const run = (coverage = false): ReturnType<typeof runTests> =>
    runTests({ 'authz.rego': POLICY, 'authz_test.rego': TESTS }, { data: { two: '2' } }, { coverage })

  test('tells passes, failures, errors and skipped tests apart', async () => {
    const { results, passed } = await run()
    expect(passed).toBe(false)
    expect(results.map((r) => [r.path, r.outcome])).toEqual([
      ['data.authz_test.test_admin', 'pass'],
      ['data.authz_test.test_guest', 'pass'],
      ['data.authz_test.test_wrong', 'fail'],
      ['data.authz_test.todo_test_later', 'skip'],
      ['data.authz_test.test_error', 'error'],
      ['data.authz_test.test_table', 'fail'],
      ['data.authz_test.test_prints', 'pass'],
    ])
  })

  test('says where a test failed, which cases, which error, and what was printed', async () => {
    const { results } = await run()
    const of = (name: string): (typeof results)[number] | undefined => results.find((r) => r.path.endsWith(name))
    expect(of('test_wrong')?.failed[0]).toMatchObject({
      text: expect.stringContaining('authz.allow'),
      variables: { x: 1 },
    })
    expect(of('test_table')?.failedCases).toEqual(['guest'])
    expect(of('test_error')?.error?.code).toBe('eval_conflict_error')
    expect(of('test_prints')?.output).toEqual(['hello 1'])
  })

  test('notes which rows the tests reached', async () => {
    const { coverage } = await run(true)
    expect(coverage).toEqual([{ file: 'authz.rego', covered: [3, 5, 6, 7, 10], notCovered: [12], percent: 83.3 }])
  })

  test('runs only the tests that are asked for', async () => {
    const { results } = await runTests(
      { 'a.rego': 'package a\ntest_x if true\ntest_y if false\n' },
      {},
      { filter: (p) => p.endsWith('_x') },
    )
    expect(results.map((r) => [r.path, r.outcome])).toEqual([['data.a.test_x', 'pass']])
  })
})
