import { readFileSync } from 'node:fs'
import {
  type Digest,
  type ImageReference,
  type ImageSource,
  parseAuthFile,
  parseRegistries,
  type Platform,
  proxyFromEnvironment,
  referenceText,
  RegistryClient,
} from '@vouchsafe/image'
import { type Command, InvalidArgumentError } from 'commander'
import { UsageError } from '../../output.ts'
import { printable } from '../../printable.ts'
import { type ImageAddress, parseAddress } from './image-address.ts'
import { openLocal } from './local-image.ts'

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
  /** Mirrors that failed or sent something else, so far: for the answer. They were told of when it happened. */
  readonly passedOver: readonly MirrorPassedOver[]
}

/** As answers show it. */
export interface MirrorPassedOver {
  readonly mirror: string
  readonly what: string
  readonly code: string
  readonly message: string
}

/**
 * Opens an image, runs, and ends connections whatever happens.
 *
 * @param image - As it was named, or what came of that.
 * @param signal - Ends what is being read from a registry.
 */
export async function withImage<T>(
  image: string | ImageAddress,
  options: RegistryOptions,
  run: (image: OpenImage) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const address = typeof image === 'string' ? parseAddress(image) : image
  if (address.kind !== 'registry')
    return run({ ...(await openLocal(address)), asked: undefined, client: undefined, passedOver: [] })
  const { tag, digest: named } = address.reference
  if (tag === undefined && named === undefined) {
    const text = referenceText(address.reference)
    throw new UsageError(
      `${text} has neither tag nor digest`,
      `add :TAG, or @sha256:…; vouchsafe image tags ${text} lists what there is`,
    )
  }
  const passedOver: MirrorPassedOver[] = []
  const client = registryClient(options, (passed) => passedOver.push(passed))
  try {
    const { digest } = await client.pin(address.reference, signal)
    const source = client.reader(address.reference, signal)
    return await run({ source, digest, asked: address.reference, client, passedOver })
  } finally {
    client.close()
  }
}

/**
 * Through the proxy of the environment, as skopeo and cosign go. A mirror that is passed over is told of on stderr, with
 * `--json` too: whoever keeps it has to know. Close it in any case.
 */
export function registryClient(
  { authFile, registries, leastRate }: RegistryOptions,
  onPassedOver: (passed: MirrorPassedOver) => void = () => undefined,
): RegistryClient {
  return new RegistryClient({
    onPassedOver: ({ mirror, what, reason: { code, message } }) => {
      process.stderr.write(
        `warning: mirror ${printable(`${mirror} was passed over for ${what}: ${code}: ${message}`)}\n`,
      )
      onPassedOver({ mirror, what, code, message })
    },
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
