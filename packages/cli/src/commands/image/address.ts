import { readFileSync } from 'node:fs'
import {
  type Descriptor,
  type Digest,
  ImageLayout,
  type ImageReference,
  type ImageSource,
  LayoutWriter,
  parseDigest,
  parseAuthFile,
  parseReference,
  parseRegistries,
  type Platform,
  proxyFromEnvironment,
  RegistryClient,
} from '@vouchsafe/image'
import { type Command, InvalidArgumentError } from 'commander'
import { UsageError } from '../../output.ts'

/**
 * An image as people name it: `oci:DIR`, `oci:DIR:TAG`, `oci:DIR@sha256:…`, or `registry.example/app:v1@sha256:…`. Beside
 * a digest a tag is for people only.
 */
export type ImageAddress =
  | { readonly kind: 'layout'; readonly directory: string; readonly tag?: string; readonly digest?: Digest }
  | { readonly kind: 'registry'; readonly reference: ImageReference }

export function parseAddress(text: string): ImageAddress {
  if (/^[./~]/.test(text)) throw new UsageError(`${text} is no image`, `a layout in a directory is written oci:${text}`)
  if (!text.startsWith('oci:')) return { kind: 'registry', reference: parseReference(text) }
  const [, place = '', digest] = /^oci:([^@]*)(?:@(.*))?$/s.exec(text) ?? []
  const [, directory = '', tag] = /^([^:]*)(?::(.*))?$/s.exec(place) ?? []
  if (directory === '') throw new UsageError(`${text} names no layout`, 'write oci:DIR, for the one here oci:.')
  return {
    kind: 'layout',
    directory,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest: parseDigest(digest, 'image digest') }),
  }
}

/** How registries are reached; every verb that may speak to one takes these. */
export interface RegistryOptions {
  readonly authFile?: string
  readonly registries?: string
  readonly leastRate?: number
}

export function withRegistryOptions(command: Command): Command {
  return command
    .option('--auth-file <file>', 'registry credentials, as skopeo login writes them')
    .option(
      '--registries <file>',
      'JSON by host: certificateAuthorities, mirrors, realmHosts, redirectHosts, privateNetwork, plainHttp',
    )
    .option(
      '--least-rate <bytes>',
      'give up a registry that sends less in a second, over a minute of waiting (default: 500; 0: never)',
      bytesPerSecond,
    )
}

function bytesPerSecond(text: string): number {
  if (!/^[0-9]{1,12}$/.test(text)) throw new InvalidArgumentError('a whole number of bytes a second, 0 for any rate')
  return Number(text)
}

/** An image that is open for reading, and what its name was settled to. */
export interface OpenImage {
  readonly source: ImageSource
  readonly digest: Digest
  /** For policies and messages. */
  readonly asked: ImageReference | undefined
  readonly client: RegistryClient | undefined
}

/**
 * Opens an image, runs, and ends connections whatever happens.
 *
 * @param signal - Ends what is being read from a registry.
 */
export async function withImage<T>(
  text: string,
  options: RegistryOptions,
  run: (image: OpenImage) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const address = parseAddress(text)
  if (address.kind === 'layout') {
    const source = await ImageLayout.open(address.directory)
    return run({ source, digest: digestIn(source, address), asked: undefined, client: undefined })
  }
  const client = registryClient(options)
  try {
    const { digest } = await client.pin(address.reference)
    return await run({ source: client.reader(address.reference, signal), digest, asked: address.reference, client })
  } finally {
    client.close()
  }
}

function digestIn(layout: ImageLayout, address: ImageAddress & { kind: 'layout' }): Digest {
  if (address.digest !== undefined) return address.digest
  if (address.tag !== undefined) return layout.find(address.tag).digest
  const digests = [...new Set(layout.index.manifests.map(({ digest }) => digest))]
  const [only] = digests
  if (only !== undefined && digests.length === 1) return only
  throw new UsageError(
    `${address.directory} holds ${digests.length} images`,
    `name one: ${layout.index.manifests.map((entry) => `oci:${address.directory}${nameOf(entry)}`).join(', ') || 'it is empty'}`,
  )
}

function nameOf(entry: Descriptor): string {
  const tag = entry.annotations.get('org.opencontainers.image.ref.name')
  return tag === undefined ? `@${entry.digest}` : `:${tag}`
}

/** A layout to write to: `oci:DIR` or `oci:DIR:TAG`. */
export async function openTarget(
  text: string,
  signal?: AbortSignal,
): Promise<{ writer: LayoutWriter; directory: string; tag?: string }> {
  const address = text.startsWith('oci:') ? parseAddress(text) : undefined
  if (address?.kind !== 'layout' || address.digest !== undefined)
    throw new UsageError(`${text} is no place to write an image to`, 'name a layout directory: --out oci:DIR:TAG')
  const writer = await LayoutWriter.open(address.directory, signal)
  return {
    writer,
    directory: address.directory,
    ...(address.tag === undefined ? {} : { tag: address.tag }),
  }
}

/** Through the proxy of the environment, as skopeo and cosign go. Close it in any case. */
export function registryClient({ authFile, registries, leastRate }: RegistryOptions): RegistryClient {
  return new RegistryClient({
    proxy: proxyFromEnvironment(process.env),
    ...(leastRate === undefined ? {} : { leastRate: { bytesPerSecond: leastRate } }),
    hosts: registries === undefined ? {} : parseRegistries(new Uint8Array(readFileSync(registries)), registries),
    ...(authFile === undefined ? {} : { credentials: parseAuthFile(new Uint8Array(readFileSync(authFile)), authFile) }),
  })
}

/** `linux/arm64/v8` */
export function platformOption(text: string): Platform {
  const [os = '', architecture = '', variant, more] = text.split('/')
  if (os === '' || architecture === '' || more !== undefined)
    throw new UsageError(`${text} is not a platform`, 'write os/architecture, for example --platform linux/arm64')
  return { os, architecture, ...(variant === undefined ? {} : { variant }) }
}
