import { BUILTINS, type Builtin, type HostFunctions } from '../builtins/index.ts'
import { RegoError, type Diagnostic } from '../errors.ts'
import { refName, type Body, type Module, type RefTerm, type Rule, type Term } from '../syntax/ast.ts'
import {
  checkCalls,
  checkDuplicateImports,
  checkForbidden,
  checkHeads,
  checkRootNames,
  checkRootVariables,
} from './checks.ts'
import { bindComprehensionTerms, bindHead, DynamicTerms, equalsToEquations, Flattener } from './flatten.ts'
import type { Functions } from './functions.ts'
import { buildGraph, checkRecursion, type Graph } from './graph.ts'
import { Locals, namesIn } from './locals.ts'
import { appendTo, capture, isScalar } from './map.ts'
import { replaceMetadataCalls } from './metadata.ts'
import { Names } from './names.ts'
import { globalsOf, Resolver } from './resolve.ts'
import { clauses, Findings, type WorkRule } from './rule.ts'
import { exprVars, orderBody, reportUnsafe, ROOTS } from './safety.ts'
import { Printing } from './templates.ts'
import { allClauses, checkConflicts, RuleNode } from './tree.ts'
import { TypeChecker } from './types/check.ts'
import { WithTargets } from './with.ts'

export type CompileOptions = {
  /** Refuse what OPA refuses with `--strict`: unused variables, arguments and imports, shadowed roots, deprecated functions. */
  readonly strict?: boolean
  /** Keep calls of `print`; the evaluation needs somewhere to print to. Default: they are erased. */
  readonly print?: boolean
  /** Built-ins that policies may not call. */
  readonly forbidden?: readonly string[]
  /** Functions of the host, by name. */
  readonly functions?: ReadonlyMap<string, Builtin>
  /** What the host lends: built-ins that need something else do not exist. Default: all exist. */
  readonly host?: HostFunctions
  /** At most this many findings are told. Default 10. */
  readonly errorLimit?: number
}

/** A checked program: rules in evaluable form, by path. */
export type Program = {
  readonly root: RuleNode
  readonly graph: Graph
  readonly names: Names
  readonly types: TypeChecker
  readonly functions: Functions
  readonly modules: readonly Module[]
  readonly options: CompileOptions
}

/** @throws {RegoError} with the findings of the first stage that has any */
export function compileModules(modules: readonly Module[], options: CompileOptions = {}): Program {
  return new Compiler(modules, options).run()
}

class Compiler {
  readonly #modules: readonly Module[]
  readonly #options: CompileOptions
  readonly #findings = new Findings()
  readonly #names = new Names()
  readonly #root = new RuleNode([])
  readonly #functions: Functions
  readonly #rules: WorkRule[] = []

  constructor(modules: readonly Module[], options: CompileOptions) {
    this.#modules = modules
    this.#options = options
    this.#functions = functionsOf(this.#root, options)
  }

