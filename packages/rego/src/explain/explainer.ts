import { Closures, type Hooks } from '../backend/closures.ts'
import type { Program } from '../compile/compiler.ts'
import type { Names } from '../compile/names.ts'
import { pathText } from '../compile/rule.ts'
import type { HostFunctions } from '../builtins/index.ts'
import { RegoError } from '../errors.ts'
import { Env } from '../eval/env.ts'
import { Machine, type EvalOptions } from '../eval/machine.ts'
import { Pending } from '../eval/settle.ts'
import type { QueryPlan } from '../plan/ir.ts'
import { planProgram, planQuery } from '../plan/planner.ts'
import { collectReplacements, type Replacements } from '../plan/replacements.ts'
import type { Body } from '../syntax/ast.ts'
import { newRecord, type Value } from '../value/index.ts'
import type { Explanation, FailedExpression, RuleExplanation } from './explanation.ts'
import { findFlips, removals, type FlipLimits } from './flip.ts'
import { Tracer, type Failure } from './tracer.ts'

export type ExplainOptions = FlipLimits & {
  /** What the decision is, from the query's value. Default: the value is `true`, or an object whose `allow` is. */
  readonly decide?: (value: Value | undefined) => boolean
}

/** The rows of an evaluation, as registers. */
type Rows = readonly (readonly Value[])[]

/** Evaluates one query so that its outcome can be explained. */
export class Explainer {
  readonly #closures: Closures
  readonly #run: (env: Env, onRow: (values: Value[]) => boolean) => void
  readonly #plan: QueryPlan
  readonly #switch = new HookSwitch()
  readonly #resultAt: number
  readonly #host: HostFunctions

  /** @param resultAt - Which value of a row is the query's; below 0 if none is. */
  constructor(program: Program, query: { body: Body; names: Names }, resultName: string, host: HostFunctions) {
    const needs: Replacements = { nodes: new Set(), functions: new Set() }
    collectReplacements(query.body, program.root, needs)
    const plan = planProgram(program, true, needs)
    this.#plan = planQuery(query.body, query.names, plan)
    this.#closures = new Closures(plan, this.#switch)
    this.#run = this.#closures.query(this.#plan)
    this.#resultAt = this.#plan.names.indexOf(resultName)
    this.#host = host
  }

  get names(): readonly string[] {
    return this.#plan.names
  }

  /**
   * Evaluates, and explains the outcome: both come from the same run.
   *
   * @param decideAgain - Evaluates the query's value on another input, for the search of what would change the decision.
   */
  explain(
    input: Value | undefined,
    data: Value,
    machine: Machine,
    options: ExplainOptions,
    evalOptions: EvalOptions,
    decideAgain: (input: Value | undefined) => Value | undefined,
  ): { readonly rows: Rows; readonly explanation: Explanation } {
    const tracer = new Tracer(input)
    const rows = this.#trace(tracer, input, data, machine)
    const decide = options.decide ?? isAllowed
    const decision = decide(this.#valueOf(rows))
    const flips = findFlips(
      input,
      {
        decide: (other) => quietly(() => decide(decideAgain(other))),
        questions: (other) => {
          if (other === input) return tracer.questions
          const again = new Tracer(other)
          quietly(() => this.#trace(again, other, data, new Machine(evalOptions, this.#host)))
          return again.questions
        },
      },
      options,
    )
    // changes that take something away are what one says last
    const sets = [...flips.sets].sort((a, b) => removals(a) - removals(b))
    const explanation: Explanation = {
      decision,
      rules: rulesOf(tracer),
      flip: sets[0],
      flips: sets,
      complete: flips.complete,
      outside: tracer.outside,
    }
    return { rows, explanation }
  }

  #valueOf(rows: Rows): Value | undefined {
    const [first] = rows
    if (first === undefined) return undefined
    return this.#resultAt < 0 ? true : first[this.#resultAt]
  }

  #trace(tracer: Tracer, input: Value | undefined, data: Value, machine: Machine): Rows {
    const env = new Env(machine, input, data, new Array(this.#closures.nodes.length), undefined, undefined)
    const rows: Value[][] = []
    this.#switch.to = tracer
    try {
      this.#run(env, (values) => {
        rows.push(values)
        return true
      })
    } finally {
      this.#switch.to = undefined
    }
    return rows
  }
}

function isAllowed(v: Value | undefined): boolean {
  if (v === true) return true
  return typeof v === 'object' && v !== null && (v as { allow?: unknown }).allow === true
}

/** What an evaluation with a changed input gives; undefined where it has no answer. */
function quietly<R>(run: () => R): R | undefined {
  try {
    return run()
  } catch (e) {
    if (e instanceof RegoError || e instanceof Pending) return undefined
    throw e
  }
}

function rulesOf(tracer: Tracer): RuleExplanation[] {
  return [...tracer.nodes.values()].map(({ node, clauses, value }) => ({
    path: pathText(node.path),
    kind: node.kind === 'function' ? 'function' : 'rule',
    value,
    bodies: [...clauses.values()]
      .filter(({ clause }) => !clause.rule.default)
      .map(({ loc, tried, held, failure }) => ({
        location: loc,
        tried,
        held,
        failed: failure && failedOf(failure),
      })),
  }))
}

function failedOf(f: Failure): FailedExpression {
  const variables = newRecord()
  for (const [name, value] of f.variables) variables[name] = value
  return {
    location: f.expr.loc,
    text: f.expr.loc.text,
    variables,
    reads: [...f.reads].map(([text, value]) => ({ text, value })),
    inside: f.inside && failedOf(f.inside),
  }
}

type AllHooks = Required<Hooks>

/** Lets one set of closures serve many traced runs. */
class HookSwitch implements AllHooks {
  to: Tracer | undefined

  readonly enterClause: AllHooks['enterClause'] = (f, node, clause) => this.to?.enterClause(f, node, clause)
  readonly leaveClause: AllHooks['leaveClause'] = (f, clause, held) => this.to?.leaveClause(f, clause, held)
  readonly leaveNode: AllHooks['leaveNode'] = (env, node, value) => this.to?.leaveNode(env, node, value)
  readonly mark: AllHooks['mark'] = (f, op) => this.to?.mark(f, op)
  readonly after: AllHooks['after'] = (f, op, failed) => this.to?.after(f, op, failed)
  readonly element: AllHooks['element'] = (f, op) => this.to?.element(f, op)
  readonly enterBlock: AllHooks['enterBlock'] = () => this.to?.enterBlock()
  readonly leaveBlock: AllHooks['leaveBlock'] = (f, op) => this.to?.leaveBlock(f, op)
  readonly emit: AllHooks['emit'] = (f, e) => this.to?.emit(f, e)
  readonly passing: AllHooks['passing'] = (f, args) => this.to?.passing(f, args)
}
