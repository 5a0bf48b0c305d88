import { describe, expect, test } from 'vitest'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { parseModule } from '../syntax/parse-module.ts'
import { format } from './format.ts'

const UGLY = `# about the package
package   a.b["c d"]
import data.x   as y # trailing
import rego.v1
# a comment of its own

default allow:=false
allow  if{ input.x==1;  not  y[ "k" ]
   # inside

   some i,v   in [1,2 , 3]
   f( i , -v )>( 1+2 )*3 with input.z as {"a":1}
} # behind
p contains  x if some x in { "a" , "b" }
q[ k ].r:=v if { k:="x"; v := [ z |z:=1 ; z>0] }
f(x,y)=z if{z:=x|y} else := {
  # first
  "one": 1,
  "two":2 # second
} if every k,e in y{ k!=e }
`

const PRETTY = `# about the package
package a.b["c d"]

import data.x as y # trailing
import rego.v1

# a comment of its own

default allow := false

allow if {
	input.x == 1
	not y.k
	# inside

	some i, v in [1, 2, 3]
	f(i, -v) > (1 + 2) * 3 with input.z as {"a": 1}
} # behind

p contains x if some x in {"a", "b"}

q[k].r := v if {
	k := "x"
	v := [z | z := 1; z > 0]
}

f(x, y) = z if { z := x | y } else := {
	# first
	"one": 1,
	"two": 2, # second
} if every k, e in y { k != e }
`

/** The tree without places. */
function shape(text: string, version: 'v0' | 'v1', logicalOperators: boolean): string {
  const { rules, imports, package: pkg } = parseModule('m.rego', text, { version, logicalOperators })
  const skip = new Set(['loc', 'grouped'])
  return JSON.stringify({ rules, imports, pkg }, (k, v: unknown) => (skip.has(k) ? undefined : v))
}

describe('fmt', () => {
  test('brings a module into its form', () => {
    expect(format('m.rego', UGLY)).toBe(PRETTY)
  })

  test('changes nothing that is already in form', () => {
    expect(format('m.rego', PRETTY)).toBe(PRETTY)
  })

  test.each([
    ['p := (1 + 2) * 3', 'p := (1 + 2) * 3'],
    ['p := 1 + 2 * 3', 'p := 1 + 2 * 3'],
    ['p := 1 - (2 - 3)', 'p := 1 - (2 - 3)'],
    ['p := (1 == 2) == true', 'p := 1 == 2 == true'],
    ['p := plus(1, 2)', 'p := plus(1, 2)'],
    ['p := {(1, 2 in [2])}', 'p := {(1, 2 in [2])}'],
    ['p := `raw\\n`', 'p := `raw\\n`'],
    ['p := $"a {input.x} b"', 'p := $"a {input.x} b"'],
    ['p if {}', 'p if {}'],
  ])('keeps the meaning of %s', (rule, pretty) => {
    expect(format('m.rego', `package t\n\n${rule}\n`)).toBe(`package t\n\n${pretty}\n`)
  })

  describe.skipIf(missingVectors())('on every module of the OPA suite', () => {
    test.each(['v0', 'v1'] as const)('%s: keeps the tree and all comments, and settles at once', (version) => {
      const lines = readVectorText(`opa-conformance/cases-${version}.jsonl`).split('\n').filter(Boolean)
      // every fourth: the whole suite takes a while, and says the same
      for (const line of lines.filter((_, i) => i % 4 === 0)) {
        const c = JSON.parse(line) as { note: string; modules?: string[]; experimental_keywords?: boolean }
        const logicalOperators = c.experimental_keywords === true
        for (const text of c.modules ?? []) {
          const once = format('m.rego', text, { version, logicalOperators })
          expect([c.note, shape(once, version, logicalOperators)]).toEqual([
            c.note,
            shape(text, version, logicalOperators),
          ])
          expect([c.note, format('m.rego', once, { version, logicalOperators })]).toEqual([c.note, once])
          const comments = (t: string): number => parseModule('m', t, { version, logicalOperators }).comments.length
          expect([c.note, comments(once)]).toEqual([c.note, comments(text)])
        }
      }
    })
  })
})
