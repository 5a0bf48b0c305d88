/** What the agent tells whoever started it. One JSON object a line; no event ever carries a secret. */
export type AgentEvent =
  | { readonly event: 'enrolled'; readonly owner: string; readonly machine: string; readonly class: string }
  | { readonly event: 'image.pulling'; readonly reference: string; readonly policy: string }
  /** A mirror that failed or sent something else: another was asked. */
  | {
      readonly event: 'image.mirror-passed-over'
      readonly mirror: string
      readonly what: string
      readonly code: string
    }
  | {
      readonly event: 'image.accepted'
      readonly image: string
      /** Which words of the policy decided. */
      readonly scope: string
      readonly signers: readonly string[]
    }
  | {
      readonly event: 'image.unpacking'
      readonly layer: number
      readonly layers: number
      /** Of this layer, as it is stored. */
      readonly bytes: number
      readonly size: number
    }
  | { readonly event: 'image.unpacked'; readonly image: string; readonly layers: number }
  | {
      readonly event: 'launch.measured'
      readonly agreement: string
      readonly image: string
      readonly isolation: string
    }
  | { readonly event: 'attest.accepted'; readonly owner: string; readonly decision: string; readonly machine: string }
  | {
      readonly event: 'attest.refused'
      readonly owner: string
      readonly code: string
      readonly decision: string | null
    }
  | { readonly event: 'release.granted'; readonly owner: string; readonly decision: string; readonly resources: number }
  | {
      readonly event: 'release.waiting'
      readonly owner: string
      readonly code: string
      readonly decision: string | null
    }
  | {
      readonly event: 'release.denied'
      readonly owner: string
      readonly code: string
      readonly decision: string | null
    }
  | { readonly event: 'broker.unreachable'; readonly owner: string; readonly code: string }
  | {
      readonly event: 'lease.renewed'
      readonly owner: string
      readonly lease: string
      readonly decision: string
      readonly expires: string
    }
  | {
      readonly event: 'lease.ended'
      readonly owner: string
      readonly lease: string
      readonly code: string
      readonly decision: string | null
    }
  | {
      readonly event: 'workload.started'
      readonly image: string
      readonly container: string
      readonly isolation: string
      readonly limited: boolean
    }
  | { readonly event: 'workload.ended'; readonly status: number }
  | { readonly event: 'workload.killed'; readonly why: string }
  | { readonly event: 'result.sealed'; readonly recipient: string; readonly file: string }
  | { readonly event: 'leftover.removed'; readonly container: string }
  | { readonly event: 'refused'; readonly code: string; readonly message: string }

export type Emit = (event: AgentEvent) => void
