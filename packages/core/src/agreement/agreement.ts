import { LAUNCH_ISOLATIONS, LAUNCH_NETWORKS, LAUNCH_OUTPUTS, LAUNCH_RESTARTS } from '@vouchsafe/tpm/eventlog'
import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { type Digest, digestOf } from '../base/digest.ts'
import { utf8 } from '../base/encoding.ts'
import { ownerKeySchema, p256JwkSchema } from '../base/keys.ts'
import { parseSchema } from '../base/schema.ts'
import { parseStrictJson } from '../base/strict-json.ts'
import { VouchsafeError } from '../base/errors.ts'
import { ASSURANCE_CLASSES } from '../claims/claims.ts'
import { hardwareTermsSchema } from './reference/hardware-terms.ts'
import { platformTermsSchema } from './reference/platform-terms.ts'
import { namedSetSchema } from './reference/named-set.ts'

/** DSSE payload type of an agreement's bytes. */
export const AGREEMENT_TYPE = 'application/vnd.vouchsafe.agreement.v1+json'
export const MAX_AGREEMENT_BYTES = 256 * 1024

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'wanted sha256: and 64 lower-case hexadecimal digits')
/** Party, tenant and grant names: short, lower case, no look-alikes (F11). */
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'wanted lower-case letters, digits and inner hyphens, at most 64')
/** Resource paths: one to eight names joined by `/`; validated before routing, policy and storage see the same string (F11). */
export const resourcePathSchema = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?(?:\/[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?){0,7}$/,
    'not a resource path',
  )
const instant = z.iso.datetime({ precision: 0 }).or(z.iso.datetime({ precision: 3 }))
const registerValue = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'wanted a SHA-256 register value: 64 lower-case hexadecimal digits')

/** A condition over one claim. All conditions of a grant must hold; every one is reported. */
export const conditionSchema = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('equals'),
    claim: z.string().min(1).max(128),
    value: z.union([z.string(), z.boolean(), z.number().int()]),
  }),
  z.strictObject({
    op: z.literal('one-of'),
    claim: z.string().min(1).max(128),
    values: z.array(z.string()).min(1).max(64),
  }),
  z.strictObject({ op: z.literal('at-least-class'), value: z.enum(ASSURANCE_CLASSES) }),
])
export type Condition = z.infer<typeof conditionSchema>

const REGO_REFERENCE = /^data(?:\.[A-Za-z_][A-Za-z0-9_]{0,63}){1,8}$/
export const MAX_REGO_BYTES = 64 * 1024
export const MAX_CEL_BYTES = 4096

/** Policy text that is part of the agreement, and so of its digest: nobody can change it without a new version. */
export const regoSchema = z.strictObject({
  /** Modules by file name. */
  modules: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,58}\.rego$/, 'not a file name that ends in .rego'), z.string())
    .refine((m) => Object.keys(m).length > 0, 'no module')
    .refine((m) => bytesOf(Object.values(m)) <= MAX_REGO_BYTES, `over ${MAX_REGO_BYTES} bytes`),
  /** The rule that must be `true`, as `data.package.rule`. */
  allow: z.string().regex(REGO_REFERENCE, 'wanted data.package.rule'),
  /** Base data that the modules read as `data`. */
  data: z.record(z.string().max(128), z.json()).optional(),
})
export type RegoCondition = z.infer<typeof regoSchema>

const celSchema = z
  .string()
  .min(1)
  .refine((text) => bytesOf([text]) <= MAX_CEL_BYTES, `over ${MAX_CEL_BYTES} bytes`)

/**
 * Who meets every condition may have these resources of that owner: plain conditions, Rego and CEL over the same
 * claims. No grant means no release, and neither does a grant without any condition.
 */
export const grantSchema = z
  .strictObject({
    id: nameSchema,
    owner: nameSchema,
    resources: z.array(resourcePathSchema).min(1).max(64),
    when: z.array(conditionSchema).max(32).default([]),
    rego: regoSchema.optional(),
    cel: z.array(celSchema).min(1).max(16).optional(),
    /** Lets conditions stand that read no measured fact. Honoured for class `simulated` only (F19). */
    dangerouslyReleaseToAnySimulatedGuest: z.literal(true).optional(),
  })
  .refine((g) => g.when.length > 0 || g.rego !== undefined || g.cel !== undefined, {
    path: ['when'],
    message: 'no condition at all: nothing would ever be released',
  })
export type Grant = z.infer<typeof grantSchema>

/** What everybody must know about an owner's broker, so that no key is ever learnt from the network. */
export const brokerPinSchema = z.strictObject({
  id: z.string().regex(/^broker:[A-Za-z0-9_-]{43}$/),
  tenant: nameSchema,
  /** Where to reach it. A hint: identity is the certificate. */
  url: z.url({ protocol: /^https$/ }).max(512),
  /** The broker's certificate authority for its TLS endpoint, DER in base64. */
  identity: z.string().max(4096),
  /** Signs sealed payloads (decision 11). */
  sealing: p256JwkSchema,
  /** Signs decision records. */
  decisions: ownerKeySchema,
  /** Verifies checkpoints: C2SP verifier key `name+hash+key`. */
  log: z.string().max(512),
})
export type BrokerPin = z.infer<typeof brokerPinSchema>

