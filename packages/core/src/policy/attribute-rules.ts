import { isCelList } from '@bufbuild/cel'
import { z } from 'zod'
import { MAX_CEL_BYTES } from '../agreement/agreement.ts'
import { utf8 } from '../base/encoding.ts'
import { parseSchema } from '../base/schema.ts'
import { type CelAnswer, compileCel, evaluateCel, toCelVariables } from './cel/cel-program.ts'
import { type Reason, reason } from './decision.ts'
import { CEL_CLAIMS, codeOf, describe } from './judge-cel.ts'

const SUBJECT = 'google.subject'
const MAX_SUBJECT_BYTES = 127
const cel = z.string().min(1).max(MAX_CEL_BYTES)

const attributeRulesSchema = z.strictObject({
  /** What each attribute of a principal is, said of the token's claims, which are `assertion`. */
  mapping: z
    .record(z.string().regex(/^(?:google\.(?:subject|groups)|attribute\.[a-z][a-z0-9_]{0,99})$/, 'no attribute'), cel)
    .refine((m) => Object.hasOwn(m, SUBJECT), `${SUBJECT} is not mapped: a principal needs a name`)
    .refine((m) => Object.keys(m).length <= 52, 'more than 52 attributes'),
  /** What must be true of `assertion`, `google` and `attribute`. Without it every token of the issuer counts, so it is required. */
  condition: cel,
})

/** Which claims of a token become attributes of a principal, and what must hold of them, as cloud providers write it. */
export type AttributeRules = z.infer<typeof attributeRulesSchema>

/** What a token made of its holder. Lists are as the rules give them; whoever grants compares whole values. */
export type Principal =
  | { readonly kind: 'accepted'; readonly attributes: Readonly<Record<string, string | readonly string[]>> }
  | { readonly kind: 'refused'; readonly reasons: readonly [Reason, ...Reason[]] }

/**
 * Reads rules, and every expression in them.
 *
 * @throws {VouchsafeError} `input.malformed`, `input.unknown-member`, `policy.invalid`
 */
export function parseAttributeRules(value: unknown): AttributeRules {
  const rules = parseSchema(attributeRulesSchema, value, 'attribute rules')
  for (const text of Object.values(rules.mapping)) compileCel(text, [CEL_CLAIMS])
  compileCel(rules.condition, CONDITION_READS)
  return rules
}

const CONDITION_READS = [CEL_CLAIMS, 'google', 'attribute']

/**
 * The principal that a token stands for. An attribute that fails, is missing or no text refuses the token: what is left
 * out of a comparison could only make it wider.
 *
 * @param assertion - Claims of a token that was verified: issuer, audience, signature and times are not looked at here.
 */
export function principalOf(rules: AttributeRules, assertion: Readonly<Record<string, unknown>>): Principal {
  const mapping = Object.entries(rules.mapping)
  const programs = mapping.map(([, text]) => compileCel(text, [CEL_CLAIMS]))
  const answers = evaluateCel(programs, toCelVariables({ assertion }))
  let at = 0
  const mapped = mapping.map(([name], i) => {
    const terms = programs[i]?.terms.length ?? 0
    const answer = answers[at] ?? { kind: 'bound' }
    at += terms
    // several terms are a conjunction, and that is no text
    return [name, terms === 1 ? attributeOf(name, answer) : null, answer] as const
  })
  const [first, ...rest] = mapped.flatMap(([name, value, answer]) =>
    value === null ? [reason('policy', attributeCode(answer), wanted(name), actual(answer))] : [],
  )
  if (first !== undefined) return { kind: 'refused', reasons: [first, ...rest] }
  const attributes = Object.fromEntries(mapped.map(([name, value]) => [name, value ?? '']))
  return refusalBy(rules.condition, assertion, attributes) ?? { kind: 'accepted', attributes }
}

function refusalBy(
  condition: string,
  assertion: Readonly<Record<string, unknown>>,
  attributes: Readonly<Record<string, string | readonly string[]>>,
): Principal | null {
  const under = (prefix: string) =>
    Object.fromEntries(
      Object.entries(attributes).flatMap(([name, v]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), v]] : [],
      ),
    )
  const program = compileCel(condition, CONDITION_READS)
  const variables = toCelVariables({ assertion, google: under('google.'), attribute: under('attribute.') })
  const answers = evaluateCel([program], variables)
  const [first, ...rest] = program.terms.flatMap((term, i) => {
    const answer = answers[i] ?? { kind: 'bound' }
    const held = answer.kind === 'value' && answer.value === true
    return held ? [] : [reason('policy', codeOf(answer), `${term.text} is true`, describe(answer))]
  })
  return first === undefined ? null : { kind: 'refused', reasons: [first, ...rest] }
}

function attributeOf(name: string, answer: CelAnswer): string | readonly string[] | null {
  if (answer.kind !== 'value') return null
  const { value } = answer
  if (name === SUBJECT)
    return typeof value === 'string' && value !== '' && utf8(value).length <= MAX_SUBJECT_BYTES ? value : null
  if (typeof value === 'string') return name === 'google.groups' ? null : value
  if (!isCelList(value as never)) return null
  const items = [...(value as Iterable<unknown>)]
  return items.every((item) => typeof item === 'string') ? items : null
}

function wanted(name: string): string {
  if (name === SUBJECT) return `${name} is a text of 1 to ${MAX_SUBJECT_BYTES} bytes`
  return name === 'google.groups' ? `${name} is a list of texts` : `${name} is a text or a list of texts`
}

/** Of an answer that is no attribute: a value of another type is an error, `false` included. */
function attributeCode(answer: CelAnswer) {
  return answer.kind === 'value' ? 'policy.error' : codeOf(answer)
}

function actual(answer: CelAnswer): string {
  return answer.kind === 'value' ? 'it is another value' : describe(answer)
}
