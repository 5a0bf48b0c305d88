import { readFileSync } from 'node:fs'
import { assertVerified, type PkiToken, type Verified } from '@vouchsafe/core'
import { compile, formatValue, type FailedExpression, type Policy } from '@vouchsafe/rego'

const POLICY_FILE = new URL('policy.rego', import.meta.url)

export interface RuleResult {
  readonly rule: string
  readonly holds: boolean
  /** For a rule that does not hold: what was asked, and what was found. */
  readonly why?: string
}

export interface Judgement {
  readonly allow: boolean
  readonly rules: readonly RuleResult[]
}

/** UWear’s policy over its lists. The lists are data: nothing is ever written into the policy’s text. */
export function compilePolicy(values: unknown): Policy {
  return compile({ 'policy.rego': readFileSync(POLICY_FILE, 'utf8') }, { data: values })
}

/** Asks every rule about a token, and for each that does not hold, why. */
export function judge(policy: Policy, token: Verified<PkiToken>, expectedNonce: string): Judgement {
  assertVerified(token)
  return judgeClaims(policy, {
    claims: token.claims,
    class: token.class,
    nonces: token.nonces,
    expected_nonce: expectedNonce,
  })
}

/** What the policy reads. */
export interface PolicyInput {
  readonly claims: unknown
  readonly class: string
  readonly nonces: readonly string[]
  readonly expected_nonce: string
}

/** @internal For tests over claims alone: `judge` is for tokens. */
export function judgeClaims(policy: Policy, input: PolicyInput): Judgement {
  const results = policy.eval('data.uwear.results', input).value as Readonly<Record<string, unknown>>
  const rules = Object.entries(results).map(([rule, value]) =>
    value === true ? { rule, holds: true } : { rule, holds: false, why: why(policy, rule, input) },
  )
  return { allow: policy.eval('data.uwear.allow', input).value === true, rules }
}

function why(policy: Policy, rule: string, input: PolicyInput): string {
  // nonces name a connection: told apart, they are not shown
  if (rule === 'nonce_verified')
    return 'token.nonce: the token was made for another connection: something between the two ends terminates TLS, or it is replayed'
  const path = `data.uwear.${rule}`
  const { explanation } = policy.eval(path, input, { explain: true })
  const failed = explanation?.rules.find((r) => r.path === path)?.bodies.find((b) => b.failed !== undefined)?.failed
  return failed === undefined ? 'no explanation' : sentence(failed)
}

function sentence({ text, reads, inside }: FailedExpression): string {
  const found = reads.map((r) => `${r.text} is ${r.value === undefined ? 'not there' : formatValue(r.value)}`)
  const within = inside === undefined ? [] : [sentence(inside)]
  return [`${text.replaceAll(/\s+/g, ' ')} does not hold`, ...found, ...within].join('; ')
}
