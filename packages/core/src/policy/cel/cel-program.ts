import { type CelEnv, type CelInput, type CelResult, celEnv, isCelError, parse, plan, unparse } from '@bufbuild/cel'
import { strings } from '@bufbuild/cel/ext'
import { MAX_CEL_BYTES } from '../../agreement/agreement.ts'
import { utf8 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { Meter } from './meter.ts'
import { type CelExpr, type CelParsed, conjunctsOf, depthOf, partsOf } from './syntax.ts'

/** What one term of an expression gave. */
export type CelAnswer =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'bound' }

/** One term of the expression's conjunction. */
export interface CelTerm {
  readonly text: string
  readonly expr: CelExpr
  /** @internal Use `evaluateCel`. */
  readonly run: (variables: CelVariables) => CelResult
}

/** An expression is true exactly when all its terms are: `&&` commutes, and an error in it is never true. */
export interface CelProgram {
  readonly text: string
  readonly terms: readonly CelTerm[]
}

export type CelVariables = Readonly<Record<string, CelInput>>

/** Nesting that the parser, which recurses, walks without trouble; and of the tree that it gives, for all that walk it. */
const MAX_DEPTH = 64
const MAX_TREE_DEPTH = 256
const OPERATORS = new Set(['_&&_', '_||_', '_?_:_', '_==_', '_!=_', '_[_]', '@in', '@not_strictly_false', '!_'])
/** Operators that look at their operands one by one, or only at what is true. */
const LAZY = new Set(['_&&_', '_||_', '_?_:_', '_[_]', '@not_strictly_false', '!_'])
/** Functions that may take more than one look at each part of their operands. */
const COSTLY = new Set(['matches', 'contains', ...strings.map((f) => f.name)])
/** Names of types are values; everything else that an expression may read is a variable. */
const TYPE_NAMES = new Set(['bool', 'bytes', 'double', 'int', 'list', 'map', 'null_type', 'string', 'type', 'uint'])

/** Programs follow from their text alone, so each is read once. */
const MAX_KEPT = 256
const compiled = new Map<string, CelProgram>()
const meter = new Meter()
let kept: CelEnv | undefined
const environment = (): CelEnv => (kept ??= celEnv({ funcs: [...strings, ...meter.functions] }))

/**
 * Reads a CEL expression.
 *
 * @param variables - Names that it may read.
 * @throws {VouchsafeError} `policy.invalid`, also for an unknown function or variable, which CEL itself would only tell
 *   at run time (F05)
 */
export function compileCel(text: string, variables: readonly string[]): CelProgram {
  const key = JSON.stringify([text, variables])
  const known = compiled.get(key)
  if (known !== undefined) return known
  const program = read(text, variables)
  if (compiled.size >= MAX_KEPT) compiled.clear()
  compiled.set(key, program)
  return program
}

function read(text: string, variables: readonly string[]): CelProgram {
  if (utf8(text).length > MAX_CEL_BYTES) throw invalid(text, `over ${MAX_CEL_BYTES} bytes`)
  const nesting = deepest(text)
  if (nesting > MAX_DEPTH) throw invalid(text, `nested ${nesting} deep, at most ${MAX_DEPTH}`)
  const tree = parsed(text)
  const { expr } = tree
  const depth = depthOf(expr)
  if (depth > MAX_TREE_DEPTH) throw invalid(text, `a tree ${depth} deep, at most ${MAX_TREE_DEPTH}`)
  checkNames(expr, new Set(variables), text)
  const env = environment()
  return {
    text,
    terms: conjunctsOf(expr).map((term) => {
      const shown = unparse({ ...tree, expr: term })
      return { text: shown, expr: term, run: planned(env, term, text) }
    }),
  }
}

/** A JSON-shaped value as CEL reads it. Objects become maps, which have no inherited names; whole numbers are integers. */
export function toCelVariables(values: Readonly<Record<string, unknown>>): CelVariables {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, toCel(value)]))
}

function toCel(value: unknown): CelInput {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  if (Array.isArray(value)) return value.map(toCel)
  if (typeof value === 'object') return new Map(Object.entries(value).map(([k, v]) => [k, toCel(v)]))
  throw new VouchsafeError('internal', `a claim is ${typeof value}`)
}

/**
 * The answers of every term of some expressions, in order. They share one bound; once it is hit nothing more is asked.
 *
 * @param variables - As `toCelVariables` makes them.
 */
export function evaluateCel(programs: readonly CelProgram[], variables: CelVariables): readonly CelAnswer[] {
  meter.start()
  return programs.flatMap(({ terms }) =>
    terms.map(({ run }): CelAnswer => {
      const value = meter.exhausted ? null : run(variables)
      if (meter.exhausted) return { kind: 'bound' } // whatever it answered then is worth nothing
      return isCelError(value) ? { kind: 'error', message: value.message } : { kind: 'value', value }
    }),
  )
}

