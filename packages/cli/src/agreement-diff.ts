/** One difference between two versions of an agreement: where, and both values as JSON; `(absent)` where there is none. */
export interface Change {
  readonly path: string
  readonly before: string
  readonly after: string
}

/** Every leaf that differs, in the order of the first version, then what only the second has. */
export function diffAgreements(before: unknown, after: unknown, path = ''): readonly Change[] {
  if (isRecord(before) && isRecord(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return names.flatMap((name) => diffAgreements(before[name], after[name], path === '' ? name : `${path}.${name}`))
  }
  const [a, b] = [show(before), show(after)]
  return a === b ? [] : [{ path, before: a, after: b }]
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function show(value: unknown): string {
  return value === undefined ? '(absent)' : JSON.stringify(value)
}
