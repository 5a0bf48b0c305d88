import { type Digest, type ImageReference, parseDigest, parseReference } from '@vouchsafe/image'
import { UsageError } from '../../output.ts'

/** For the help of verbs that read an image. */
export const IMAGE_WORDS =
  'oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG], each also with @sha256:…; or a registry reference'
/** For the help of verbs that write one. */
export const OUT_WORDS = 'where to write to: oci:DIR[:TAG], or oci-archive:FILE[:TAG]'

/** An image on this machine: in a layout, or in an archive. */
export interface LocalAddress {
  readonly kind: 'oci' | 'oci-archive' | 'docker-archive'
  /** The directory, or the archive's file. */
  readonly place: string
  /** A tag; in an archive of docker's the name of an image. */
  readonly name?: string
  readonly digest?: Digest
}

/**
 * An image as people name it, in skopeo's words: `oci:DIR:TAG`, `oci-archive:FILE:TAG`, `docker-archive:FILE:NAME:TAG`, or
 * `registry.example/app:v1@sha256:…`. Beside a digest a tag is for people only.
 */
export type ImageAddress = LocalAddress | { readonly kind: 'registry'; readonly reference: ImageReference }

/** Words that others have for places, and what to do instead. Taken for names they would be asked for at docker.io. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  docker: 'a registry is named without docker://, as registry.example/app:v1',
  'docker-daemon': 'docker save NAME -o image.tar, and name it docker-archive:image.tar',
  'containers-storage': 'skopeo copy containers-storage:NAME oci-archive:image.tar, and name that',
  dir: 'skopeo copy dir:PATH oci:DIR:TAG, and name that',
}

/** @throws {UsageError} with what to write instead; `reference.*` and `digest.*` of what is one otherwise. */
export function parseAddress(text: string): ImageAddress {
  const [, word = '', rest = ''] = /^([a-z-]+):(.*)$/s.exec(text) ?? []
  if (word === 'oci' || word === 'oci-archive' || word === 'docker-archive') return parseLocal(word, rest, text)
  if (/^[./~]/.test(text))
    throw new UsageError(
      `${text} is no image`,
      `a layout in a directory is written oci:${text}, a tar file oci-archive:${text} or docker-archive:${text}`,
    )
  if (/^[^:@]+\.(?:tar|tgz|tar\.[a-z0-9]+)$/.test(text))
    throw new UsageError(
      `${text} is no image`,
      `write oci-archive:${text}, or docker-archive:${text} if docker saved it`,
    )
  if (Object.hasOwn(ELSEWHERE, word))
    throw new UsageError(
      `${text}: images are not read from ${word}:`,
      `${ELSEWHERE[word] ?? ''}; a repository of that name is docker.io/library/${word}`,
    )
  if (/^https?:\/\//.test(text))
    throw new UsageError(`${text} is no image`, `a registry is named without ${word}://, as registry.example/app:v1`)
  return { kind: 'registry', reference: parseReference(text) }
}

/** What a digest in the address says that the image is, if it does. */
export function namedDigest(address: ImageAddress): Digest | undefined {
  return address.kind === 'registry' ? address.reference.digest : address.digest
}

function parseLocal(kind: LocalAddress['kind'], rest: string, text: string): LocalAddress {
  const [, where = '', digest] = /^([^@]*)(?:@(.*))?$/s.exec(rest) ?? []
  const [, place = '', name] = /^([^:]*)(?::(.*))?$/s.exec(where) ?? []
  if (place === '')
    throw new UsageError(
      `${text} names no ${kind === 'oci' ? 'layout' : 'archive'}`,
      kind === 'oci' ? 'write oci:DIR, for the one here oci:.' : `write ${kind}:FILE`,
    )
  if (name === '') throw new UsageError(`${text} ends in a colon`, `write ${kind}:${place}, or a name behind the colon`)
  return {
    kind,
    place,
    ...(name === undefined ? {} : { name }),
    ...(digest === undefined ? {} : { digest: parseDigest(digest, 'image digest') }),
  }
}
