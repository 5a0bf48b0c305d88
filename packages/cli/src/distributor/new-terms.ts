import {
  type ClientSecret,
  type ClientTermsBody,
  type InstanceFacts,
  VouchsafeError,
  clientTermsName,
  digestOf,
  fromBase64,
  parseSchema,
  parseStrictJson,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'

const MAX_SECRETS_BYTES = 4 * 1024 * 1024

const entrySchema = z.strictObject({
  name: z.string().min(1).max(64),
  type: z.enum(['RAW', 'TPM', 'TINK']),
  /** The value. Of type TPM: what is sealed here, before it leaves this machine; or, with `sealed`, a finished import blob. */
  data: z.base64().optional(),
  sealed: z.boolean().optional(),
  layout: z.enum(['direct', 'indirect']).optional(),
  /** In place of `data`: a token that the broker makes at delivery. */
  accessToken: z
    .strictObject({
      audience: z.string(),
      resources: z.array(z.string()),
      rights: z.array(z.string()),
      lifetimeSeconds: z.number().int(),
    })
    .optional(),
})
export type SecretEntry = z.output<typeof entrySchema>

/** Reads a secrets file: a JSON array of `{name, type, data}`, as the original's provisioner reads it. */
export function readSecretsFile(bytes: Uint8Array, file: string): readonly SecretEntry[] {
  const entries = parseSchema(
    z.array(entrySchema).min(1).max(64),
    parseStrictJson(bytes, { maxBytes: MAX_SECRETS_BYTES }),
    file,
  )
  for (const { name, type, data, sealed, layout, accessToken } of entries) {
    if ((data === undefined) === (accessToken === undefined))
      throw new VouchsafeError('input.malformed', `${file}: secret ${name}: wants either data or accessToken`)
    if (type !== 'TPM' && (sealed !== undefined || layout !== undefined))
      throw new VouchsafeError('input.malformed', `${file}: secret ${name}: sealed and layout are for type TPM`)
  }
  return entries
}

/** What an owner chooses when approving a client; the rest comes from what was reviewed. */
export interface Choices {
  readonly owner: { readonly id: string; readonly key: string }
  readonly purpose: string
  readonly previous: string | null
  readonly at: Date
  readonly lifetimeSeconds: number
  readonly identityMaxAgeSeconds: number
  /** Boot images that count; the reviewed one must be among them. */
  readonly images: readonly string[]
  readonly metadataKeys: readonly string[]
  readonly allowManagementAgent: boolean
  readonly address: string | null
  readonly certificate: string | null
  /** Values by register; or the reason for which TPM checks are left out. */
  readonly tpm:
    | {
        readonly registers: Readonly<Record<string, readonly string[]>>
        readonly bootLog: 'required' | 'optional'
        readonly leastClass: Exclude<ClientTermsBody['leastClass'], 'unattested'>
      }
    | { readonly exemptBecause: string }
  readonly memoryEncryption: 'required' | 'any'
  readonly deliver: ClientTermsBody['delivery']
  readonly secrets: readonly SecretEntry[]
}

/**
 * The terms that an owner is about to approve, of an instance as it was reviewed.
 *
 * @throws {VouchsafeError} `appraisal.launch-data` without user-data; `endorsement.unavailable` without a published
 *   endorsement key
 */
export function newTerms(facts: InstanceFacts, choices: Choices): ClientTermsBody {
  const { userData } = facts.launch
  if (userData === null || userData === '')
    throw new VouchsafeError('appraisal.launch-data', 'the instance has no user-data: nothing says what it launches')
  const [account, ...more] = facts.accounts
  if (account === undefined || more.length > 0)
    throw new VouchsafeError('appraisal.instance', `the instance has ${facts.accounts.length} accounts, wanted one`)
  const { tpm } = choices
  return {
    vouchsafe: 'client-terms/v1',
    name: clientTermsName(facts.instance),
    purpose: choices.purpose,
    previous: choices.previous,
    notBefore: new Date(choices.at.getTime() - 60_000).toISOString(),
    expires: new Date(choices.at.getTime() + choices.lifetimeSeconds * 1000).toISOString(),
    owners: [{ id: choices.owner.id, keys: [choices.owner.key] }],
    client: { instance: facts.instance, project: facts.project, zone: facts.zone, account },
    identityMaxAgeSeconds: choices.identityMaxAgeSeconds,
    launch: {
      userData: digestOf(fromBase64(userData, 'userData'), nodeCrypto),
      fingerprint: facts.launch.fingerprint,
      metadataKeys: [...choices.metadataKeys],
      images: [...choices.images],
      dangerouslyAllowManagementAgent: choices.allowManagementAgent,
    },
    network: { address: choices.address, certificate: choices.certificate },
    tpm:
      'exemptBecause' in tpm
        ? { kind: 'dangerously-exempt', reason: tpm.exemptBecause }
        : {
            kind: 'required',
            endorsementKey: endorsementKeyOf(facts),
            registers: Object.fromEntries(Object.entries(tpm.registers).map(([n, values]) => [n, [...values]])),
            bootLog: tpm.bootLog,
          },
    memoryEncryption: choices.memoryEncryption,
    leastClass: 'exemptBecause' in tpm ? 'unattested' : tpm.leastClass,
    secrets: choices.secrets.map((s) => secretOf(s, facts.instance)),
    delivery: choices.deliver,
  }
}

function endorsementKeyOf({ tpm }: InstanceFacts): string {
  if (tpm.endorsementKey === null)
    throw new VouchsafeError('endorsement.unavailable', 'the platform publishes no endorsement key of this instance')
  return tpm.endorsementKey
}

function secretOf({ name, type, layout, accessToken }: SecretEntry, instance: string): ClientSecret {
  return {
    name,
    type,
    layout: layout ?? 'direct',
    from:
      accessToken === undefined
        ? { kind: 'resource', path: `distributor/${instance}/${name.toLowerCase()}` }
        : { kind: 'access-token', ...accessToken },
  }
}
