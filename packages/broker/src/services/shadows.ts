import { readFileSync } from 'node:fs'
import {
  type Shadow,
  VouchsafeError,
  checkGrant,
  nameSchema,
  parseSchema,
  parseStrictJson,
  placeText,
  shadowSchema,
} from '@vouchsafe/core'
import { z } from 'zod'
import type { Services } from './context.ts'

const fileSchema = z.record(nameSchema, z.array(shadowSchema).min(1).max(4))

/** Policies on trial, by tenant. */
export type Shadows = Readonly<Record<string, readonly Shadow[]>>

/**
 * Reads the policies on trial. They are checked as what may come into force is: a trial of what nobody could sign teaches
 * nothing.
 *
 * @throws {VouchsafeError} `input.*`, `policy.invalid`
 */
export function readShadows(file: string): Shadows {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    throw new VouchsafeError('input.malformed', `policies on trial ${file}: cannot be read`, { cause })
  }
  const shadows = parseSchema(fileSchema, parseStrictJson(bytes, { maxBytes: 1 << 20 }), file)
  for (const [tenant, trials] of Object.entries(shadows))
    for (const { name, grants } of trials)
      for (const finding of grants.flatMap(checkGrant))
        if (finding.severity === 'refuse')
          throw new VouchsafeError(
            'policy.invalid',
            `${file}: ${tenant}: ${name}: ${placeText(finding)}: ${finding.message} (${finding.hint})`,
          )
  return shadows
}

/** Says at every start which policies are on trial, and which are over and should be taken out (F17). */
export function announceShadows(shadows: Shadows, at: Date, log: Services['log']): void {
  for (const [tenant, trials] of Object.entries(shadows))
    for (const { name, until } of trials)
      log(Date.parse(until) > at.getTime() ? 'shadow.active' : 'shadow.over', { tenant, name, until })
}
