import { readFileSync } from 'node:fs'
import { ImageError } from '@vouchsafe/image'
import {
  type BundleTrust,
  cosignTag,
  type FoundSignature,
  parsePublicKey,
  PREDICATES,
  type SigstoreRoot,
  subjectFor,
  type VerificationKey,
  verifyBundle,
} from '@vouchsafe/image/signing'
import type { RegistryImage } from './signing-options.ts'

/** What lies beside an image in its registry. */
export interface SeenSignature {
  readonly place: string
  /** A known signer; `null` for one by none of the keys that were named. */
  readonly who: string | null
  readonly key: string | null
  readonly says: string
  /** When a transparency log recorded it, checked with the log's own key; `null` where none did, or none was asked. */
  readonly at: string | null
  /** Why it does not count; `null` where it does. */
  readonly why: string | null
}

export interface KnownSigner {
  readonly name: string
  readonly key: VerificationKey
}

export function signersOf(files: readonly string[]): readonly KnownSigner[] {
  return files.map((file) => ({ name: file, key: parsePublicKey(readFileSync(file), file) }))
}

/**
 * The signatures and statements that were found of an image, each by whom it is. A registry can take one away, or hold one back: only what
 * a transparency log recorded has a time that the registry cannot choose.
 *
 * @throws {ImageError} `registry.*`: no answer is not "unsigned".
 */
export async function signaturesInRegistry(
  { client, asked, descriptor }: RegistryImage,
  all: readonly FoundSignature[],
  signers: readonly KnownSigner[],
  logs: SigstoreRoot | undefined,
): Promise<readonly SeenSignature[]> {
  const { digest } = descriptor
  const { bytes } = await client.reader(asked).readManifest(digest, 4 * 1024 * 1024)
  const keys = signers.map(({ key }) => key)
  const trust: BundleTrust = { kind: 'keys', keys, ...(logs === undefined ? {} : { logs }) }
  const seen: SeenSignature[] = []
  for (const found of all) seen.push(await look(found, { digest, bytes }, { keys, trust, signers }))
  return seen
}

interface Judging {
  readonly keys: readonly VerificationKey[]
  readonly trust: BundleTrust
  readonly signers: readonly KnownSigner[]
}

async function look(
  found: FoundSignature,
  image: { readonly digest: RegistryImage['descriptor']['digest']; readonly bytes: Uint8Array },
  { keys, trust, signers }: Judging,
): Promise<SeenSignature> {
  const { place } = found
  const nobody = (error: ImageError): SeenSignature => {
    const why = `${error.code}: ${error.message}`
    return { place, who: null, key: null, says: 'cannot be told', at: null, why }
  }
  const by = (id: string) => ({
    place,
    who: signers.find(({ key }) => key.id === id)?.name ?? null,
    key: id,
    why: null,
  })
  const elsewhere = new ImageError('signature.mismatch', `${place}: is about another image`)
  try {
    if (found.kind === 'unreadable') return nobody(found.error)
    if (found.kind === 'cosign') {
      const { key, digest } = await cosignTag.verify(found, { kind: 'keys', keys }, [])
      return digest === image.digest ? { ...by(key), says: 'signed', at: null } : nobody(elsewhere)
    }
    if (found.kind !== 'bundle') return nobody(elsewhere)
    const { content, signer } = verifyBundle(found, trust, [image.bytes])
    // without the log's key its time is anybody's word
    const logged = trust.kind === 'keys' && trust.logs !== undefined ? signer.loggedAt : undefined
    const at = logged?.toISOString() ?? null
    if (content.kind === 'artifact') return { ...by(signer.keyId), says: 'signed', at }
    const { predicateType } = content.statement
    if (subjectFor(content.statement, image.digest) === undefined) return nobody(elsewhere)
    return { ...by(signer.keyId), says: predicateType === PREDICATES.sign ? 'signed' : `states ${predicateType}`, at }
  } catch (error) {
    if (error instanceof ImageError && /^(?:signature|statement|digest|key)\./.test(error.code)) return nobody(error)
    throw error
  }
}
