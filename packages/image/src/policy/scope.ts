import { type ImageReference, normalHost, referenceText, repositoryText } from '../oci/reference.ts'
import type { ImagePolicy } from './parse-policy.ts'
import type { Requirement } from './requirement.ts'

/** What applies to an image, and under which words of the policy. */
export interface ChosenScope {
  /** For people: `docker: registry.example/team`, or `default`. */
  readonly scope: string
  readonly requirements: readonly Requirement[]
}

/**
 * Finds the requirements for an image: the most specific scope wins, nothing is merged.
 *
 * Order: the whole reference, the repository, each namespace above it, the host with its port, wildcards from the
 * longest to the shortest, the transport's own default, the policy's default.
 *
 * @source containers-policy.json(5), docker transport
 */
export function chooseScope(policy: ImagePolicy, reference: ImageReference): ChosenScope {
  const configured = policy.transports.get('docker')
  for (const scope of [...scopesOf(reference), '']) {
    const requirements = configured?.get(scope)
    if (requirements !== undefined)
      return { scope: `docker: ${scope === '' ? 'everything else' : scope}`, requirements }
  }
  return { scope: 'default', requirements: policy.default }
}

/** Where an image is looked for in policies and in registries.d, most specific first; wildcards last. */
export function scopesOf(reference: ImageReference): readonly string[] {
  return [...namespacesOf(reference), ...wildcardsOf(reference.registry)]
}

/** A scope's host as references spell it: one under another spelling would apply to nothing, and the default would. */
export function normalScope(scope: string): string {
  const [host = '', ...path] = scope.split('/')
  return [normalHost(host), ...path].join('/')
}

/** Reference, repository, each path above it, host. */
function namespacesOf(reference: ImageReference): readonly string[] {
  const scopes = new Set([referenceText(withoutTagOfDigest(reference))])
  for (let name = repositoryText(reference); ; name = name.slice(0, name.lastIndexOf('/'))) {
    scopes.add(name)
    if (!name.includes('/')) return [...scopes]
  }
}

/** Where both are given the digest is what counts, so it is what policies speak about. */
export function withoutTagOfDigest(reference: ImageReference): ImageReference {
  if (reference.digest === undefined) return reference
  const { tag: _, ...rest } = reference
  return rest
}

/** `*.sub.domain`, `*.domain`: whole labels, without the port. */
function wildcardsOf(registry: string): readonly string[] {
  if (registry.startsWith('[')) return []
  const labels = registry.replace(/:\d+$/, '').split('.')
  return labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join('.')}`)
}
