import { createPublicKey } from 'node:crypto'
import { type AuditEntry, type InstanceFacts, VouchsafeError, parseSchema, toBase64, utf8 } from '@vouchsafe/core'
import { z } from 'zod'

/*
 * The Compute Engine API's own forms. Members that are not named here are let through: the platform adds to them, and
 * nothing reads them.
 */

const items = z
  .looseObject({ items: z.array(z.looseObject({ key: z.string(), value: z.string().optional() })).optional() })
  .optional()

export const instanceSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  zone: z.string(),
  status: z.string(),
  creationTimestamp: z.string(),
  fingerprint: z.string(),
  metadata: items,
  disks: z.array(z.looseObject({ boot: z.boolean().optional(), source: z.string().optional() })).optional(),
  serviceAccounts: z.array(z.looseObject({ email: z.string() })).optional(),
  networkInterfaces: z
    .array(
      z.looseObject({
        networkIP: z.string().optional(),
        accessConfigs: z.array(z.looseObject({ natIP: z.string().optional() })).optional(),
      }),
    )
    .optional(),
  shieldedInstanceConfig: z.looseObject({ enableSecureBoot: z.boolean().optional() }).optional(),
  confidentialInstanceConfig: z
    .looseObject({
      enableConfidentialCompute: z.boolean().optional(),
      confidentialInstanceType: z.string().optional(),
    })
    .optional(),
})

export const diskSchema = z.looseObject({ name: z.string(), sourceImage: z.string().optional() })
export const projectSchema = z.looseObject({ commonInstanceMetadata: items })
const publishedKey = z.looseObject({ ekPub: z.string().optional(), ekCert: z.string().optional() }).optional()
export const shieldedIdentitySchema = z.looseObject({ encryptionKey: publishedKey, signingKey: publishedKey })

export const logEntrySchema = z.looseObject({
  timestamp: z.string(),
  protoPayload: z.looseObject({
    methodName: z.string(),
    authenticationInfo: z.looseObject({ principalEmail: z.string().optional() }).optional(),
    request: z.record(z.string(), z.unknown()).optional(),
    metadata: z.record(z.string(), z.unknown()).optional(),
  }),
})

/** What the platform answers of one instance, as a recording keeps it. */
export const recordedInstanceSchema = z.strictObject({
  at: z.iso.datetime(),
  project: z.string().min(1),
  instance: instanceSchema,
  disks: z.array(diskSchema),
  projectMetadata: projectSchema,
  shieldedIdentity: shieldedIdentitySchema,
  audit: z.strictObject({ complete: z.boolean(), entries: z.array(logEntrySchema) }),
})
export type RecordedInstance = z.output<typeof recordedInstanceSchema>

/** The platform's answers in words that fit every platform. */
export function factsOfGce(recorded: RecordedInstance, source: InstanceFacts['source'], at: Date): InstanceFacts {
  const { instance, project, disks, audit } = recorded
  const metadata = instance.metadata?.items ?? []
  const inherited = recorded.projectMetadata.commonInstanceMetadata?.items ?? []
  const userData = metadata.find((i) => i.key === 'user-data')?.value
  const interfaces = instance.networkInterfaces ?? []
  const external = interfaces.flatMap((n) => (n.accessConfigs ?? []).flatMap((a) => a.natIP ?? []))
  const internal = interfaces.flatMap((n) => n.networkIP ?? [])
  const { encryptionKey, signingKey } = recorded.shieldedIdentity
  return {
    source,
    at: at.toISOString(),
    instance: instance.id,
    name: instance.name,
    project,
    zone: lastOf(instance.zone),
    created: instantOf(instance.creationTimestamp),
    status: instance.status,
    memoryEncryption: memoryEncryptionOf(instance.confidentialInstanceConfig),
    secureBoot: instance.shieldedInstanceConfig?.enableSecureBoot === true,
    launch: {
      userData: userData === undefined ? null : toBase64(utf8(userData)),
      fingerprint: instance.fingerprint,
      metadataKeys: [...new Set([...metadata, ...inherited].map((i) => i.key))],
    },
    disks: (instance.disks ?? []).map((d) => {
      const name = lastOf(d.source ?? 'unnamed')
      const image = disks.find((x) => x.name === name)?.sourceImage
      return { name, boot: d.boot === true, image: image === undefined ? null : pathOf(image) }
    }),
    accounts: (instance.serviceAccounts ?? []).map((a) => a.email),
    addresses: [...external, ...internal],
    // without an address of its own it leaves through one that it shares
    sharedAddress: external.length === 0,
    managementAgent: [...metadata, ...inherited].some(
      (i) => i.key === 'enable-osconfig' && /^true$/i.test(i.value ?? ''),
    ),
    tpm: {
      endorsementKey: spkiOf(encryptionKey?.ekPub),
      endorsementCertificate: derOf(encryptionKey?.ekCert),
      attestationKey: spkiOf(signingKey?.ekPub),
    },
    audit: { complete: audit.complete, entries: audit.entries.map(auditEntryOf) },
  }
}

