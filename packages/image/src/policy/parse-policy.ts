import { z } from 'zod'
import { ImageError } from '../errors.ts'
import { asArray, asObject, type JsonObject, member, parseJsonObject, readAs, readShape } from '../oci/json.ts'
import {
  rejectSchema,
  type Requirement,
  requirementSchemas,
  signedByCosignSchema,
  signedBySimpleSchema,
} from './requirement.ts'
import { normalScope } from './scope.ts'

/** Who must have signed what, as policy.json writes it. */
export interface ImagePolicy {
  readonly default: readonly Requirement[]
  /** By transport, then by scope. */
  readonly transports: ReadonlyMap<string, ReadonlyMap<string, readonly Requirement[]>>
}

const MAX_POLICY_BYTES = 4 * 1024 * 1024
const MAX_REQUIREMENTS = 64

/**
 * Reads a policy.json of either layout (GU-27): the one of containers-policy.json(5), and the older one of confidential
 * containers where `signedBy` has a `scheme`. The result is always in the words of the first.
 *
 * Nothing is forgiven: an unknown or doubled member, an empty list, two sources of keys where one counts, each make
 * the whole file invalid, and an invalid policy allows nothing (H05).
 *
 * @param what - The file or address, for messages (GU-29).
 * @throws {ImageError} `policy.malformed`
 */
export function parsePolicy(bytes: Uint8Array, what = 'policy.json'): ImagePolicy {
  const object = readAs('policy.malformed', () => parseJsonObject(bytes, what, MAX_POLICY_BYTES))
  for (const name of Object.keys(object))
    if (name !== 'default' && name !== 'transports')
      throw malformed(`${what}: unknown member ${JSON.stringify(name.slice(0, 80))}`)
  const transports = new Map<string, ReadonlyMap<string, readonly Requirement[]>>()
  if (Object.hasOwn(object, 'transports'))
    for (const [transport, scopes] of members(member(object, 'transports'), `${what}: transports`)) {
      const read = new Map<string, readonly Requirement[]>()
      for (const [written, list] of members(scopes, `${what}: transports.${transport}`)) {
        const at = `${what}: transports.${transport}[${JSON.stringify(written)}]`
        const scope = transport === 'docker' ? normalScope(written) : written
        if (read.has(scope)) throw malformed(`${at}: ${JSON.stringify(scope)} is there in another spelling as well`)
        read.set(scope, readRequirements(list, at))
      }
      transports.set(transport, read)
    }
  return { default: readRequirements(member(object, 'default'), `${what}: default`), transports }
}

/** The file in the first layout: what was read, and nothing that was not written. */
export function writePolicy(policy: ImagePolicy): string {
  const transports = Object.fromEntries(
    [...policy.transports].map(([transport, scopes]) => [transport, Object.fromEntries(scopes)]),
  )
  return `${JSON.stringify({ default: policy.default, ...(policy.transports.size === 0 ? {} : { transports }) }, null, 2)}\n`
}

function readRequirements(value: unknown, what: string): readonly Requirement[] {
  const list = readAs('policy.malformed', () => asArray(value, what, MAX_REQUIREMENTS))
  if (list.length === 0) throw malformed(`${what}: an empty list would say nothing`)
  return list.map((entry, i) => readRequirement(entry, `${what}[${i}]`))
}

function readRequirement(value: unknown, what: string): Requirement {
  const object = readAs('policy.malformed', () => asObject(value, what))
  const type = member(object, 'type')
  if (type === 'signedBy' && Object.hasOwn(object, 'scheme')) return readScheme(object, what)
  if (typeof type !== 'string' || !Object.hasOwn(requirementSchemas, type))
    throw malformed(`${what}: type ${JSON.stringify(type)} is not known`)
  const schema: z.ZodType<Requirement> = requirementSchemas[type as keyof typeof requirementSchemas]
  return readShape(schema, object, what, 'policy.malformed')
}

/** The older layout, strictly, in the words of the other. */
function readScheme(object: JsonObject, what: string): Requirement {
  switch (member(object, 'scheme')) {
    case 'simple': {
      const { scheme: _, ...rest } = readShape(signedBySimpleSchema, object, what, 'policy.malformed')
      return rest
    }
    case 'cosign': {
      const { scheme: _, type: __, ...rest } = readShape(signedByCosignSchema, object, what, 'policy.malformed')
      return { type: 'sigstoreSigned', ...rest }
    }
    default:
      throw malformed(`${what}: scheme ${JSON.stringify(member(object, 'scheme'))}; simple and cosign are known`)
  }
}

function members(value: unknown, what: string): readonly (readonly [string, unknown])[] {
  return Object.entries(readAs('policy.malformed', () => asObject(value, what)))
}

function malformed(message: string): ImageError {
  return new ImageError('policy.malformed', message)
}

/** For a store without a policy: nothing is allowed. */
export const REJECT_ALL: ImagePolicy = { default: [rejectSchema.parse({ type: 'reject' })], transports: new Map() }
