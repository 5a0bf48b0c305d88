import { type Json, parseStrictJson } from '@vouchsafe/core'
import { MAX_RESULT_BYTES } from '@vouchsafe/client'
import { AgentError } from '../errors.ts'
import type { MemoryFile } from './handover.ts'

/**
 * Reads what the workload wrote, and holds it against the agreement's minimum: an aggregate over too few records tells of
 * persons, so it is withheld (decision 4). The form is a JSON object with `count`, the number of records that went into it.
 *
 * @returns The exact bytes.
 * @throws {AgentError} `result.missing`, `result.too-large`, `result.malformed`, `result.too-few`
 */
export function readResult(file: MemoryFile, minimumCount: number): Uint8Array {
  const bytes = file.read(MAX_RESULT_BYTES + 1)
  if (bytes.length === 0) throw new AgentError('result.missing', 'the workload ended without writing a result')
  if (bytes.length > MAX_RESULT_BYTES)
    throw new AgentError('result.too-large', `the result is larger than ${MAX_RESULT_BYTES} bytes`)
  const count = countOf(parse(bytes))
  if (count === undefined)
    throw new AgentError('result.malformed', 'the result is not a JSON object whose "count" is a whole number')
  if (count < minimumCount)
    // the count itself may be what must not be known, so it is not told
    throw new AgentError('result.too-few', `the result aggregates fewer than the agreed ${minimumCount} records`)
  return bytes
}

function parse(bytes: Uint8Array): Json {
  try {
    return parseStrictJson(bytes, { maxBytes: MAX_RESULT_BYTES })
  } catch {
    // without its cause: that may quote the result
    throw new AgentError('result.malformed', 'the result is not JSON, or names a member twice')
  }
}

function countOf(result: Json): number | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined
  const count = Object.hasOwn(result, 'count') ? (result as { readonly [member: string]: Json })['count'] : undefined
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : undefined
}
