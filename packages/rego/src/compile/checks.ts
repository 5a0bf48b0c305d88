import type { Body, Expr, Module, Term } from '../syntax/ast.ts'
import { isGenerated, refName } from '../syntax/ast.ts'
import { visitBody, visitTerm } from '../syntax/visit.ts'
import { builtinOf, type Functions } from './functions.ts'
import { isEquation } from './map.ts'
import type { Names } from './names.ts'
import { importName, isAssign } from './resolve.ts'
import type { Findings, WorkRule } from './rule.ts'

const ROOT_NAMES: ReadonlySet<string> = new Set(['input', 'data'])

/** v1: `input` and `data` are the documents and nothing else. */
export function checkRootNames(module: Module, findings: Findings): void {
  for (const rule of module.rules) {
    const name = rule.head.ref.head.kind === 'var' ? rule.head.ref.head.name : ''
    if (ROOT_NAMES.has(name)) {
      findings.add('rego_compile_error', `rules must not shadow ${name} (use a different rule name)`, rule.loc)
    }
    for (const arg of rule.head.args ?? []) {
      if (arg.kind === 'ref' && arg.path.length === 0 && arg.head.kind === 'var') {
        const what = arg.head.name
        findings.add('rego_compile_error', `args must not shadow ${what} (use a different variable name)`, arg.loc)
      }
    }
    for (let r: typeof rule | undefined = rule; r !== undefined; r = r.else) {
      checkRootVariables(r.body, findings)
      for (const t of [r.head.key, r.head.value]) if (t !== undefined) visitTerm(t, () => true, rootVariable(findings))
    }
  }
}

export function checkRootVariables(body: Body, findings: Findings): void {
  visitBody(body, () => true, rootVariable(findings))
}

function rootVariable(findings: Findings): (e: Expr) => boolean {
  return (e) => {
    const [target] = isAssign(e) ? e.args : []
    const head = target?.kind === 'ref' && target.path.length === 0 ? target.head : target
    if (head?.kind === 'var' && ROOT_NAMES.has(head.name)) {
      const message = `variables must not shadow ${head.name} (use a different variable name)`
      findings.add('rego_compile_error', message, e.loc)
    }
    return true
  }
}

/** v1: two imports may not have one name. */
export function checkDuplicateImports(module: Module, findings: Findings): void {
  const known = new Map<string, string>()
  for (const i of module.imports) {
    const path = refName(i.path) ?? i.path.loc.text
    if (path.startsWith('future.') || path.startsWith('rego.')) continue
    const name = importName(i)
    const other = known.get(name)
    if (other === undefined) known.set(name, i.loc.text)
    else findings.add('rego_compile_error', `import must not shadow ${other.replaceAll(/\s+/g, ' ')}`, i.loc)
  }
}

/** Calls of what does not exist, or with the wrong number of operands. */
export function checkCalls(body: Body, functions: Functions, names: Names, findings: Findings): void {
  visitBody(
    body,
    () => true,
    (e) => {
      if (e.kind !== 'call') return true
      const arity = functions.arity(e.op)
      const name = refName(e.op) ?? e.op.loc.text
      const written = names.written(name)
      if (arity === undefined) {
        findings.add('rego_type_error', `undefined function ${written}`, e.loc)
        return false
      }
      if (builtinOf(functions, e.op)?.decl.variadic !== undefined) return true
      const given = e.args.length
      const fits = e.generated === true ? isEquation(e) || given === arity + 1 : given === arity || given === arity + 1
      if (fits) return true
      const operands = e.generated === true ? given - 1 : given
      const plural = operands === 1 ? 'argument' : 'arguments'
      findings.add(
        'rego_type_error',
        builtinOf(functions, e.op) === undefined
          ? `function ${written} has arity ${arity}, got ${operands} ${plural}`
          : `${written}: arity mismatch`,
        e.loc,
      )
      return false
    },
  )
}

/** Functions that a host forbids, and in v1 those that are deprecated. */
export function checkForbidden(
  body: Body,
  functions: Functions,
  forbidden: ReadonlySet<string>,
  deprecated: boolean,
  findings: Findings,
): void {
  visitBody(
    body,
    () => true,
    (e) => {
      if (e.kind !== 'call') return true
      const name = refName(e.op)
      if (name === undefined) return true
      if (forbidden.has(name)) {
        findings.add('rego_type_error', `unsafe built-in function calls in expression: ${name}`, e.loc)
      }
      if (deprecated && functions.builtin(name)?.deprecated === true) {
        findings.add('rego_type_error', `deprecated built-in function calls in expression: ${name}`, e.loc)
      }
      return true
    },
  )
}

/** Every variable of a rule's head has to get its value in the body or be an argument. */
export function checkHeads(
  r: WorkRule,
  bound: ReadonlySet<string>,
  names: Names,
  findings: Findings,
  within: string,
): void {
  const told = new Set<string>()
  const check = (t: Term): void =>
    visitTerm(t, (x) => {
      if (x.kind === 'var' && !bound.has(x.name) && !told.has(x.name)) {
        told.add(x.name)
        const written = names.written(x.name)
        findings.add(
          'rego_unsafe_var_error',
          `${isGenerated(written) ? 'expression' : `var ${written}`} is unsafe${within}`,
          x.loc,
        )
      }
      return !x.kind.endsWith('comprehension')
    })
  for (const t of r.rest) check(t)
  if (r.key !== undefined) check(r.key)
  if (r.value !== undefined) check(r.value)
  for (const t of r.args ?? []) check(t)
}
