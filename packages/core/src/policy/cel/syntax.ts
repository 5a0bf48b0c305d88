import { parse } from '@bufbuild/cel'

/** The library's syntax tree. */
export type CelParsed = ReturnType<typeof parse>
export type CelExpr = NonNullable<CelParsed['expr']>
type Kinds = CelExpr['exprKind']
export type CelCall = Extract<Kinds, { case: 'callExpr' }>['value']
export type CelComprehension = Extract<Kinds, { case: 'comprehensionExpr' }>['value']

/** Direct parts of an expression, in no promised order. */
export function partsOf(expr: CelExpr): readonly CelExpr[] {
  const { exprKind } = expr
  switch (exprKind.case) {
    case 'selectExpr':
      return present(exprKind.value.operand)
    case 'callExpr':
      return [...present(exprKind.value.target), ...exprKind.value.args]
    case 'listExpr':
      return exprKind.value.elements
    case 'structExpr':
      return exprKind.value.entries.flatMap((e) => [
        ...(e.keyKind.case === 'mapKey' ? [e.keyKind.value] : []),
        ...present(e.value),
      ])
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value
      return [iterRange, accuInit, loopCondition, loopStep, result].flatMap(present)
    }
    default:
      return []
  }
}

/** Depth of the tree, level by level: it may be deeper than a stack. */
export function depthOf(expr: CelExpr): number {
  let depth = 0
  for (let level: readonly CelExpr[] = [expr]; level.length > 0; level = level.flatMap(partsOf)) depth++
  return depth
}

/** The terms of a top-level conjunction: it is true exactly when each of them is. */
export function conjunctsOf(expr: CelExpr): readonly CelExpr[] {
  const { exprKind } = expr
  return exprKind.case === 'callExpr' && exprKind.value.function === '_&&_'
    ? exprKind.value.args.flatMap(conjunctsOf)
    : [expr]
}

/** The value of a constant that claims can be compared with; undefined for everything else. */
export function literalOf(expr: CelExpr): string | number | boolean | null | undefined {
  const { exprKind } = expr
  if (exprKind.case !== 'constExpr') return undefined
  const { constantKind } = exprKind.value
  switch (constantKind.case) {
    case 'stringValue':
    case 'boolValue':
      return constantKind.value
    case 'int64Value':
    case 'uint64Value':
    case 'doubleValue':
      return Number(constantKind.value)
    case 'nullValue':
      return null
    default:
      return undefined
  }
}

function present<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value]
}
