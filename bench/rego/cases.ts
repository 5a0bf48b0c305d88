import path from 'node:path'
import { readVectorText, vectorsRoot } from '@vouchsafe/testkit'

/** One benchmark case: a policy, a query, and the files that it reads. */
export type Case = {
  readonly policy: string
  readonly name: string
  readonly query: string
  /** Absolute paths, for peers in other processes. */
  readonly files: { readonly policy: string; readonly data: string; readonly input: string }
  /** How many times faster than OPA's Go evaluator it has to be. */
  readonly goal: number
}

/** The anchors of the vectors' INDEX, with the goals of issue 4. */
const ANCHORS: readonly (readonly [policy: string, cases: readonly string[], goal: number])[] = [
  ['01-claims-allowlist', ['allow'], 20],
  ['02-trust-vector', ['snp-affirming', 'tdx-affirming'], 0],
  ['03-resource-release', ['trainer-model', 'owner-put'], 0],
  ['04-event-log', ['small-60', 'good-260'], 50],
  ['05-container-enforcer', ['mount-overlay', 'create-container', 'create-container-bad-arg'], 8],
  [
    '06-pod-policy',
    ['create-pause', 'create-worker', 'create-wrong-env', 'create-other-namespace', 'exec-healthz', 'copy-file'],
    8,
  ],
]

type Spec = {
  readonly policy: string
  readonly cases: readonly {
    readonly name: string
    readonly query: string
    readonly input: string
    readonly data: string
  }[]
}

export function benchCases(): Case[] {
  return ANCHORS.flatMap(([policy, names, goal]) => {
    const spec = JSON.parse(readVectorText(`rego-bench/${policy}/cases.json`)) as Spec
    const at = (file: string): string => path.join(vectorsRoot, 'rego-bench', policy, file)
    return names.map((name): Case => {
      const found = spec.cases.find((c) => c.name === name)
      if (found === undefined) throw new Error(`no case ${name} in ${policy}`)
      const files = { policy: at(spec.policy), data: at(found.data), input: at(found.input) }
      return { policy, name, query: found.query, files, goal }
    })
  })
}
