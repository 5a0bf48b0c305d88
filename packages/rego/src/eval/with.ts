import type { Operand, Target } from '../plan/ir.ts'
import { isObject, objectEntries, ObjectBuilder, type Value } from '../value/index.ts'
import { Env, type Mock } from './env.ts'

/** `document` with `value` at a path. What stands in the way and is no object gives way. */
export function replaceAt(document: Value | undefined, path: readonly Value[], value: Value): Value {
  const [key, ...rest] = path
  if (key === undefined) return value
  const builder = new ObjectBuilder()
  let below: Value | undefined
  if (document !== undefined && isObject(document)) {
    for (const [k, v] of objectEntries(document)) builder.set(k, v)
    below = builder.get(key)
  }
  builder.set(key, replaceAt(below, rest, value))
  return builder.finish()
}

/** The environment under a `with`. `read` gives the value of an operand. */
export function replaced(env: Env, targets: readonly Target[], read: (o: Operand) => Value): Env {
  let { input, data, masks, mocks } = env
  for (const t of targets) {
    if (t.kind === 'input') input = replaceAt(input, t.path.map(read), read(t.value))
    else if (t.kind === 'data') {
      data = replaceAt(data, t.path.map(read), read(t.value))
      if (t.masks.length > 0) masks = new Set([...(masks ?? []), ...t.masks])
    } else mocks = new Map([...(mocks ?? []), [t.name, mockOf(t, read)]])
  }
  return new Env(env.machine, input, data, [], masks, mocks)
}

function mockOf(t: Target & { kind: 'function' }, read: (o: Operand) => Value): Mock {
  if ('node' in t.by) return { kind: 'node', node: t.by.node }
  if ('builtin' in t.by) return { kind: 'builtin', builtin: t.by.builtin }
  return { kind: 'value', value: read(t.by.value) }
}