export const agreementSchema = z.strictObject({
  vouchsafe: z.literal('agreement/v1'),
  name: nameSchema,
  purpose: z.string().min(1).max(1000),
  /** Digest of the version before this one; null for the first. */
  previous: digest.nullable(),
  notBefore: instant,
  expires: instant,
  owners: z
    .array(z.strictObject({ id: nameSchema, keys: z.array(ownerKeySchema).min(1).max(8), broker: brokerPinSchema }))
    .min(1)
    .max(16),
  /** How many owners must have a live approval. A resource's own owner must always be among them (decision 1). */
  quorum: z.number().int().min(1).max(16),
  workload: z.strictObject({ image: digest }),
  launch: z.strictObject({
    args: z.array(z.string().max(4096)).max(128),
    /** Exactly these variables with exactly these values, beside those of the image. */
    env: z.record(z.string().regex(/^[A-Z_][A-Z0-9_]{0,127}$/), z.string().max(4096)),
    debug: z.literal(false),
    network: z.enum(LAUNCH_NETWORKS),
    /** Where standard output and error of the workload go. */
    output: z.enum(LAUNCH_OUTPUTS),
    restart: z.enum(LAUNCH_RESTARTS),
    /** What may keep the workload apart from the agent; any of these will do. */
    isolation: z.array(z.enum(LAUNCH_ISOLATIONS)).min(1).max(4),
    capabilities: z.array(z.string().max(64)).max(64),
    mounts: z.array(z.string().max(4096)).max(32),
  }),
  environment: z.strictObject({
    leastClass: z.enum(ASSURANCE_CLASSES),
    /** True asks for hardware that keeps host and hypervisor out; no TPM alone can answer that (decision 10). */
    hostExcluded: z.boolean(),
    /** Allowed values by register number, SHA-256 bank. At least the registers that the boot log writes must be named. */
    registers: z.record(z.string().regex(/^(?:[0-9]|1[0-5])$/), z.array(registerValue).min(1).max(64)),
    /** Registers that may hold anything. Named so that whoever approves stumbles over it. */
    dangerouslyUnpinnedRegisters: z.array(z.number().int().min(0).max(15)).max(16).default([]),
    /** CPUs that may run it, beside or in place of machines with a TPM. Left out: none. */
    hardware: hardwareTermsSchema.exactOptional(),
    /** Clouds whose vTPMs may speak for a machine, beside or in place of enrolled TPMs. Left out: none. */
    platforms: platformTermsSchema.exactOptional(),
    /** Sets of reference values that pin boots in place of what is pinned above. Left out: none. */
    references: z.array(namedSetSchema).min(1).max(4).exactOptional(),
  }),
  grants: z.array(grantSchema).max(64),
  result: z.strictObject({
    recipients: z
      .array(z.strictObject({ id: nameSchema, key: p256JwkSchema }))
      .min(1)
      .max(16),
    /** Aggregates over fewer records than this are withheld (decision 4). */
    minimumCount: z.number().int().min(2).max(1_000_000),
  }),
  leaseSeconds: z.number().int().min(1).max(86_400),
})
export type AgreementBody = z.infer<typeof agreementSchema>
export type Owner = AgreementBody['owners'][number]

/** An agreement as read: its digest is over the exact bytes, and `body` comes from those same bytes. */
export interface Agreement {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly body: AgreementBody
}

/**
 * Reads an agreement from its exact bytes.
 *
 * @throws {VouchsafeError} `input.malformed`, `input.unknown-member`, `input.too-large`; also when owners, keys, brokers
 *   or grants are named twice, the quorum is out of reach, or a grant names an unknown owner.
 */
export function parseAgreement(bytes: Uint8Array, crypto: CryptoPort): Agreement {
  const body = parseSchema(agreementSchema, parseStrictJson(bytes, { maxBytes: MAX_AGREEMENT_BYTES }), 'agreement')
  unique(
    body.owners.map((o) => o.id),
    'owners.id',
  )
  // the same key for two owners would let one person fill a quorum (G04)
  unique(
    body.owners.flatMap((o) => o.keys),
    'owners.keys',
  )
  unique(
    body.owners.map((o) => `${o.broker.id} ${o.broker.tenant}`),
    'owners.broker',
  )
  unique(
    body.grants.map((g) => g.id),
    'grants.id',
  )
  unique(
    body.result.recipients.map((r) => r.id),
    'result.recipients.id',
  )
  unique(
    (body.environment.references ?? []).map((r) => r.set),
    'environment.references.set',
  )
  if (body.quorum > body.owners.length)
    throw new VouchsafeError(
      'input.malformed',
      `agreement.quorum: ${body.quorum} of ${body.owners.length} owners can never be met`,
    )
  if (Date.parse(body.notBefore) >= Date.parse(body.expires))
    throw new VouchsafeError('input.malformed', 'agreement.expires: not after notBefore')
  // a TPM whose registers nobody pins is refused register by register: only hardware terms and sets can do without any
  const { registers, hardware, references } = body.environment
  if (Object.keys(registers).length === 0 && hardware === undefined && references === undefined)
    throw new VouchsafeError(
      'input.malformed',
      'agreement.environment.registers: empty, so no boot state could ever be accepted',
    )
  for (const grant of body.grants) {
    if (!body.owners.some((o) => o.id === grant.owner))
      throw new VouchsafeError('input.malformed', `agreement.grants.${grant.id}: owner ${grant.owner} is no party`)
  }
  return { digest: digestOf(bytes, crypto), bytes: new Uint8Array(bytes), body }
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + utf8(text).length, 0)
}

function unique(values: readonly string[], what: string): void {
  const twice = values.find((v, i) => values.indexOf(v) !== i)
  if (twice !== undefined)
    throw new VouchsafeError('input.malformed', `agreement.${what}: ${JSON.stringify(twice)} is named twice`)
}
