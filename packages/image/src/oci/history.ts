import { asArray, asObject, asString, MAX_CONFIG_BYTES, member, optional, parseJsonObject } from './json.ts'

/** How a layer, or a setting, came about: what its builder says, which nothing proves. */
export interface HistoryStep {
  readonly created?: string
  readonly createdBy?: string
  readonly comment?: string
  /** It changed settings only, and added no layer. */
  readonly emptyLayer: boolean
}

const MAX_STEPS = 4096

/**
 * The history in a configuration whose bytes were verified already; empty where it has none.
 *
 * @throws {ImageError} `document.malformed`, `document.too-large`.
 * @source OCI image specification, config: history
 */
export function parseHistory(config: Uint8Array, what: string): readonly HistoryStep[] {
  const steps = optional(parseJsonObject(config, what, MAX_CONFIG_BYTES), 'history', what, (list, at) =>
    asArray(list, at, MAX_STEPS),
  )
  return (steps ?? []).map((step, i) => readStep(step, `${what}.history[${i}]`))
}

function readStep(value: unknown, what: string): HistoryStep {
  const step = asObject(value, what)
  const created = optional(step, 'created', what, asString)
  const createdBy = optional(step, 'created_by', what, asString)
  const comment = optional(step, 'comment', what, asString)
  return {
    ...(created === undefined ? {} : { created }),
    ...(createdBy === undefined ? {} : { createdBy }),
    ...(comment === undefined ? {} : { comment }),
    emptyLayer: member(step, 'empty_layer') === true,
  }
}
