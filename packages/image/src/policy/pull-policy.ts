import type { PullAnswer, PullPolicy, PullSubject } from '../pull/pull-image.ts'
import type { RegistryClient } from '../registry/client.ts'
import { type LookasideReader, readLookasideFile } from '../signature/find-signatures.ts'
import { MAX_SIGNATURE_BYTES } from '../signature/payload.ts'
import { sigstoreBundle } from '../signature/scheme/bundle.ts'
import { cosignTag } from '../signature/scheme/cosign-tag.ts'
import { registryService } from '../signature/scheme/registry-service.ts'
import type { SchemeModule, SignatureScheme, UnreadableSignature } from '../signature/scheme/scheme.ts'
import { simpleSigning } from '../signature/scheme/simple-signing.ts'
import type { BundleSignature, CosignSignature, SimpleSignature } from '../signature/stored-signature.ts'
import { decideImage, type DecisionPorts, type ImageDecision } from './decide-image.ts'
import type { SignedImage } from './judge-signature.ts'
import type { MaterialReader } from './material.ts'
import type { ImagePolicy } from './parse-policy.ts'
import { lookasideUrl, type RegistriesD, storesFor } from './registries-d.ts'
import { chooseScope } from './scope.ts'

/** A policy, and what deciding by it needs. */
export interface PolicyPorts {
  readonly policy: ImagePolicy
  /** Signatures are fetched from the image's own registry, never from a mirror's name. */
  readonly client: RegistryClient
  readonly material: MaterialReader
  /** Where simple signatures lie. Left out: only those that registries hold are found. */
  readonly registries?: RegistriesD
  /** Reads `http:` and `https:` stores; the client does it unless told, under its rules for that host. */
  readonly lookaside?: LookasideReader
  /** Schemes that policies may name, beside `registry-service`; of two with one name the own one counts. */
  readonly schemes?: readonly SchemeModule[]
  readonly at: () => Date
  readonly requireSignature?: boolean
  readonly dangerouslyAcceptSha1?: boolean
  /** Told of every decision, also of one that accepts. */
  readonly onDecision?: (decision: ImageDecision) => void
  readonly signal?: AbortSignal
}

/**
 * A policy.json as the policy of a pull (GU-08, GU-09): it decides after the manifest is verified by digest, and before
 * configuration or any layer is fetched. It is asked on every pull, also when everything is stored.
 */
export function pullPolicy(ports: PolicyPorts): PullPolicy {
  return async (subject) => {
    const decision = await decideBySignatures(signedImageOf(subject), ports)
    ports.onDecision?.(decision)
    return answerOf(decision)
  }
}

/** Fetches what the requirements want to see, and decides. */
export async function decideBySignatures(image: SignedImage, ports: PolicyPorts): Promise<ImageDecision> {
  const chosen = chooseScope(ports.policy, image.asked)
  return decideImage(chosen, image, {
    material: ports.material,
    signatures: signatureSource(image, ports),
    schemes: [...(ports.schemes ?? []), registryService],
    at: ports.at(),
    requireSignature: ports.requireSignature ?? false,
    dangerouslyAcceptSha1: ports.dangerouslyAcceptSha1 ?? false,
  })
}

/** Index and manifest, where an index led here: either may be what was signed (H02). */
function signedImageOf(subject: PullSubject): SignedImage {
  const manifest = { role: 'manifest', digest: subject.manifestDigest, bytes: subject.manifestBytes } as const
  const documents =
    subject.index === undefined
      ? [manifest]
      : [{ role: 'index', digest: subject.index.digest, bytes: subject.index.bytes } as const, manifest]
  return { asked: subject.asked, documents }
}

function answerOf(decision: ImageDecision): PullAnswer {
  if (decision.kind === 'accept') return { kind: 'accept' }
  const [first, ...more] = explainRefusal(decision)
  return { kind: 'refuse', reasons: [first ?? 'nothing allows it', ...more] }
}

/** A sentence for each requirement that does not hold, and for each signature that did not count. */
export function explainRefusal({ scope, findings }: ImageDecision): readonly string[] {
  return findings
    .filter(({ fulfilled }) => !fulfilled)
    .flatMap(({ requirement, explanation, signatures }) => [
      `${scope}: ${requirement}: ${explanation}`,
      ...signatures
        .filter(({ outcome }) => !outcome.startsWith('good'))
        .map(({ place, outcome }) => `${place}: ${outcome}`),
    ])
}

function signatureSource(image: SignedImage, ports: PolicyPorts): DecisionPorts['signatures'] {
  const { asked, documents } = image
  const { client, signal } = ports
  const stores = storesFor(ports.registries ?? { docker: new Map() }, asked)
  const remote: LookasideReader = (url) => client.readFile(new URL(url), MAX_SIGNATURE_BYTES, signal)
  const { lookaside } = stores
  const files = simpleSigning(
    lookaside === undefined ? undefined : ({ digest }, number) => lookasideUrl(lookaside, asked.path, digest, number),
    lookaside?.startsWith('file:') === true ? readLookasideFile : (ports.lookaside ?? remote),
  )
  const fetchBy = async <Signature extends { readonly place: string }>(
    ...schemes: readonly SignatureScheme<Signature, never>[]
  ) => {
    const found: (Signature | UnreadableSignature)[] = []
    for (const { digest } of documents)
      for (const scheme of schemes)
        found.push(
          ...(await scheme.fetch({ client, name: asked, digest, ...(signal === undefined ? {} : { signal }) })),
        )
    return found
  }
  // an explicit configuration may turn attachments off; without one a policy that asks for them means them
  const asksRegistry = ports.registries === undefined || stores.useSigstoreAttachments
  return {
    notAsked: {
      ...(lookaside === undefined ? { simple: 'registries.d names no signature store for it' } : {}),
      ...(asksRegistry ? {} : { sigstore: 'registries.d does not say use-sigstore-attachments for it' }),
    },
    // as the reference does: a store of files where one is configured, and the registry's own service where it has one
    simple: () => fetchBy<SimpleSignature>(files, registryService),
    sigstore: async () => (asksRegistry ? fetchBy<CosignSignature | BundleSignature>(cosignTag, sigstoreBundle) : []),
    of: (scheme) => fetchBy(scheme),
  }
}
