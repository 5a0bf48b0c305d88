import { readFileSync } from 'node:fs'
import {
  type Descriptor,
  type ImageReference,
  type RegistryClient,
  referenceText,
  type RepositoryName,
} from '@vouchsafe/image'
import { parseSigningKey, type SigningKey } from '@vouchsafe/image/signing'
import { UsageError } from '../../output.ts'
import { type OpenImage, type RegistryOptions, withImage } from './address.ts'

/** An image in a registry: signatures lie beside it. */
export interface RegistryImage {
  readonly client: RegistryClient
  readonly name: RepositoryName
  readonly asked: ImageReference
  readonly descriptor: Descriptor
  readonly opened: OpenImage
}

/** As `withImage`, for verbs that need the registry. */
export async function withRegistryImage<T>(
  text: string,
  options: RegistryOptions,
  run: (image: RegistryImage) => Promise<T>,
): Promise<T> {
  return withImage(text, options, async (opened) => {
    const image = await inRegistry(opened)
    if (image === undefined)
      throw new UsageError(
        `${text} is a local layout, and signatures lie in registries`,
        'push it first (vouchsafe image push), then name it by its registry reference',
      )
    return run(image)
  })
}

/** `undefined` for an image in a local layout. */
export async function inRegistry(opened: OpenImage): Promise<RegistryImage | undefined> {
  const { client, asked, digest } = opened
  if (client === undefined || asked === undefined) return undefined
  const { bytes, mediaType } = await client.reader(asked).readManifest(digest, 4 * 1024 * 1024)
  const descriptor = { mediaType, digest, size: bytes.length, annotations: new Map<string, string>() }
  const name = { registry: asked.registry, path: asked.path }
  return { client, name, asked, descriptor, opened }
}

/** The name that is signed: the repository as cosign does it, or with the tag for policies that compare references. */
export function signedName(asked: ImageReference, withTag: boolean | undefined): string {
  const { registry, path, tag } = asked
  if (withTag === true && tag === undefined)
    throw new UsageError('the reference has no tag to sign', 'name the image by tag, or leave out --with-tag')
  return referenceText(withTag === true && tag !== undefined ? { registry, path, tag } : { registry, path })
}

export interface SigningKeyOptions {
  readonly key?: string
  readonly passphraseFile?: string
  readonly pss?: boolean
}

/** A passphrase comes from a file, never from an argument: those are seen by everybody on the machine. */
export function readPassphrase(file: string | undefined): string | undefined {
  return file === undefined ? undefined : readFileSync(file, 'utf8').replace(/\r?\n$/, '')
}

export function readSigningKey(file: string, options: SigningKeyOptions): SigningKey {
  const passphrase = readPassphrase(options.passphraseFile)
  return parseSigningKey(readFileSync(file, 'utf8'), {
    what: file,
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(options.pss === undefined ? {} : { pss: options.pss }),
  })
}

/** `name=value`, repeatable. */
export function annotation(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError(`${text} is no annotation`, 'write --annotation name=value')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
