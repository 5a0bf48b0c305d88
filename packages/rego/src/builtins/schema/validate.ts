import { isArray, isRecord, jsonName, recordGet, type RegoRecord, type Value } from '../../value/index.ts'
import { BuiltinError, type BuiltinContext } from '../contract.ts'
import { compileRegex } from '../regex.ts'
import { misfit, typeMisfit, valueMisfits, type Misfit } from './misfits.ts'
import { mapOf, resolveReference, type Schema } from './schema.ts'

const MAX_DEPTH = 500

/** Matches documents against one checked schema. */
export class Matcher {
  readonly #ctx: BuiltinContext
  readonly #root: Schema

  constructor(ctx: BuiltinContext, root: Schema) {
    this.#ctx = ctx
    this.#root = root
  }

  /** Everything that does not fit; empty if the document matches. */
  misfits(v: Value): Misfit[] {
    return this.#match(this.#root, v, [], 0)
  }

  #match(schema: Schema, v: Value, path: readonly string[], depth: number): Misfit[] {
    this.#ctx.spend(1)
    if (depth > MAX_DEPTH) throw new BuiltinError('schema references itself without end')
    if (typeof schema === 'boolean') return schema ? [] : [misfit(path, 'false', 'False always fails validation')]
    const ref = recordGet(schema, '$ref')
    if (typeof ref === 'string') return this.#match(resolveReference(this.#root, ref), v, path, depth + 1)
    const wrongType = typeMisfit(schema, v, path)
    if (wrongType !== undefined) return [wrongType]
    return [
      ...valueMisfits(schema, v, path),
      ...this.#combined(schema, v, path, depth + 1),
      ...this.#inside(schema, v, path, depth + 1),
    ]
  }

  #fits(schema: Value, v: Value, path: readonly string[], depth: number): boolean {
    return this.#match(schema as Schema, v, path, depth).length === 0
  }

  #combined(schema: RegoRecord, v: Value, path: readonly string[], depth: number): Misfit[] {
    const out: Misfit[] = []
    const count = (name: string): number | undefined => {
      const list = recordGet(schema, name)
      return isArray(list) ? list.filter((sub) => this.#fits(sub, v, path, depth)).length : undefined
    }
    const all = recordGet(schema, 'allOf')
    if (isArray(all)) {
      const inner = all.flatMap((sub) => this.#match(sub as Schema, v, path, depth))
      out.push(...inner)
      if (inner.length > 0) out.push(misfit(path, 'number_all_of', 'Must validate all the schemas (allOf)'))
    }
    if (count('anyOf') === 0) {
      out.push(misfit(path, 'number_any_of', 'Must validate at least one schema (anyOf)'))
    }
    const one = count('oneOf')
    if (one !== undefined && one !== 1) {
      out.push(misfit(path, 'number_one_of', 'Must validate one and only one schema (oneOf)'))
    }
    const not = recordGet(schema, 'not')
    if (not !== undefined && this.#fits(not, v, path, depth)) {
      out.push(misfit(path, 'number_not', 'Must not validate the schema (not)'))
    }
    return [...out, ...this.#condition(schema, v, path, depth)]
  }

  #condition(schema: RegoRecord, v: Value, path: readonly string[], depth: number): Misfit[] {
    const condition = recordGet(schema, 'if')
    if (condition === undefined) return []
    const holds = this.#fits(condition, v, path, depth)
    const branch = recordGet(schema, holds ? 'then' : 'else')
    const inner = branch === undefined ? [] : this.#match(branch as Schema, v, path, depth)
    if (inner.length === 0) return []
    const what = holds ? 'Must validate "then" as "if" was valid' : 'Must validate "else" as "if" was not valid'
    return [misfit(path, holds ? 'condition_then' : 'condition_else', what), ...inner]
  }

  #inside(schema: RegoRecord, v: Value, path: readonly string[], depth: number): Misfit[] {
    if (isArray(v)) return this.#elements(schema, v, path, depth)
    return isRecord(v) ? this.#members(schema, v, path, depth) : []
  }

  #elements(schema: RegoRecord, v: readonly Value[], path: readonly string[], depth: number): Misfit[] {
    const items = recordGet(schema, 'items')
    const at = (sub: Value, x: Value, i: number): Misfit[] => this.#match(sub as Schema, x, [...path, String(i)], depth)
    const out: Misfit[] = []
    if (isArray(items)) {
      out.push(...items.flatMap((sub, i) => (i < v.length ? at(sub, v[i] as Value, i) : [])))
      const more = recordGet(schema, 'additionalItems')
      const rest = v.slice(items.length)
      if (more === false && rest.length > 0) {
        out.push(misfit(path, 'array_no_additional_items', 'No additional items allowed on array'))
      } else if (more !== undefined && more !== true) {
        out.push(...rest.flatMap((x, i) => at(more, x, items.length + i)))
      }
    } else if (items !== undefined) {
      out.push(...v.flatMap((x, i) => at(items, x, i)))
    }
    const contains = recordGet(schema, 'contains')
    if (contains !== undefined && !v.some((x) => this.#fits(contains, x, path, depth))) {
      out.push(misfit(path, 'contains', 'At least one of the items must match'))
    }
    return out
  }

  #members(schema: RegoRecord, v: RegoRecord, path: readonly string[], depth: number): Misfit[] {
    const properties = mapOf(schema, 'properties')
    const patterns = mapOf(schema, 'patternProperties')
    const out: Misfit[] = []
    for (const key of Object.keys(v).sort()) {
      const value = v[key] as Value
      const inner = [...path, key]
      const own = properties === undefined ? undefined : recordGet(properties, key)
      if (own !== undefined) out.push(...this.#match(own as Schema, value, inner, depth))
      const matching = Object.keys(patterns ?? {}).filter((pattern) => compileRegex(pattern).test(key))
      for (const pattern of matching) out.push(...this.#match(patterns?.[pattern] as Schema, value, inner, depth))
      if (own === undefined && matching.length === 0) out.push(...this.#additional(schema, key, value, path, depth))
      const names = recordGet(schema, 'propertyNames')
      if (names !== undefined && !this.#fits(names, key, inner, depth)) {
        out.push(misfit(path, 'invalid_property_name', `Property name of "${key}" does not match`))
      }
    }
    return [...out, ...this.#dependencies(schema, v, path, depth)]
  }

  #additional(schema: RegoRecord, key: string, v: Value, path: readonly string[], depth: number): Misfit[] {
    const additional = recordGet(schema, 'additionalProperties')
    if (additional === undefined || additional === true) return []
    if (additional === false) {
      return [misfit(path, 'additional_property_not_allowed', `Additional property ${key} is not allowed`)]
    }
    return this.#match(additional as Schema, v, [...path, key], depth)
  }

  #dependencies(schema: RegoRecord, v: RegoRecord, path: readonly string[], depth: number): Misfit[] {
    const dependencies = mapOf(schema, 'dependencies') ?? {}
    return Object.keys(dependencies).flatMap((key) => {
      if (!Object.hasOwn(v, key)) return []
      const needs = dependencies[key] as Value
      if (!isArray(needs)) return this.#match(needs as Schema, v, path, depth)
      return needs
        .filter((need) => typeof need !== 'string' || !Object.hasOwn(v, need))
        .map((need) => misfit(path, 'missing_dependency', `Has a dependency on ${jsonName(need)}`))
    })
  }
}
