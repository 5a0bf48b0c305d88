import { readFileSync } from 'node:fs'
import path from 'node:path'
import { VouchsafeError, nameSchema, parseSchema, parseStrictJson, resourcePathSchema } from '@vouchsafe/core'
import { z } from 'zod'

const file = z.string().min(1)
/** TLS material: a PEM file, or the newest version of a named secret of the tenant (TD-14). */
const material = z.union([z.strictObject({ file }), z.strictObject({ resource: resourcePathSchema })])
const server = { certificate: material, key: material }
const httpsUrl = z
  .url({ protocol: /^https$/ })
  .max(512)
  .transform((url) => url.replace(/\/$/, ''))

/** Configuration of the token distributor. Unknown members stop the start. Paths are relative to the file. */
export const distributorConfigSchema = z.strictObject({
  /** The broker whose tenant it serves: `broker.json`, as `broker init` wrote it. */
  broker: file,
  tenant: nameSchema,
  listen: z.strictObject({ host: z.string().min(1), port: z.number().int().min(0).max(65_535) }),
  transport: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('tls'), ...server }),
    /** Clients show a certificate of these authorities, or do not get in. */
    z.strictObject({ kind: z.literal('mtls'), ...server, clientAuthorities: material }),
    /** As mtls, and the certificate names the account that the platform gave it to: its one e-mail alternative name. */
    z.strictObject({ kind: z.literal('platform'), ...server, clientAuthorities: material }),
  ]),
  identity: z.strictObject({
    issuer: z.string().min(1).max(512),
    audience: z.string().min(1).max(512),
    keys: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('file'), file }),
      z.strictObject({ kind: z.literal('url'), url: httpsUrl, authorityFile: file.optional() }),
    ]),
    /** How old a document may be where no owner's terms say it. */
    maxAgeSeconds: z.number().int().min(1).max(3600).default(60),
  }),
  instances: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('static'), file }),
    /** One file an instance, `ID.json`, with the platform's recorded answers. */
    z.strictObject({ kind: z.literal('recorded'), directory: file }),
    z.strictObject({
      kind: z.literal('live'),
      compute: httpsUrl,
      logging: httpsUrl,
      /** An access token with viewer rights, kept fresh by whoever writes the file. */
      tokenFile: file,
      authorityFile: file.optional(),
    }),
  ]),
})
type Parsed = z.output<typeof distributorConfigSchema>

type WithAuthority<T> = T extends { readonly authorityFile?: string | undefined }
  ? Omit<T, 'authorityFile'> & { readonly authority: string | undefined }
  : T

/** With paths resolved and authorities read. */
export type DistributorConfig = Readonly<
  Omit<Parsed, 'identity' | 'instances'> & {
    readonly identity: Omit<Parsed['identity'], 'keys'> & { readonly keys: WithAuthority<Parsed['identity']['keys']> }
    readonly instances: WithAuthority<Parsed['instances']>
  }
>

/** @throws {VouchsafeError} `input.malformed`, `input.unknown-member` */
export function readDistributorConfig(configFile: string): DistributorConfig {
  const directory = path.dirname(path.resolve(configFile))
  const resolve = (name: string) => path.resolve(directory, name)
  const parsed = parseSchema(
    distributorConfigSchema,
    parseStrictJson(read(configFile), { maxBytes: 65_536 }),
    `configuration ${configFile}`,
  )
  const { keys } = parsed.identity
  const { instances, transport } = parsed
  const at = (m: z.output<typeof material>) => ('file' in m ? { file: resolve(m.file) } : m)
  return Object.freeze({
    ...parsed,
    broker: resolve(parsed.broker),
    transport:
      transport.kind === 'tls'
        ? { ...transport, certificate: at(transport.certificate), key: at(transport.key) }
        : {
            ...transport,
            certificate: at(transport.certificate),
            key: at(transport.key),
            clientAuthorities: at(transport.clientAuthorities),
          },
    identity: {
      ...parsed.identity,
      keys:
        keys.kind === 'file'
          ? { kind: keys.kind, file: resolve(keys.file) }
          : { kind: keys.kind, url: keys.url, authority: authority(keys.authorityFile, resolve) },
    },
    instances:
      instances.kind === 'static'
        ? { ...instances, file: resolve(instances.file) }
        : instances.kind === 'recorded'
          ? { ...instances, directory: resolve(instances.directory) }
          : {
              kind: instances.kind,
              compute: instances.compute,
              logging: instances.logging,
              tokenFile: resolve(instances.tokenFile),
              authority: authority(instances.authorityFile, resolve),
            },
  })
}

function authority(name: string | undefined, resolve: (name: string) => string): string | undefined {
  return name === undefined ? undefined : new TextDecoder().decode(read(resolve(name)))
}

function read(name: string): Uint8Array {
  try {
    return readFileSync(name)
  } catch (cause) {
    throw new VouchsafeError('input.malformed', `configuration: ${name} cannot be read`, { cause })
  }
}
