import fc from 'fast-check'

// Texts and programs for the fuzz tests: short runs in `fuzz.test.ts`, the minutes in `fuzz.long.test.ts`.

const TOKENS = [
  'package', 'import', 'default', 'else', 'not', 'some', 'every', 'in', 'if', 'contains', 'with', 'as', 'null', 'true', 'false',
  'input', 'data', 'p', 'q', 'x', 'y', '_', 'f', 'count', 'set()', '1', '-1', '0.5', '1e3', '"s"', '`r`', '"\\u00e9"', '$"a {x} b"',
  '(', ')', '[', ']', '{', '}', ',', ':', ';', '.', '|', '&', '+', '-', '*', '/', '%', '=', ':=', '==', '!=', '<', '>=', '\n', '\n', ' ',
  '# c\n', 'rego.v1', 'future.keywords', "'", '!', '\u0000', 'é', '😀', '{{', '"', '`', '$"{',
] // prettier-ignore

/** Tokens in any order: mostly wrong, in every way. */
export const tokenSoup = fc
  .array(fc.constantFrom(...TOKENS), { maxLength: 60 })
  .map((tokens) => `package t\n${tokens.join(' ')}`)

/** A text with pieces cut, doubled or swapped. */
export function mutated(texts: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.constantFrom(...texts),
      fc.array(fc.tuple(fc.nat(), fc.nat(40), fc.constantFrom(...TOKENS)), { maxLength: 4 }),
    )
    .map(([text, cuts]) =>
      cuts.reduce((s, [at, length, token]) => {
        const from = at % (s.length + 1)
        return `${s.slice(0, from)}${token}${s.slice(from + length)}`
      }, text),
    )
}

const scalar = fc.constantFrom('1', '2', '3', '"a"', '"b"', 'null', 'true', 'false')
const path = fc.constantFrom(
  'input.a',
  'input.b',
  'input.l',
  'input.o',
  'input.o.k',
  'data.n',
  'data.list',
  'data.set',
  'input.l[0]',
)
const fresh = (): fc.Arbitrary<string> => fc.nat(10_000).map((n) => `v${n}`)

const expression: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(path, fc.constantFrom('==', '!=', '<', '>=', '='), scalar).map((x) => x.join(' ')),
  fc.tuple(path, path).map(([a, b]) => `${a} == ${b}`),
  path,
  path.map((p) => `not ${p}`),
  fc.tuple(scalar, path).map(([x, xs]) => `${x} in ${xs}`),
  fc.tuple(scalar, path).map(([x, xs]) => `not ${x} in ${xs}`),
  fc.tuple(fresh(), path, scalar).map(([v, p, c]) => `some ${v} in ${p}\n\t${v} != ${c}`),
  fc.tuple(fresh(), fresh(), path).map(([k, v, p]) => `some ${k}, ${v} in ${p}\n\t${k} != ${v}`),
  fc.tuple(fresh(), path, scalar).map(([v, p, c]) => `every ${v} in ${p} { ${v} != ${c} }`),
  fc.tuple(fresh(), path).map(([v, p]) => `count([${v} | some ${v} in ${p}]) > 1`),
  fc
    .tuple(fresh(), path)
    .map(([v, p]) => `{${v} | some ${v} in ${p}} == {${v}, 1 | some ${v} in []}`.replace(', 1 |', ' |')),
  fc.tuple(fresh(), path).map(([v, p]) => `walk(${p}, [_, ${v}])\n\tis_string(${v})`),
  fc.tuple(path, scalar).map(([p, c]) => `helper(${p}, ${c})`),
  fc.tuple(path, scalar).map(([p, c]) => `not helper(${p}, ${c})`),
  fc.tuple(fc.constantFrom('complete', 'parts', 'object'), scalar).map(([r, c]) => `${r} == ${c} with input.a as ${c}`),
  fc.constantFrom(
    'complete',
    'parts["a"]',
    'object.a',
    'not complete',
    'some k0\n\tobject[k0] == 1',
    'data.t.object[_] = 2',
  ),
)

const body = fc.array(expression, { minLength: 1, maxLength: 3 }).map((es) => `{\n\t${es.join('\n\t')}\n}`)

/** Programs that mostly compile: every kind of rule over a few documents. */
export const program = fc
  .record({
    p: fc.array(body, { minLength: 1, maxLength: 3 }),
    complete: body,
    parts: fc.tuple(body, path),
    object: fc.tuple(body, path),
    helper: fc.tuple(body, scalar),
    fallback: scalar,
  })
  .map(
    ({ p, complete, parts, object, helper, fallback }) => `package t

default complete := ${fallback}

complete := 1 if ${leaf(complete)}

parts contains x if {
	some x in ${parts[1]}
} ${''}

object[k] := v if {
	some k, v in ${object[1]}
	is_string(k)
}

object.a := 1 if ${leaf(parts[0])}

helper(x, y) if {
	x == y
}

helper(_, ${helper[1]}) := false if ${leaf(helper[0])}

${p.map((b) => `p if ${b}`).join('\n\n')}

q := [x | some x in ${path0(object[0])}]
`,
  )

/** Helper rules must not need each other. */
function leaf(b: string): string {
  return b
    .split('\n')
    .map((line) => (/complete|parts|object|helper/.test(line) ? '\ttrue' : line))
    .join('\n')
}

function path0(b: string): string {
  return /input\.\w+|data\.\w+/.exec(b)?.[0] ?? 'input.l'
}

const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    fc.constantFrom(1, 2, 3, 'a', 'b', null, true, false, 1.5, 2 ** 40),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'k', '__proto__', '1'), tie('value'), { maxKeys: 3 }),
  ),
})).value

export const document = fc.record({ a: json, b: json, l: json, o: json }, { requiredKeys: [] })
export const data = fc.record({ n: json, list: fc.array(json, { maxLength: 3 }), set: json }, { requiredKeys: [] })
