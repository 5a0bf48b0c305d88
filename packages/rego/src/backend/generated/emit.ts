import { BUILTINS } from '../../builtins/index.ts'
import { JOIN_FROM } from '../../eval/joins.ts'
import { functionName } from '../../plan/replacements.ts'
import type { Block, Clause, Emit, NodePlan, Op, Operand } from '../../plan/ir.ts'
import { FAST_CALLS } from '../fast/calls.ts'
import { Site } from '../fast/site.ts'
import { conditionOf, equality, inlineCall } from './inline.ts'
import { isDirect, propertyText } from './keys.ts'
import type { Writer } from './writer.ts'

/** How a block ends: what an operation does that fails, and what to do with a solution. */
type Flow = {
  readonly fail: string
  readonly emit: (e: Emit, fail: string) => void
}

/** What the generated functions of a program know of each other. */
export type Names = {
  /** Direct loads may be used: nobody has given built-in prototypes further members. */
  readonly direct: boolean
  /** A replacement may hide this rule. */
  readonly maskable: (node: number) => boolean
  /** A replacement may stand in for this function. */
  readonly mockable: (name: string) => boolean
}

/** Writes the operations of one function. */
export class FunctionWriter {
  readonly #w: Writer
  readonly #names: Names

  constructor(w: Writer, names: Names) {
    this.#w = w
    this.#names = names
  }

  read(o: Operand): string {
    return typeof o === 'object' ? this.#w.value(o.value) : `v${o}`
  }

  env(register: number): string {
    return register === 0 ? 'env' : `v${register}`
  }

