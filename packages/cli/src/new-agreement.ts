import { readFileSync } from 'node:fs'
import path from 'node:path'
import {
  ASSURANCE_CLASSES,
  type AgreementBody,
  type BrokerPin,
  type P256Jwk,
  brokerPinSchema,
  nameSchema,
  ownerKeySchema,
  p256JwkSchema,
  parseSchema,
  parseStrictJson,
} from '@vouchsafe/core'
import { z } from 'zod'

/** What a new agreement is made from; everything else is the strict choice, to be edited by whoever proposes it. */
export interface NewAgreement {
  readonly name: string
  readonly purpose: string
  readonly owners: readonly { readonly id: string; readonly key: string; readonly broker: BrokerPin }[]
  /** `owner/resource/path`. */
  readonly resources: readonly string[]
  readonly image: string
  readonly args: readonly string[]
  readonly leastClass: AgreementBody['environment']['leastClass']
  /** Register values to pin, by number. */
  readonly registers: Readonly<Record<string, string>>
  readonly recipients: readonly { readonly id: string; readonly key: P256Jwk }[]
  readonly days: number
  readonly at: Date
}

/** A first version: every owner must approve, nothing is overridden, no network, output closed. */
export function newAgreement(n: NewAgreement): AgreementBody {
  const grants = n.owners.flatMap(({ id }) => {
    const resources = n.resources.filter((r) => r.startsWith(`${id}/`)).map((r) => r.slice(id.length + 1))
    return resources.length === 0
      ? []
      : [
          {
            id: `${id}-resources`,
            owner: id,
            resources,
            when: [{ op: 'at-least-class' as const, value: n.leastClass }],
          },
        ]
  })
  return {
    vouchsafe: 'agreement/v1',
    name: n.name,
    purpose: n.purpose,
    previous: null,
    notBefore: n.at.toISOString(),
    expires: new Date(n.at.getTime() + n.days * 86_400_000).toISOString(),
    owners: n.owners.map(({ id, key, broker }) => ({ id, keys: [key], broker })),
    quorum: n.owners.length,
    workload: { image: n.image },
    launch: {
      args: [...n.args],
      env: {},
      debug: false,
      network: 'none',
      output: 'closed',
      restart: 'never',
      isolation: ['runc', 'runc-rootless'],
      capabilities: [],
      mounts: [],
    },
    environment: {
      leastClass: n.leastClass,
      hostExcluded: false,
      registers: Object.fromEntries(Object.entries(n.registers).map(([r, v]) => [r, [v]])),
      dangerouslyUnpinnedRegisters: [],
    },
    grants,
    result: { recipients: [...n.recipients], minimumCount: 10 },
    leaseSeconds: 600,
  }
}

const registersSchema = z.record(z.string(), z.string())

/** Wherever something stands in a file of its own already, the request may name that file, relative to itself. */
const requestSchema = z.strictObject({
  name: nameSchema,
  purpose: z.string().min(1),
  /** `pin` is the file that `broker init` wrote. */
  owners: z.array(z.strictObject({ id: nameSchema, key: ownerKeySchema, pin: z.string().min(1) })).min(1),
  resources: z.array(z.string().min(1)).min(1),
  image: z.string(),
  args: z.array(z.string()),
  class: z.enum(ASSURANCE_CLASSES),
  registers: z.union([registersSchema, z.string().min(1)]),
  recipients: z.array(z.strictObject({ id: nameSchema, key: z.union([p256JwkSchema, z.string().min(1)]) })).min(1),
})

/** Reads a request and the files that it names. */
export function readNewAgreement(file: string, days: number, at: Date): NewAgreement {
  const {
    class: leastClass,
    owners,
    registers,
    recipients,
    ...rest
  } = parseSchema(requestSchema, parseStrictJson(readFileSync(file), { maxBytes: 1 << 20 }), file)
  const inFile = <T extends z.ZodType>(schema: T, name: string): z.output<T> => {
    const named = path.resolve(path.dirname(file), name)
    return parseSchema(schema, parseStrictJson(readFileSync(named), { maxBytes: 65_536 }), named)
  }
  return {
    ...rest,
    leastClass,
    owners: owners.map(({ id, key, pin }) => ({ id, key, broker: inFile(brokerPinSchema, pin) })),
    registers: typeof registers === 'string' ? inFile(registersSchema, registers) : registers,
    recipients: recipients.map(({ id, key }) => ({
      id,
      key: typeof key === 'string' ? inFile(p256JwkSchema, key) : key,
    })),
    days,
    at,
  }
}