/** One entry of Cloud Audit Logs, with the launch metadata that it names. */
export function auditEntryOf({ timestamp, protoPayload }: z.output<typeof logEntrySchema>): AuditEntry {
  const { methodName, authenticationInfo, request = {}, metadata = {} } = protoPayload
  return {
    at: instantOf(timestamp),
    method: methodName,
    principal: authenticationInfo?.principalEmail ?? '',
    metadataKeys: [...new Set([...keysOf(request), ...keysOf(metadata)])].slice(0, 256),
  }
}

/** Keys under `metadata.items` of an insert, and in the lists that an edit of metadata leaves. */
function keysOf(value: Readonly<Record<string, unknown>>): readonly string[] {
  const keys: string[] = []
  for (const [name, inner] of Object.entries(value)) {
    if (/^metadata keys /i.test(name) && Array.isArray(inner)) keys.push(...inner.filter((k) => typeof k === 'string'))
    const parsed = items.safeParse(inner)
    if (/metadata$/i.test(name) && parsed.success) keys.push(...(parsed.data?.items ?? []).map((i) => i.key))
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner) && /delta$/i.test(name))
      keys.push(...deltaKeys(inner as Readonly<Record<string, unknown>>))
  }
  return keys
}

function deltaKeys(delta: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.values(delta)
    .flat()
    .filter((k) => typeof k === 'string')
}

function memoryEncryptionOf(config: z.output<typeof instanceSchema>['confidentialInstanceConfig']): string {
  if (config?.confidentialInstanceType !== undefined) return config.confidentialInstanceType
  return config?.enableConfidentialCompute === true ? 'SEV' : 'none'
}

/** Image and zone references come as URLs or as paths; both name the same thing. */
function pathOf(reference: string): string {
  return reference.replace(/^https:\/\/[^/]+\/compute\/[^/]+\//, '')
}

function lastOf(reference: string): string {
  return reference.split('/').at(-1) ?? reference
}

function instantOf(text: string): string {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw new VouchsafeError('input.malformed', `instance document: ${text} is no time`)
  return at.toISOString()
}

/** Keys are compared as keys, never as the text around them. */
function spkiOf(pem: string | undefined): string | null {
  if (pem === undefined || pem === '') return null
  try {
    return toBase64(new Uint8Array(createPublicKey(pem).export({ format: 'der', type: 'spki' })))
  } catch (cause) {
    throw new VouchsafeError('input.malformed', 'instance document: a TPM key is no public key', { cause })
  }
}

function derOf(pem: string | undefined): string | null {
  if (pem === undefined || pem === '') return null
  const body = pem.replace(/-----[A-Z ]+-----/g, '').replace(/\s/g, '')
  return parseSchema(z.base64(), body, 'instance document: certificate')
}
