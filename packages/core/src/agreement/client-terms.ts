import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { type Digest, digestOf } from '../base/digest.ts'
import { VouchsafeError } from '../base/errors.ts'
import { ownerKeySchema } from '../base/keys.ts'
import { parseSchema } from '../base/schema.ts'
import { parseStrictJson } from '../base/strict-json.ts'
import { ASSURANCE_CLASSES } from '../claims/claims.ts'
import { nameSchema, resourcePathSchema } from './agreement.ts'

export const MAX_TERMS_BYTES = 128 * 1024

const text = (max: number) => z.string().min(1).max(max)
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'wanted sha256: and 64 lower-case hexadecimal digits')
const instant = z.iso.datetime({ precision: 0 }).or(z.iso.datetime({ precision: 3 }))
const registerValue = z.string().regex(/^[0-9a-f]{64}$/, 'wanted a SHA-256 register value')

/** Classes of a client. `unattested`: its owner exempted it, so only its platform's word stands for it. */
export const CLIENT_CLASSES = [...ASSURANCE_CLASSES, 'unattested'] as const
export type ClientClass = (typeof CLIENT_CLASSES)[number]

/** How secrets come to the client as they are: by a resource, or by a token that the broker makes at delivery. */
const secretSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/, 'not a secret’s name'),
  /** TPM: sealed to the client's TPM by the owner, so that the broker cannot read it. TINK: a binary keyset. */
  type: z.enum(['RAW', 'TPM', 'TINK']),
  from: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('resource'), path: resourcePathSchema }),
    /** A token in place of a key: short-lived, for one audience, narrowed to named resources and rights. */
    z.strictObject({
      kind: z.literal('access-token'),
      audience: text(512),
      resources: z.array(text(512)).min(1).max(64),
      rights: z.array(text(128)).min(1).max(64),
      lifetimeSeconds: z.number().int().min(30).max(3600),
    }),
  ]),
  /** For TPM only: `indirect` seals a wrapping key and carries the ciphertext beside it. */
  layout: z.enum(['direct', 'indirect']).default('direct'),
})
export type ClientSecret = z.infer<typeof secretSchema>

/**
 * What an owner approves of one client of the token distributor: which instance it is, what it launches, in what state,
 * and which secrets it then gets how often. Approved and withdrawn by the same statements as an agreement.
 */
export const clientTermsSchema = z.strictObject({
  vouchsafe: z.literal('client-terms/v1'),
  name: nameSchema,
  purpose: text(1000),
  /** Digest of the version before this one; null for the first. */
  previous: digest.nullable(),
  notBefore: instant,
  expires: instant,
  owners: z.array(z.strictObject({ id: nameSchema, keys: z.array(ownerKeySchema).min(1).max(8) })).length(1),
  client: z.strictObject({
    instance: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$/, 'not an instance id'),
    project: text(128),
    zone: text(128),
    account: text(320),
  }),
  /** How old the client's identity document may be. */
  identityMaxAgeSeconds: z.number().int().min(1).max(3600),
  launch: z.strictObject({
    /** Of the exact user-data bytes. */
    userData: digest,
    fingerprint: text(256),
    /** Launch metadata that may be there beside the user-data. */
    metadataKeys: z.array(text(256)).max(64),
    /** Boot images that count. Empty accepts none. */
    images: z.array(text(512)).max(64),
    /** Lets an agent be on that can change packages inside the instance. */
    dangerouslyAllowManagementAgent: z.boolean(),
  }),
  network: z.strictObject({
    /** The client's address, when it is asked for. */
    address: text(64).nullable(),
    /** SHA-256 of the client's certificate, when it is asked for. */
    certificate: registerValue.nullable(),
  }),
  tpm: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('required'),
      /** DER SubjectPublicKeyInfo of the endorsement key, base64. */
      endorsementKey: z.base64().min(1).max(4096),
      /** Values that count by register. */
      registers: z.record(z.string().regex(/^(?:[0-9]|1[0-5])$/), z.array(registerValue).min(1).max(64)),
      bootLog: z.enum(['required', 'optional']),
    }),
    /** Nothing is known of this client's state. The reason stands in every record. */
    z.strictObject({ kind: z.literal('dangerously-exempt'), reason: text(1000) }),
  ]),
  memoryEncryption: z.enum(['required', 'any']),
  leastClass: z.enum(CLIENT_CLASSES),
  secrets: z.array(secretSchema).min(1).max(64),
  delivery: z.strictObject({
    /** `sealed`: to a key that the quote commits to. `client-certificate`: as they are, in the connection of the pinned certificate. */
    to: z.enum(['sealed', 'client-certificate']),
    /** How often the secrets may be fetched. */
    times: z.number().int().min(1).max(100_000),
  }),
})
export type ClientTermsBody = z.infer<typeof clientTermsSchema>

export interface ClientTerms {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly body: ClientTermsBody
}

/** Whether stored bytes are client terms, not an agreement: both are filed, approved and withdrawn alike. */
export function isClientTerms(bytes: Uint8Array): boolean {
  const json = parseStrictJson(bytes, { maxBytes: MAX_TERMS_BYTES * 2 })
  return typeof json === 'object' && json !== null && 'vouchsafe' in json && json['vouchsafe'] === 'client-terms/v1'
}

/** The name under which the versions of a client's terms are kept. */
export function clientTermsName(instance: string): string {
  return `client-${instance}`
}

/**
 * Reads client terms from their exact bytes.
 *
 * @throws {VouchsafeError} `input.malformed`, `input.unknown-member`, `input.too-large`; also where the parts contradict
 *   each other, so that no reader has to guess which of them counts.
 */
export function parseClientTerms(bytes: Uint8Array, crypto: CryptoPort): ClientTerms {
  const body = parseSchema(clientTermsSchema, parseStrictJson(bytes, { maxBytes: MAX_TERMS_BYTES }), 'client terms')
  const refuse = (what: string): never => {
    throw new VouchsafeError('input.malformed', `client terms.${what}`)
  }
  if (body.name !== clientTermsName(body.client.instance)) refuse('name: is not that of the instance')
  if (Date.parse(body.notBefore) >= Date.parse(body.expires)) refuse('expires: not after notBefore')
  const names = body.secrets.map((s) => s.name)
  const twice = names.find((n, i) => names.indexOf(n) !== i)
  if (twice !== undefined) refuse(`secrets: ${twice} is named twice`)
  const exempt = body.tpm.kind === 'dangerously-exempt'
  if (exempt !== (body.leastClass === 'unattested'))
    refuse('leastClass: unattested goes with an exemption from TPM checks, and with nothing else')
  if (body.tpm.kind === 'required' && Object.keys(body.tpm.registers).length === 0)
    refuse('tpm.registers: empty, so no state could ever be accepted')
  if (body.delivery.to === 'client-certificate' && body.network.certificate === null)
    refuse('network.certificate: needed, since secrets go to its connection')
  if (exempt && body.delivery.to === 'sealed' && body.secrets.some((s) => s.type !== 'TPM'))
    refuse('delivery.to: an exempt client attests no key that secrets could be sealed to')
  for (const { name, type, from, layout } of body.secrets) {
    if (from.kind === 'access-token' && type !== 'RAW') refuse(`secrets.${name}: an access token is of type RAW`)
    if (layout === 'indirect' && type !== 'TPM') refuse(`secrets.${name}: indirect is for type TPM`)
  }
  return { digest: digestOf(bytes, crypto), bytes: new Uint8Array(bytes), body }
}
