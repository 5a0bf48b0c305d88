import type { z } from 'zod'
import { VouchsafeError } from './errors.ts'

/**
 * Applies a schema to a value from outside. Objects in our schemas are strict, so a member that no schema names is
 * refused rather than ignored.
 *
 * @throws {VouchsafeError} `input.unknown-member`, or `input.malformed` naming the path and what was wanted.
 */
export function parseSchema<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const path = [what, ...(issue?.path ?? [])].join('.')
  if (issue?.code === 'unrecognized_keys')
    throw new VouchsafeError(
      'input.unknown-member',
      `${path}: ${issue.keys.map((k) => JSON.stringify(k)).join(', ')} is not a member that is known here`,
    )
  throw new VouchsafeError('input.malformed', `${path}: ${issue?.message ?? 'does not fit its schema'}`)
}