  run(): Program {
    this.#stage(() => this.#resolve())
    this.#stage(() => this.#checkNames())
    this.#stage(() => this.#eachRule((r) => this.#declare(r)))
    this.#stage(() => replaceMetadataCalls(this.#rules, this.#modules, this.#findings))
    const keepPrint = this.#options.print === true
    const printing = new Printing(this.#names, this.#findings, this.#functions, keepPrint)
    this.#stage(() => this.#eachClause((r) => printing.rule(r)))
    const flattener = new Flattener(this.#names)
    this.#eachClause((r) => flattener.rule(r))
    this.#eachClause((r) => {
      r.body = bindComprehensionTerms(r.body, this.#names)
      bindHead(r, this.#names)
    })
    const targets = new WithTargets(this.#names, this.#findings, this.#functions, this.#root)
    this.#stage(() => this.#eachClause((r) => void (r.body = targets.body(r.body))))
    this.#stage(() => checkConflicts(this.#root, this.#findings))
    this.#stage(() => this.#eachClause((r) => checkCalls(r.body, this.#functions, this.#names, this.#findings)))
    this.#stage(() => this.#eachClause((r) => this.#checkHead(r)))
    this.#stage(() => this.#eachClause((r) => this.#order(r)))
    const dynamic = new DynamicTerms(this.#names)
    this.#eachClause((r) => {
      r.body = dynamic.body(equalsToEquations(r.body))
    })
    const graph = buildGraph(this.#root)
    this.#stage(() => checkRecursion(graph, this.#findings))
    const types = new TypeChecker(this.#root, graph, this.#functions, this.#names, this.#findings)
    this.#stage(() => types.program())
    this.#stage(() => this.#checkForbidden())
    return {
      root: this.#root,
      graph,
      names: this.#names,
      types,
      functions: this.#functions,
      modules: this.#modules,
      options: this.#options,
    }
  }

  #stage(run: () => void): void {
    run()
    throwFindings(this.#findings, this.#options)
  }

  #eachRule(f: (r: WorkRule) => void): void {
    for (const r of this.#rules) f(r)
  }

  #eachClause(f: (r: WorkRule) => void): void {
    for (const r of this.#rules) for (const c of clauses(r)) f(c)
  }

  /** Names become paths, and rules get their place in the tree. */
  #resolve(): void {
    const exported = new Map<string, Set<string>>()
    for (const m of this.#modules) {
      const key = m.package.path.join('\n')
      const names = exported.get(key) ?? new Set()
      exported.set(key, names)
      for (const r of m.rules) names.add(ruleName(r))
    }
    for (const module of this.#modules) {
      const { path } = module.package
      const globals = globalsOf(module, exported.get(path.join('\n')) ?? [])
      const resolver = new Resolver(globals)
      this.#root.make(path).isPackage = true
      for (const rule of module.rules) this.#place(module, resolver.rule(rule), rule)
      if (this.#options.strict !== true) continue
      for (const { from, used } of globals.values()) {
        if (from !== undefined && !used) this.#findings.add('rego_compile_error', `${from.loc.text} unused`, from.loc)
      }
    }
  }

  #place(module: Module, rule: Rule, source: Rule): void {
    const work = this.#workRule(module, rule, source)
    this.#rules.push(work)
    this.#root.make(work.path).rules.push(work)
  }

  #workRule(module: Module, rule: Rule, source: Rule): WorkRule {
    const { head } = rule
    let { body } = rule
    const path = [...module.package.path, ruleName(rule)]
    const rest: Term[] = []
    for (const step of head.ref.path) {
      if (step.kind === 'string' && rest.length === 0) path.push(step.value)
      else if (step.kind === 'var' || isScalar(step)) rest.push(step)
      else {
        const [local, e] = capture(this.#names, step)
        rest.push(local)
        body = appendTo(body, [e])
      }
    }
    const otherwise = rule.else === undefined ? undefined : this.#workRule(module, rule.else, source.else ?? source)
    return {
      module,
      source,
      path,
      rest,
      default: rule.default,
      // `f()` is a rule like any other
      args: head.args?.length === 0 ? undefined : head.args,
      key: head.key,
      value: head.value,
      body,
      loc: rule.loc,
      else: otherwise,
    }
  }

  #checkNames(): void {
    for (const m of this.#modules) {
      if (m.version !== 'v1' && this.#options.strict !== true) continue
      checkRootNames(m, this.#findings)
      checkDuplicateImports(m, this.#findings)
    }
  }

  /** Variables that are declared get names of their own. */
  #declare(rule: WorkRule): void {
    const strict = this.#options.strict === true
    const outer = new Locals(this.#names, this.#findings, strict)
    const written = namesIn(rule.args ?? [])
    const args = rule.args && outer.args(rule.args)
    const unused = new Set(written)
    for (const r of clauses(rule)) {
      const locals = outer.fork()
      const fresh = (t: Term): Term => new Locals(this.#names, this.#findings, strict).term(t)
      const headTerms = [
        ...r.rest,
        ...(r.key === undefined ? [] : [r.key]),
        ...(r.value === undefined ? [] : [r.value]),
      ]
      const used = namesIn(headTerms)
      // comprehensions of the head have their own declarations, made before those of the body can be seen
      const closures = (t: Term): Term => (t.kind === 'var' || isScalar(t) ? t : fresh(t))
      r.rest = r.rest.map(closures)
      r.key = r.key && closures(r.key)
      r.value = r.value && closures(r.value)
      r.body = locals.body(r.body, used)
      for (const name of written) if (used.has(name) || locals.uses(name) > 1) unused.delete(name)
      r.args = args
      r.rest = r.rest.map((t) => locals.headTerm(t))
      r.key = r.key && locals.headTerm(r.key)
      r.value = r.value && locals.headTerm(r.value)
    }
    if (!strict) return
    for (const name of unused) {
      if (name.startsWith('$')) continue
      const at = rule.source.head.loc
      this.#findings.add('rego_compile_error', `unused argument ${name}. (hint: use _ (wildcard variable) instead)`, at)
    }
  }

  #checkHead(r: WorkRule): void {
    const bound = namesIn(r.args ?? [])
    for (const e of r.body) for (const v of exprVars(e, this.#functions)) bound.add(v)
    for (const root of ROOTS) bound.add(root)
    checkHeads(r, bound, this.#names, this.#findings, sharedLine(r))
  }

  #order(r: WorkRule): void {
    const globals = new Set([...ROOTS, ...namesIn(r.args ?? [])])
    const { body, unsafe } = orderBody(r.body, this.#functions, globals)
    if (unsafe.size > 0) reportUnsafe(unsafe, this.#functions, this.#names, this.#findings, sharedLine(r))
    r.body = body
  }

  #checkForbidden(): void {
    const forbidden = new Set(this.#options.forbidden)
    for (const r of allClauses(this.#root)) {
      const deprecated = r.module.version === 'v1' || this.#options.strict === true
      checkForbidden(r.body, this.#functions, forbidden, deprecated, this.#findings)
    }
  }
}

function ruleName(r: Rule): string {
  return r.head.ref.head.kind === 'var' ? r.head.ref.head.name : ''
}

/**
 * Words that name the rule, where rules of other names begin on the same line: then `p(x) fi {` is told as what it is, a rule
 * `fi` of its own behind `p(x)`.
 */
function sharedLine(r: WorkRule): string {
  const { row } = r.source.loc
  const shared = r.module.rules.some((other) => other.loc.row === row && headName(other) !== headName(r.source))
  return shared ? ` in rule ${headName(r.source)}` : ''
}

function headName(r: Rule): string {
  const steps = r.head.ref.path.map((step) => (step.kind === 'string' ? `.${step.value}` : `[${step.loc.text}]`))
  return `${ruleName(r)}${steps.join('')}`
}

function functionsOf(root: RuleNode, options: CompileOptions): Functions {
  const builtin = (name: string): Builtin | undefined => {
    const found = options.functions?.get(name) ?? BUILTINS.get(name)
    const lent = found?.host === undefined || options.host === undefined || options.host[found.host] !== undefined
    return lent ? found : undefined
  }
  const arity = (op: RefTerm): number | undefined => {
    if (op.head.kind === 'var' && op.head.name === 'data') {
      const path: string[] = []
      for (const step of op.path) {
        if (step.kind !== 'string') return undefined
        path.push(step.value)
      }
      const [first] = root.find(path)?.rules ?? []
      return first === undefined ? undefined : (first.args?.length ?? 0)
    }
    const name = refName(op)
    return name === undefined ? undefined : builtin(name)?.decl.args.length
  }
  return { arity, builtin }
}

/** @throws {RegoError} if there is any finding */
export function throwFindings(findings: Findings, options: CompileOptions): void {
  const limit = options.errorLimit ?? 10
  const [first, ...rest] = findings.list.slice(0, limit)
  if (first === undefined) return
  const more: Diagnostic[] =
    findings.list.length > limit ? [{ code: 'rego_compile_error', message: 'error limit reached' }] : []
  throw new RegoError([first, ...rest, ...more])
}

/** A query in evaluable form: the stages that modules go through, but for those about rules. */
export function compileQuery(body: Body, program: Program, inPackage?: Module): { body: Body; names: Names } {
  const findings = new Findings()
  const names = new Names()
  const { functions, options, root } = program
  const stage = (b: Body): Body => {
    throwFindings(findings, options)
    return b
  }
  if (options.strict === true) checkRootVariables(body, findings)
  const globals = inPackage === undefined ? new Map() : globalsOf(inPackage, namesInPackage(program, inPackage))
  let out = stage(new Resolver(globals).body(body))
  out = stage(new Locals(names, findings, options.strict === true).body(out, new Set()))
  out = stage(new Printing(names, findings, functions, options.print === true).body(out, ROOTS))
  out = bindComprehensionTerms(new Flattener(names).body(out), names)
  out = stage(new WithTargets(names, findings, functions, root).body(out))
  checkCalls(out, functions, names, findings)
  stage(out)
  const ordered = orderBody(out, functions, ROOTS)
  if (ordered.unsafe.size > 0) reportUnsafe(ordered.unsafe, functions, names, findings)
  out = stage(ordered.body)
  out = new DynamicTerms(names).body(out)
  findings.list.push(...program.types.query(out, names))
  stage(out)
  checkForbidden(out, functions, new Set(options.forbidden), options.strict === true, findings)
  return { body: stage(out), names }
}

function namesInPackage(program: Program, module: Module): Set<string> {
  const key = module.package.path.join('\n')
  const same = program.modules.filter((m) => m.package.path.join('\n') === key)
  return new Set(same.flatMap((m) => m.rules.map(ruleName)))
}
