import { type Digest, type ImageReference, parseReference, type ProxySettings, referenceText } from '@vouchsafe/image'
import { z } from 'zod'
import { AgentError } from '../errors.ts'

/** Where the image of a launch lies. */
export type ImageOrigin =
  { readonly kind: 'layout'; readonly directory: string } | ({ readonly kind: 'registry' } & RegistryOrigin)

/** An image in a registry, and by what rules it is taken from there. Files are absolute, or `kbs://` resources. */
export interface RegistryOrigin {
  readonly reference: ImageReference & { readonly digest: Digest }
  /** Who must have signed the image (`policy.json`). */
  readonly policy: string
  /** Directory that says where simple signatures lie. */
  readonly registriesD?: string
  /** How registries are reached: own CAs, mirrors, private networks. Left out: public ones, by TLS. */
  readonly registries?: string
  /** Credentials, as `skopeo login` writes them. Left out: none. */
  readonly authFile?: string
  /** The proxy that leads to the registry. Left out: none; no environment is read. */
  readonly proxy?: ProxySettings
  /** Bytes a second that a registry must send; left out: what the image package asks for. */
  readonly leastRate?: number
  /** How often one request is tried before there is no answer. */
  readonly attempts: number
}

/** A file, or a resource that an owner's broker releases: `kbs:///path`, or `kbs://owner/path` where several grant it. */
const location = z.string().min(1).max(4096)

/** The member `pull` of a configuration. There is no default for the policy: who accepts everything writes that down. */
export const pullSchema = z.strictObject({
  reference: z.string().min(1).max(512),
  policy: location,
  registriesD: z.string().min(1).max(4096).exactOptional(),
  registries: location.exactOptional(),
  authFile: location.exactOptional(),
  proxy: z
    .strictObject({
      https: z.string().min(1).max(2048).exactOptional(),
      http: z.string().min(1).max(2048).exactOptional(),
      noProxy: z.string().max(16_384).exactOptional(),
    })
    .exactOptional(),
  leastRate: z.number().int().min(0).max(1e9).exactOptional(),
  attempts: z.number().int().min(1).max(10).default(5),
})

/**
 * @param beside - Makes a path absolute.
 * @throws {AgentError} `config.malformed`, for a tag too: what it names may be another image tomorrow (H01)
 */
export function registryOrigin(pull: z.output<typeof pullSchema>, beside: (file: string) => string): ImageOrigin {
  const { attempts, registriesD } = pull
  const at = (place: string) => (isReleased(place) ? place : beside(place))
  return {
    kind: 'registry',
    reference: pinned(pull.reference),
    policy: at(pull.policy),
    attempts,
    ...(pull.proxy === undefined ? {} : { proxy: pull.proxy }),
    ...(pull.leastRate === undefined ? {} : { leastRate: pull.leastRate }),
    ...(registriesD === undefined ? {} : { registriesD: beside(registriesD) }),
    ...(pull.registries === undefined ? {} : { registries: at(pull.registries) }),
    ...(pull.authFile === undefined ? {} : { authFile: at(pull.authFile) }),
  }
}

/** True for what an owner's broker releases, false for a file. */
export function isReleased(place: string): boolean {
  return place.startsWith('kbs://')
}

function pinned(text: string): ImageReference & { readonly digest: Digest } {
  let reference: ImageReference
  try {
    reference = parseReference(text)
  } catch (cause) {
    throw new AgentError('config.malformed', `pull.reference: ${(cause as Error).message}`, { cause })
  }
  const { digest, tag: _, ...name } = reference
  if (digest !== undefined) return { ...name, digest }
  throw new AgentError(
    'config.malformed',
    `pull.reference: ${text} names no digest, so whoever keeps the registry would choose what it is: resolve it once ` +
      `(vouchsafe image show ${text}), have that agreed, and write ${referenceText(name)}@sha256:…`,
  )
}