  block(block: Block, flow: Flow): void {
    const { ops } = block
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i] as Op
      const next = ops[i + 1]
      // a call whose result is only asked for its truth
      if (op.op === 'builtin' && next?.op === 'truthy' && next.from === op.out) {
        const condition = this.#names.mockable(op.builtin.name) ? undefined : conditionOf(op, (o) => this.read(o))
        if (condition !== undefined) {
          this.#w.line(`if (!(${condition})) ${flow.fail}`)
          i++
          continue
        }
      }
      this.#op(op, flow)
    }
  }

  #define(out: number, text: string, flow: Flow): void {
    this.#w.line(`const v${out} = ${text};`)
    this.#w.line(`if (v${out} === undefined) ${flow.fail}`)
  }

  #op(op: Op, flow: Flow): void {
    const w = this.#w
    switch (op.op) {
      case 'move':
        return w.line(`const v${op.out} = ${this.read(op.from)};`)
      case 'input':
        return this.#define(op.out, `${this.env(op.env)}.input`, flow)
      case 'load':
        return this.#load(`v${op.out}`, this.read(op.from), op.key, flow)
      case 'step':
        return this.#step(op, flow)
      case 'scan':
        return this.#scan(op, flow)
      case 'base':
        return this.#base(op, flow)
      case 'rule':
        return this.#define(op.out, `r${op.node}(${this.env(op.env)})`, flow)
      case 'doc':
        return this.#define(op.out, `cursorAt(R, ${this.env(op.env)}, ${op.node})`, flow)
      case 'doc-step':
        return this.#define(op.out, `cursorStep(R, ${this.env(op.env)}, v${op.from}, ${this.read(op.key)})`, flow)
      case 'doc-scan': {
        const label = w.label('L')
        const entry = w.label('d')
        w.line(`${label}: for (const ${entry} of docEntries(R, ${this.env(op.env)}, v${op.from})) {`)
        this.#fuel()
        if (op.key !== undefined) w.line(`const v${op.key} = ${entry}[0];`)
        w.line(`const v${op.value} = ${entry}[1];`)
        this.block(op.body, { ...flow, fail: `continue ${label};` })
        w.line('}')
        return w.line(flow.fail)
      }
      case 'doc-value':
        return this.#define(op.out, `cursorValue(R, ${this.env(op.env)}, v${op.from})`, flow)
      case 'call':
        return this.#define(
          op.out,
          `f${op.node}(${[this.env(op.env), ...op.args.map((a) => this.read(a))].join(', ')})`,
          flow,
        )
      case 'builtin':
        return this.#define(op.out, this.#builtin(op), flow)
      case 'relation': {
        const label = w.label('L')
        const all = w.label('a')
        const args = op.args.map((a) => this.read(a)).join(', ')
        w.line(`const ${all} = callN(${this.env(op.env)}, ${w.builtin(op.builtin)}, ${w.constant(op.loc)}, [${args}]);`)
        w.line(`if (${all} === undefined) ${flow.fail}`)
        w.line(`${label}: for (const v${op.out} of ${all}) {`)
        this.#fuel()
        this.block(op.body, { ...flow, fail: `continue ${label};` })
        w.line('}')
        return w.line(flow.fail)
      }
      case 'walk': {
        const label = w.label('L')
        const walker = w.label('w')
        w.line(`const ${walker} = new Walker(${this.read(op.from)}, ${op.ordered});`)
        w.line(`${label}: while (${walker}.next()) {`)
        this.#fuel()
        w.line(`const v${op.value} = ${walker}.value;`)
        if (op.path !== undefined) w.line(`let v${op.path} = ${walker}.path;`)
        this.block(op.body, { ...flow, fail: `continue ${label};` })
        w.line('}')
        return w.line(flow.fail)
      }
      case 'own':
        return w.line(`v${op.path} = v${op.path}.slice();`)
      case 'print':
        return w.line(`${this.env(op.env)}.machine.show(${this.read(op.from)}, ${w.constant(op.loc)});`)
      case 'truthy':
        return w.line(`if (${this.read(op.from)} === false) ${flow.fail}`)
      case 'equal':
        return w.line(`if (!(${this.#equal(op.a, op.b)})) ${flow.fail}`)
      case 'is-array': {
        const v = this.read(op.from)
        return w.line(`if (!(Array.isArray(${v}) && ${v}.length === ${op.length})) ${flow.fail}`)
      }
      case 'is-object':
        return w.line(`if (!isObjectOf(${this.read(op.from)}, ${op.size})) ${flow.fail}`)
      case 'fail':
        return w.line(flow.fail)
      case 'array':
        return w.line(`const v${op.out} = [${op.items.map((i) => this.read(i)).join(', ')}];`)
      case 'set':
        return w.line(`const v${op.out} = RegoSet.of([${op.items.map((i) => this.read(i)).join(', ')}]);`)
      case 'object':
        return this.#object(op)
      case 'comprehension':
        return this.#comprehension(op)
      case 'not':
      case 'exists': {
        const found = this.#found(op.body)
        return w.line(`if (${op.op === 'not' ? '' : '!'}${found}) ${flow.fail}`)
      }
      case 'either': {
        const label = w.label('E')
        w.line(`${label}: {`)
        for (const b of op.blocks) w.line(`if (${this.#found(b)}) break ${label};`)
        w.line(flow.fail)
        return w.line('}')
      }
      case 'every':
        return this.#every(op, flow)
      case 'with':
        return this.#with(op)
      case 'emit':
        return flow.emit(op, flow.fail)
      case 'mark':
        return
    }
  }

  #fuel(): void {
    this.#w.line('if (--M.fuel < 0) M.refuel();')
  }

  /** Loads a member at a known key. On plain objects that is one load behind an inline cache. */
  #load(name: string, from: string, key: string, flow: Flow): void {
    const w = this.#w
    if (!this.#names.direct || !isDirect(key)) {
      w.line(`const ${name} = step(${from}, ${JSON.stringify(key)});`)
      return w.line(`if (${name} === undefined) ${flow.fail}`)
    }
    w.line(`let ${name} = typeof ${from} === 'object' && ${from} !== null ? ${from}${propertyText(key)} : undefined;`)
    w.line(
      `if (${name} === undefined && (${name} = member(${from}, ${JSON.stringify(key)})) === undefined) ${flow.fail}`,
    )
  }

  #step(op: Op & { op: 'step' }, flow: Flow): void {
    const from = this.read(op.from)
    const { key } = op
    if (typeof key === 'object' && typeof key.value === 'number' && key.value >= 0) {
      return this.#define(op.out, `Array.isArray(${from}) ? ${from}[${key.value}] : step(${from}, ${key.value})`, flow)
    }
    const k = this.read(key)
    this.#define(
      op.out,
      `Array.isArray(${from}) && typeof ${k} === 'number' ? ${from}[${k}] : step(${from}, ${k})`,
      flow,
    )
  }

  #base(op: Op & { op: 'base' }, flow: Flow): void {
    const w = this.#w
    if (!op.path.every((p) => typeof p === 'string')) {
      return this.#define(op.out, `baseAt(${this.env(op.env)}.data, ${w.constant(op.path)})`, flow)
    }
    let from = `${this.env(op.env)}.data`
    for (const [i, key] of op.path.entries()) {
      const name = i === op.path.length - 1 ? `v${op.out}` : w.label('b')
      this.#load(name, from, key as string, flow)
      from = name
    }
    if (op.path.length === 0) w.line(`const v${op.out} = ${from};`)
  }

  #scan(op: Op & { op: 'scan' }, flow: Flow): void {
    const w = this.#w
    const from = this.read(op.from)
    const label = w.label('L')
    const i = w.label('i')
    const keys = w.label('k')
    const values = w.label('x')
    w.line(`const ${values} = Array.isArray(${from}) ? ${from} : undefined;`)
    const { join } = op
    let at: string = i
    let all = `${values} === undefined ? keysOf(${from}, ${op.ordered}) : ${values}`
    const some = w.label('j')
    if (join !== undefined) {
      const wanted = `${w.constant(join.path)}, ${from}, ${this.read(join.equals)}`
      w.line(
        `const ${some} = ${values} !== undefined && ${values}.length < ${JOIN_FROM} ? undefined : env.machine.joins.candidates(${wanted});`,
      )
      all = `${some} !== undefined ? ${some} : ${all}`
      at = w.label('p')
    }
    w.line(`const ${keys} = ${all};`)
    w.line(`${label}: for (let ${i} = 0; ${i} < ${keys}.length; ${i}++) {`)
    this.#fuel()
    if (join !== undefined) w.line(`const ${at} = ${some} === undefined ? ${i} : ${keys}[${i}];`)
    if (op.key !== undefined) w.line(`const v${op.key} = ${values} === undefined ? ${keys}[${i}] : ${at};`)
    if (op.value !== undefined) {
      w.line(`const v${op.value} = ${values} === undefined ? valueAt(${from}, ${keys}[${i}]) : ${values}[${at}];`)
    }
    this.block(op.body, { ...flow, fail: `continue ${label};` })
    w.line('}')
    w.line(flow.fail)
  }

  #builtin(op: Op & { op: 'builtin' }): string {
    const w = this.#w
    const env = this.env(op.env)
    const args = op.args.map((a) => this.read(a))
    const b = w.builtin(op.builtin)
    const loc = w.constant(op.loc)
    if (this.#names.mockable(op.builtin.name)) return `R.builtin(${env}, ${b}, [${args.join(', ')}], ${loc})`
    const inline = inlineCall(op, (o) => this.read(o), `${b}, ${loc}`, env)
    if (inline !== undefined) return inline
    const fast = FAST_CALLS.get(op.builtin.name)
    if (op.builtin.name === 'count' && typeof op.args[0] === 'number') {
      return `Array.isArray(${args[0]}) ? ${args[0]}.length : count(${env}, ${w.constant(new Site(op.builtin, op.loc))}, ${args[0]})`
    }
    if (fast !== undefined && BUILTINS.get(op.builtin.name) === op.builtin) {
      return `${fast}(${[env, w.constant(new Site(op.builtin, op.loc)), ...args].join(', ')})`
    }
    if (args.length === 1) return `call1(${env}, ${b}, ${loc}, ${args[0]})`
    if (args.length === 2) return `call2(${env}, ${b}, ${loc}, ${args[0]}, ${args[1]})`
    return `callN(${env}, ${b}, ${loc}, [${args.join(', ')}])`
  }

  #equal(a: Operand, b: Operand): string {
    return equality([a, b], (o) => this.read(o))
  }

  #object(op: Op & { op: 'object' }): void {
    const w = this.#w
    const keys = op.entries.map(([k]) => (typeof k === 'object' ? k.value : undefined))
    if (keys.every((k) => typeof k === 'string') && new Set(keys).size === keys.length) {
      w.line(`const v${op.out} = newRecord();`)
      for (const [i, [, v]] of op.entries.entries()) {
        w.line(`v${op.out}[${JSON.stringify(keys[i])}] = ${this.read(v)};`)
      }
      return
    }
    const flat = op.entries.flatMap(([k, v]) => [this.read(k), this.read(v)])
    w.line(`const v${op.out} = objectFrom([${flat.join(', ')}]);`)
  }

  #comprehension(op: Op & { op: 'comprehension' }): void {
    const w = this.#w
    const label = w.label('C')
    const { out, kind } = op
    const into = kind === 'object' ? w.label('o') : `v${out}`
    w.line(`const ${into} = ${kind === 'array' ? '[]' : kind === 'set' ? 'new RegoSet()' : 'new ObjectBuilder()'};`)
    w.line(`${label}: {`)
    this.block(op.body, {
      fail: `break ${label};`,
      emit: (e, fail) => {
        if (e.what === 'entry') {
          w.line(`addEntry(env, ${into}, ${this.read(e.key)}, ${this.read(e.value)}, ${w.constant(op.loc)});`)
        } else if (e.what === 'value' && kind === 'array') {
          w.line(`${into}.push(${this.read(e.value)}); if (--M.memory < 0) M.grow();`)
        } else if (e.what === 'value') {
          w.line(`if (${into}.add(${this.read(e.value)}) && --M.memory < 0) M.grow();`)
        }
        w.line(fail)
      },
    })
    w.line('}')
    if (kind === 'object') w.line(`const v${out} = ${into}.finish();`)
  }

  /** Writes a block that stops at its first solution. @returns the name of a boolean that says whether there was one */
  #found(block: Block): string {
    const w = this.#w
    const label = w.label('N')
    const found = w.label('n')
    w.line(`let ${found} = false;`)
    w.line(`${label}: {`)
    this.block(block, { fail: `break ${label};`, emit: () => w.line(`${found} = true; break ${label};`) })
    w.line('}')
    return found
  }

  #every(op: Op & { op: 'every' }, flow: Flow): void {
    const w = this.#w
    const domain = this.read(op.domain)
    const i = w.label('i')
    const keys = w.label('k')
    const values = w.label('x')
    const all = w.label('e')
    w.line(`if (!isCollection(${domain})) ${flow.fail}`)
    w.line(`const ${values} = Array.isArray(${domain}) ? ${domain} : undefined;`)
    w.line(`const ${keys} = ${values} === undefined ? keysOf(${domain}, false) : ${values};`)
    w.line(`let ${all} = true;`)
    w.line(`for (let ${i} = 0; ${i} < ${keys}.length; ${i}++) {`)
    this.#fuel()
    if (op.key !== undefined) w.line(`const v${op.key} = ${values} === undefined ? ${keys}[${i}] : ${i};`)
    w.line(`const v${op.value} = ${values} === undefined ? valueAt(${domain}, ${keys}[${i}]) : ${values}[${i}];`)
    const found = this.#found(op.body)
    w.line(`if (!${found}) { ${all} = false; break; }`)
    w.line('}')
    w.line(`if (!${all}) ${flow.fail}`)
  }

  #with(op: Op & { op: 'with' }): void {
    const w = this.#w
    const used = new Set<number>()
    const note = (o: Operand): void => {
      if (typeof o === 'number') used.add(o)
    }
    for (const t of op.targets) {
      if (t.kind === 'function') {
        if ('value' in t.by) note(t.by.value)
      } else for (const o of [...t.path, t.value]) note(o)
    }
    const registers = [...used].map((r) => `${r}: v${r}`).join(', ')
    w.line(`const v${op.out} = withTargets(${this.env(op.env)}, ${w.constant(op.targets)}, { ${registers} });`)
  }

  /** The functions of a rule node. */
  node(node: NodePlan): void {
    switch (node.kind) {
      case 'none':
        return
      case 'complete':
        this.#ruleWrapper(node, () => this.#valueBody(node, 'completeConflict'))
        return
      case 'set':
        this.#ruleWrapper(node, () => this.#setBody(node))
        return
      case 'partial':
        return this.#extentFunction(node)
      case 'function': {
        const w = this.#w
        const params = Array.from({ length: node.arity }, (_, i) => `v${i + 1}`).join(', ')
        w.line(`function f${node.id}(env, ${params}) {`)
        const name = functionName(node)
        if (this.#names.mockable(name)) {
          const loc = w.constant(node.loc)
          w.line(`const mock = env.mocks === undefined ? undefined : env.mocks.get(${JSON.stringify(name)});`)
          w.line(`if (mock !== undefined) return R.mocked(env, mock, [${params}], ${loc});`)
        }
        w.line('const M = env.budget;')
        this.#fuel()
        w.line('if (--M.depth < 0) M.tooDeep();')
        w.line(`const out = g${node.id}(env, M, ${params});`)
        w.line('M.depth++;')
        w.line('return out;')
        w.line('}')
        w.line(`function g${node.id}(env, M, ${params}) {`)
        this.#valueBody(node, 'functionConflict')
        w.line('}')
      }
    }
  }

  /** A rule is computed once in each environment. */
  #ruleWrapper(node: NodePlan, body: () => void): void {
    const w = this.#w
    const { id } = node
    w.line(`function r${id}(env) {`)
    // what fails in strict mode is undefined in the other: the two share nothing
    w.line(node.constant ? 'const memo = env.machine.strict ? env.memo : constants;' : 'const memo = env.memo;')
    w.line(`const known = memo[${id}];`)
    w.line('if (known !== undefined) return known === ABSENT ? undefined : known;')
    w.line('const M = env.budget;')
    this.#fuel()
    w.line('let out;')
    if (this.#names.maskable(id)) {
      w.line(`if (env.masks !== undefined && env.masks.has(${id})) out = baseAt(env.data, ${w.constant(node.path)});`)
      w.line('else {')
    } else w.line('{')
    w.line('if (--M.depth < 0) M.tooDeep();')
    w.line(`out = s${id}(env, M);`)
    w.line('M.depth++;')
    w.line('}')
    w.line(`memo[${id}] = out === undefined ? ABSENT : out;`)
    w.line('return out;')
    w.line('}')
    w.line(`function s${id}(env, M) {`)
    body()
    w.line('}')
  }

  /** Writes all clauses, or where there is an index, a switch that runs those that it selects. */
  #eachClause({ clauses, index }: NodePlan, write: (clause: Clause) => void): void {
    const w = this.#w
    if (index === undefined) {
      for (const clause of clauses) write(clause)
      return
    }
    const selected = w.label('s')
    const i = w.label('i')
    w.line(
      `const ${selected} = ${w.constant(index)}.select(${index.root === 'input' ? 'env.input' : this.read(index.root)});`,
    )
    w.line(`for (let ${i} = 0; ${i} < ${selected}.length; ${i}++) switch (${selected}[${i}]) {`)
    for (const [n, clause] of clauses.entries()) {
      w.line(`case ${n}: {`)
      write(clause)
      w.line('break; }')
    }
    w.line('}')
  }

  /** The value of a complete rule or function: clauses in order, which must agree. */
  #valueBody(node: NodePlan, conflict: string): void {
    const w = this.#w
    const { clauses } = node
    const only = clauses.length === 1
    if (!only && !node.firstDecides) w.line('let out;')
    this.#eachClause(node, (clause) => {
      if (only || node.firstDecides) this.#returningClause(clause, conflict)
      else {
        const value = this.#clause(clause, conflict)
        w.line(`if (${value} !== undefined) {`)
        w.line(`if (out === undefined) out = ${value};`)
        w.line(`else if (!(out === ${value} || equal(out, ${value}))) throw ${conflict}(${w.constant(clause.loc)});`)
        w.line('}')
      }
    })
    if (!only && !node.firstDecides) w.line('if (out !== undefined) return out;')
    if (node.fallback !== undefined) this.#returningClause(node.fallback, conflict)
    w.line('return undefined;')
  }

  /** A clause whose value is the function's. */
  #returningClause(clause: Clause, conflict: string): void {
    const w = this.#w
    for (let c: Clause | undefined = clause; c !== undefined; c = c.else) {
      if (c.single || c.constant !== undefined) {
        const label = w.label('B')
        w.line(`${label}: {`)
        this.block(c.block, {
          fail: `break ${label};`,
          emit: (e) => w.line(`return ${this.read((e as Emit & { what: 'value' }).value)};`),
        })
        w.line('}')
      } else {
        const value = this.#block(c, conflict)
        w.line(`if (${value} !== undefined) return ${value};`)
      }
    }
  }

  /** @returns the name of the clause's value */
  #clause(clause: Clause, conflict: string): string {
    const w = this.#w
    const value = this.#block(clause, conflict)
    if (clause.else !== undefined) {
      w.line(`if (${value} === undefined) {`)
      const otherwise = this.#clause(clause.else, conflict)
      w.line(`${value} = ${otherwise};`)
      w.line('}')
    }
    return value
  }

  #block(clause: Clause, conflict: string): string {
    const w = this.#w
    const label = w.label('B')
    const value = w.label('c')
    w.line(`let ${value};`)
    w.line(`${label}: {`)
    this.block(clause.block, {
      fail: `break ${label};`,
      emit: (e, fail) => {
        const is = this.read((e as Emit & { what: 'value' }).value)
        if (clause.single || clause.constant !== undefined) w.line(`${value} = ${is}; break ${label};`)
        else {
          w.line(`if (${value} === undefined) ${value} = ${is};`)
          w.line(
            `else if (!(${value} === ${is} || equal(${value}, ${is}))) throw ${conflict}(${w.constant(clause.loc)});`,
          )
          w.line(fail)
        }
      },
    })
    w.line('}')
    return value
  }

  #setBody(node: NodePlan): void {
    const w = this.#w
    w.line('const out = new RegoSet();')
    this.#eachClause(node, (clause) => {
      const label = w.label('B')
      const once = clause.single || clause.constant !== undefined
      w.line(`${label}: {`)
      this.block(clause.block, {
        fail: `break ${label};`,
        emit: (e, fail) => {
          const { value } = e as Emit & { what: 'value' }
          w.line(`if (out.add(${this.read(value)}) && --M.memory < 0) M.grow();`)
          w.line(once ? `break ${label};` : fail)
        },
      })
      w.line('}')
    })
    w.line('return out;')
  }

  #extentFunction(node: NodePlan): void {
    const w = this.#w
    w.line(`function x${node.id}(env, M) {`)
    w.line('const out = new Branch();')
    this.#eachClause(node, (clause) => {
      const label = w.label('B')
      w.line(`${label}: {`)
      this.block(clause.block, {
        fail: `break ${label};`,
        emit: (e, fail) => {
          const { path, value, set } = e as Emit & { what: 'path' }
          const keys = path.map((p) => this.read(p)).join(', ')
          w.line(
            `if (out.add([${keys}], ${this.read(value)}, ${set}, ${w.constant(clause.loc)}) && --M.memory < 0) M.grow();`,
          )
          w.line(fail)
        },
      })
      w.line('}')
    })
    w.line('return out;')
    w.line('}')
  }

  /** The function of a query. */
  query(block: Block): void {
    const w = this.#w
    w.line('return function query(env, onRow) {')
    w.line('const M = env.budget;')
    w.line('Q: {')
    this.block(block, {
      fail: 'break Q;',
      emit: (e, fail) => {
        const { values } = e as Emit & { what: 'row' }
        w.line(`if (!onRow([${values.map((v) => this.read(v)).join(', ')}])) break Q;`)
        w.line(fail)
      },
    })
    w.line('}')
    w.line('};')
  }
}
