import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { parseDocument } from 'yaml'
import { ImageError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestHex } from '../oci/digest.ts'
import { readShape } from '../oci/json.ts'
import { type ImageReference, repositoryText } from '../oci/reference.ts'
import { normalScope, scopesOf } from './scope.ts'

/** Where the signatures of an image are looked for, as registries.d says. */
export interface SignatureStores {
  /** Base of a lookaside store: `file:`, `http:` or `https:`. Left out: none. */
  readonly lookaside?: string
  /** Signatures under tags and referrers in the registry itself are looked for. */
  readonly useSigstoreAttachments: boolean
}

/** All files of registries.d, merged. */
export interface RegistriesD {
  readonly default?: Entry
  readonly docker: ReadonlyMap<string, Entry>
}

/** Judged when it is used, as the reference does: one odd entry is no reason to lose the others. */
const url = z.string().min(1).max(4096)
const entrySchema = z.strictObject({
  lookaside: url.optional(),
  /** Its older name. */
  sigstore: url.optional(),
  // where other tools write to: known, and not followed
  'lookaside-staging': url.optional(),
  'sigstore-staging': url.optional(),
  'use-sigstore-attachments': z.boolean().optional(),
})
type Entry = z.infer<typeof entrySchema>
const fileSchema = z.strictObject({
  'default-docker': entrySchema.optional(),
  docker: z.record(z.string(), entrySchema).nullish(),
})

const MAX_FILE_BYTES = 1024 * 1024

/**
 * Reads every `*.yaml` of a directory. A namespace that two files speak about is refused, whatever they say: which one
 * counts would depend on the order. A directory that is not there says nothing.
 *
 * @throws {ImageError} `policy.malformed`, `policy.material`, naming the file (GU-29).
 * @source containers-registries.d(5)
 */
export async function readRegistriesD(directory: string): Promise<RegistriesD> {
  let names: readonly string[]
  try {
    names = (await readdir(directory)).filter((name) => name.endsWith('.yaml')).sort()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { docker: new Map() }
    throw new ImageError('policy.material', `${directory}: ${(cause as Error).message}`, { cause })
  }
  const files = await Promise.all(
    names.map(async (name) => {
      const what = path.join(directory, name)
      const bytes = await readFile(what).catch((cause: unknown) => {
        throw new ImageError('policy.material', `${what}: ${(cause as Error).message}`, { cause })
      })
      return { what, bytes }
    }),
  )
  return mergeRegistriesD(files)
}

/** @throws {ImageError} `policy.malformed` */
export function mergeRegistriesD(files: readonly { readonly what: string; readonly bytes: Uint8Array }[]): RegistriesD {
  const docker = new Map<string, Entry>()
  let byDefault: { readonly what: string; readonly entry: Entry } | undefined
  const from = new Map<string, string>()
  for (const { what, bytes } of files) {
    const parsed = parseRegistriesFile(bytes, what)
    const entry = parsed['default-docker']
    if (entry !== undefined) {
      if (byDefault !== undefined)
        throw new ImageError('policy.malformed', `${what}: default-docker is in ${byDefault.what} as well`)
      byDefault = { what, entry }
    }
    for (const [written, one] of Object.entries(parsed.docker ?? {})) {
      const namespace = normalScope(written)
      const earlier = from.get(namespace)
      if (earlier !== undefined)
        throw new ImageError('policy.malformed', `${what}: docker.${namespace} is in ${earlier} as well`)
      from.set(namespace, what)
      docker.set(namespace, one)
    }
  }
  return { docker, ...(byDefault === undefined ? {} : { default: byDefault.entry }) }
}

function parseRegistriesFile(bytes: Uint8Array, what: string): z.infer<typeof fileSchema> {
  if (bytes.length > MAX_FILE_BYTES) throw new ImageError('policy.malformed', `${what}: over ${MAX_FILE_BYTES} bytes`)
  return readShape(fileSchema, readYaml(bytes, what) ?? {}, what, 'policy.malformed')
}

/** Aliases, tags that nobody knows, and names that are no text are refused with everything else that is wrong. */
function readYaml(bytes: Uint8Array, what: string): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const document = parseDocument(text, { uniqueKeys: true, stringKeys: true })
    const [problem] = [...document.errors, ...document.warnings]
    if (problem !== undefined) throw problem
    return document.toJS({ maxAliasCount: 0 })
  } catch (cause) {
    throw new ImageError('policy.malformed', `${what}: ${(cause as Error).message}`, { cause })
  }
}

/**
 * What applies to an image: the most specific entry that says something, then the default; each member by itself.
 *
 * @throws {ImageError} `policy.malformed` for an address that cannot be used.
 */
export function storesFor(config: RegistriesD, reference: ImageReference): SignatureStores {
  const chain = [...scopesOf(reference).map((scope) => config.docker.get(scope)), config.default]
  const entries = chain.filter((entry) => entry !== undefined)
  const store = entries.find((entry) => entry.lookaside !== undefined || entry.sigstore !== undefined)
  const lookaside = store?.lookaside ?? store?.sigstore
  if (lookaside !== undefined) assertStoreUrl(lookaside, reference)
  const attachments = entries.find((entry) => entry['use-sigstore-attachments'] !== undefined)
  return {
    ...(lookaside === undefined ? {} : { lookaside }),
    useSigstoreAttachments: attachments?.['use-sigstore-attachments'] ?? false,
  }
}

/** A query would swallow the names that are put behind it. */
function assertStoreUrl(text: string, reference: ImageReference): void {
  if (/^(file|https?):\/\/[^?#]*$/.test(text) && URL.canParse(text)) return
  throw new ImageError(
    'policy.malformed',
    `registries.d for ${repositoryText(reference)}: ${JSON.stringify(text)} is not a file:, http: or https: URL without query`,
  )
}

/** The address of a signature, counted from one. The digest is checked already, so it cannot leave the store. */
export function lookasideUrl(base: string, repositoryPath: string, digest: Digest, number: number): string {
  const place = repositoryPath === '' ? '' : `/${repositoryPath}`
  return `${base}${place}@${digestAlgorithm(digest)}=${digestHex(digest)}/signature-${number}`
}
