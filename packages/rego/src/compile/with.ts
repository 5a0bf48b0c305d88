import type { Body, Expr, RefTerm, Term, With } from '../syntax/ast.ts'
import { refName } from '../syntax/ast.ts'
import { requiresEvaluation } from './flatten.ts'
import type { Functions } from './functions.ts'
import { capture, mapExpr, mapTerm } from './map.ts'
import type { Names } from './names.ts'
import type { Findings } from './rule.ts'
import type { RuleNode } from './tree.ts'

/** What `with` replaces, and by what. */
export class WithTargets {
  readonly #names: Names
  readonly #findings: Findings
  readonly #functions: Functions
  readonly #root: RuleNode

  constructor(names: Names, findings: Findings, functions: Functions, root: RuleNode) {
    this.#names = names
    this.#findings = findings
    this.#functions = functions
    this.#root = root
  }

  /** Checks all targets of a body, and binds values that need evaluation in front. */
  body(body: Body): Body {
    const out: Expr[] = []
    for (const e of body) {
      const inner = mapExpr(
        e,
        (t) => this.#term(t),
        (b) => this.body(b),
      )
      if (inner.with.length === 0) out.push(inner)
      else out.push({ ...inner, with: inner.with.map((w) => this.#with(w, out)) })
    }
    return out
  }

  #term(t: Term): Term {
    return mapTerm(
      t,
      (x) => this.#term(x),
      (b) => this.body(b),
    )
  }

  #with(w: With, out: Expr[]): With {
    const target = this.#asFunctionRef(w.target)
    const value = this.#asFunctionRef(w.value)
    const keepsValue = this.#check(target, value)
    if (keepsValue) return { ...w, target, value, names: true }
    if (!requiresEvaluation(value)) return { ...w, target, value }
    const [local, e] = capture(this.#names, value)
    out.push(e)
    return { ...w, target, value: local }
  }

  /** A bare name of a built-in is a variable to the parser. */
  #asFunctionRef(t: Term): Term {
    if (t.kind !== 'var' || this.#functions.builtin(t.name) === undefined) return t
    return { kind: 'ref', loc: t.loc, head: t, path: [] }
  }

  /** @returns true if the value is a function and must not be looked up */
  #check(target: Term, value: Term): boolean {
    const root = target.kind === 'ref' && target.head.kind === 'var' ? target.head.name : undefined
    if (target.kind === 'ref' && root === 'input') return false
    if (target.kind === 'ref' && root === 'data') return this.#checkData(target, value)
    const name = target.kind === 'ref' ? refName(target) : undefined
    const builtin = name === undefined ? undefined : this.#functions.builtin(name)
    if (builtin === undefined || name === undefined) {
      this.#findings.add(
        'rego_type_error',
        'with keyword target must reference existing input, data, or a function',
        target.loc,
      )
      return false
    }
    const why = name.startsWith('internal.')
      ? `replacement of internal function ${JSON.stringify(name)} invalid`
      : name === 'eq' || name === 'rego.metadata.chain' || name === 'rego.metadata.rule'
        ? `replacement of ${JSON.stringify(name)} invalid`
        : builtin.relation === true
          ? 'target must not be a relation'
          : builtin.decl.result === undefined
            ? 'target must not be a void function'
            : undefined
    if (why !== undefined) {
      this.#findings.add('rego_compile_error', `with keyword replacing built-in function: ${why}`, target.loc)
    }
    return this.#isFunction(value)
  }

  #checkData(target: RefTerm, value: Term): boolean {
    let node: RuleNode | undefined = this.#root
    for (const step of target.path.slice(0, -1)) {
      node = step.kind === 'string' ? node?.children.get(step.value) : undefined
      if (node !== undefined && node.rules.length > 0) {
        this.#findings.add(
          'rego_compile_error',
          'with keyword cannot partially replace virtual document(s)',
          target.loc,
        )
        return false
      }
    }
    const last = target.path.at(-1)
    const replaced = last?.kind === 'string' ? node?.children.get(last.value) : undefined
    const replacesFunction = replaced?.rules.some((r) => r.args !== undefined) === true
    return replacesFunction ? this.#isFunction(value) : this.#isRuleFunction(value)
  }

  #isFunction(value: Term): boolean {
    if (value.kind !== 'ref') return false
    if (this.#nodeOf(value) !== undefined) return true
    const name = refName(value)
    return name !== undefined && this.#functions.builtin(name) !== undefined
  }

  #isRuleFunction(value: Term): boolean {
    return value.kind === 'ref' && this.#nodeOf(value)?.rules.some((r) => r.args !== undefined) === true
  }

  #nodeOf(value: RefTerm): RuleNode | undefined {
    if (value.head.kind !== 'var' || value.head.name !== 'data') return undefined
    const path: string[] = []
    for (const step of value.path) {
      if (step.kind !== 'string') return undefined
      path.push(step.value)
    }
    return this.#root.find(path)
  }
}