function parsed(text: string): CelParsed & { readonly expr: CelExpr } {
  let tree: CelParsed
  try {
    tree = parse(text)
  } catch (cause) {
    throw invalid(text, (cause as Error).message, cause)
  }
  const { expr } = tree
  if (expr === undefined) throw invalid(text, 'no expression')
  return { ...tree, expr }
}

function planned(env: CelEnv, expr: CelExpr, text: string): (values: CelVariables) => CelResult {
  try {
    return plan(env, metered(expr))
  } catch (cause) {
    throw invalid(text, (cause as Error).message, cause)
  }
}

/** The expression with calls of the meter put in. */
function metered(expr: CelExpr): CelExpr {
  const { exprKind } = expr
  switch (exprKind.case) {
    case 'selectExpr': {
      const { operand } = exprKind.value
      return operand === undefined
        ? expr
        : { ...expr, exprKind: { case: 'selectExpr', value: { ...exprKind.value, operand: metered(operand) } } }
    }
    case 'callExpr': {
      const { function: name, target } = exprKind.value
      const scales = LAZY.has(name) ? null : COSTLY.has(name) ? '@squared' : '@weighed'
      const weighed = (part: CelExpr) => (scales === null ? metered(part) : call(part, scales, [metered(part)]))
      const on = target === undefined ? {} : { target: weighed(target) }
      const args = exprKind.value.args.map(weighed)
      return { ...expr, exprKind: { case: 'callExpr', value: { ...exprKind.value, ...on, args } } }
    }
    case 'listExpr': {
      const elements = exprKind.value.elements.map(metered)
      return { ...expr, exprKind: { case: 'listExpr', value: { ...exprKind.value, elements } } }
    }
    case 'structExpr': {
      const entries = exprKind.value.entries.map((entry) => ({
        ...entry,
        ...(entry.keyKind.case === 'mapKey'
          ? { keyKind: { case: 'mapKey' as const, value: metered(entry.keyKind.value) } }
          : {}),
        ...(entry.value === undefined ? {} : { value: metered(entry.value) }),
      }))
      return { ...expr, exprKind: { case: 'structExpr', value: { ...exprKind.value, entries } } }
    }
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value
      if (!iterRange || !accuInit || !loopCondition || !loopStep || !result) return expr
      return {
        ...expr,
        exprKind: {
          case: 'comprehensionExpr',
          value: {
            ...exprKind.value,
            iterRange: metered(iterRange),
            accuInit: metered(accuInit),
            loopCondition: call(loopCondition, '@tick', [metered(loopCondition)]),
            loopStep: metered(loopStep),
            result: metered(result),
          },
        },
      }
    }
    default:
      return expr
  }
}

function call(at: CelExpr, name: string, args: CelExpr[]): CelExpr {
  return {
    $typeName: 'cel.expr.Expr',
    id: at.id,
    exprKind: { case: 'callExpr', value: { $typeName: 'cel.expr.Expr.Call', function: name, args } },
  }
}

function checkNames(expr: CelExpr, variables: ReadonlySet<string>, text: string): void {
  const { exprKind } = expr
  if (exprKind.case === 'identExpr') {
    const { name } = exprKind.value
    if (!variables.has(name) && !TYPE_NAMES.has(name))
      throw invalid(text, `${name} is not known; expressions read ${[...variables].join(', ')}`)
  }
  if (exprKind.case === 'callExpr') {
    const { function: name } = exprKind.value
    if (!OPERATORS.has(name) && environment().funcs.find(name) === undefined)
      throw invalid(text, `there is no function ${name}`)
  }
  if (exprKind.case === 'structExpr' && exprKind.value.messageName !== '')
    throw invalid(text, `there is no type ${exprKind.value.messageName}`)
  const inner =
    exprKind.case === 'comprehensionExpr'
      ? new Set([...variables, exprKind.value.iterVar, exprKind.value.accuVar])
      : variables
  for (const part of partsOf(expr)) checkNames(part, inner, text)
}

/** How deep brackets and prefix operators nest, strings aside: looked at before the parser, which recurses. */
function deepest(text: string): number {
  let depth = 0
  let most = 0
  for (const [token] of text.matchAll(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[([{]|[)\]}]|[!-]+|\?/g)) {
    if ('([{'.includes(token)) most = Math.max(most, ++depth)
    else if (')]}'.includes(token)) depth--
    else if (/^[!-]/.test(token)) most = Math.max(most, depth + token.length)
    else if (token === '?') most = Math.max(most, ++depth)
  }
  return most
}

function invalid(text: string, why: string, cause?: unknown): VouchsafeError {
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text
  return new VouchsafeError('policy.invalid', `CEL ${JSON.stringify(shown)}: ${why}`, { cause })
}
