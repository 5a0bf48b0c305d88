import type { AgreementBody, Grant } from '../agreement/agreement.ts'
import type { Claims } from '../claims/claims.ts'
import { checkCel } from './check-cel.ts'
import { checkPlain } from './check-plain.ts'
import { checkRego } from './check-rego.ts'
import type { ClaimUse, ReferenceUse } from './claim-use.ts'
import { isFact } from './claim-use.ts'
import { type Reason, reason } from './decision.ts'
import type { PolicyFinding } from './policy-finding.ts'

/** What one form of condition was found to be, without claims. */
export interface FormCheck {
  readonly findings: readonly PolicyFinding[]
  /** The claims that its answer can depend on. */
  readonly reads: readonly ClaimUse[]
  /** The reference values that it may ask for. Left out: its form has no such question. */
  readonly asks?: readonly ReferenceUse[]
}

/**
 * What can be said against a grant before anybody asks it: conditions that do not compile, claims that cannot exist,
 * comparisons that cannot come out as meant, traps, and releases without evidence.
 */
export function checkGrant(grant: Grant): readonly PolicyFinding[] {
  const forms = [checkPlain(grant), checkRego(grant), checkCel(grant)]
  const findings = forms.flatMap((f) => f.findings)
  return findings.some((f) => f.severity === 'refuse') ? findings : [...findings, ...checkEvidence(grant, forms)]
}

/**
 * The same of the grants of an agreement, with what they need of its other parts: whoever asks for reference values must
 * name somebody who gives them.
 */
export function checkGrants({
  grants,
  environment,
}: Pick<AgreementBody, 'grants' | 'environment'>): readonly GrantFinding[] {
  const named = environment.references ?? []
  return grants.flatMap((grant) =>
    [...checkGrant(grant), ...(named.length > 0 ? [] : (checkRego(grant).asks ?? []).map(asksNobody))].map(
      (finding) => ({
        grant: grant.id,
        ...finding,
      }),
    ),
  )
}

export interface GrantFinding extends PolicyFinding {
  readonly grant: string
}

function asksNobody({ place }: ReferenceUse): PolicyFinding {
  return {
    severity: 'refuse',
    check: 'reference',
    message: 'the agreement names no set of reference values, so there is nobody to ask',
    hint: 'name a set and its signer under environment.references',
    place,
  }
}

/** Conditions must stand on something that was measured; names only narrow (F18). */
function checkEvidence(grant: Grant, forms: readonly FormCheck[]): readonly PolicyFinding[] {
  const reads = forms.flatMap((f) => f.reads)
  if (grant.dangerouslyReleaseToAnySimulatedGuest === true || reads.some(({ path }) => isFact(path))) return []
  const place = { file: grant.id, row: 0, text: '' }
  const [first] = reads
  if (first === undefined)
    return [
      {
        severity: 'refuse',
        check: 'no-evidence',
        message: `grant ${grant.id} releases without reading any evidence`,
        hint: 'read a measured claim; on simulated guests only, "dangerouslyReleaseToAnySimulatedGuest": true does without',
        place,
      },
    ]
  return [
    {
      severity: 'refuse',
      check: 'names-only',
      message: `grant ${grant.id} reads only names (${first.path.join('.')}), which whoever runs the machine chooses`,
      hint: 'names narrow and never grant: read a measured claim as well',
      place,
    },
  ]
}

const MAX_KEPT = 256
const kept = new Map<string, GrantCheck>()

interface GrantCheck {
  readonly invalid: readonly PolicyFinding[]
  readonly evidence: readonly PolicyFinding[]
}

/**
 * Why a grant's policy text is not even asked, whatever the claims are. What may not be filed may not decide either: an
 * agreement can reach a broker in other ways than by being filed there.
 */
export function refusalsOfText(grant: Grant): readonly Reason[] {
  return checked(grant).invalid.map((f) =>
    reason('policy', codeOf(f), `grant ${grant.id}: ${f.hint}`, `${placeText(f)}: ${f.message}`),
  )
}

/** Why a grant whose conditions all hold does not apply all the same: they stand on nothing that was measured. */
export function refusalsOfEvidence(grant: Grant, claims: Claims): readonly Reason[] {
  if (grant.dangerouslyReleaseToAnySimulatedGuest === true && claims.class !== 'simulated') {
    const expected = `grant ${grant.id}: class simulated, since it says dangerouslyReleaseToAnySimulatedGuest`
    return [reason('policy', 'policy.no-evidence', expected, `class ${claims.class}`)]
  }
  return checked(grant).evidence.map((f) =>
    reason('policy', codeOf(f), `grant ${grant.id}: a condition on something measured`, f.message),
  )
}

/** Findings depend on the grant's text alone, so each text is looked at once. */
function checked(grant: Grant): GrantCheck {
  const { id, when, rego, cel, dangerouslyReleaseToAnySimulatedGuest: danger } = grant
  const key = JSON.stringify([id, when, rego ?? null, cel ?? null, danger ?? false])
  const known = kept.get(key)
  if (known !== undefined) return known
  const texts = [checkRego(grant), checkCel(grant)]
  const check = {
    invalid: texts.flatMap((f) => f.findings).filter((f) => f.severity === 'refuse'),
    evidence: checkEvidence(grant, [checkPlain(grant), ...texts]),
  }
  if (kept.size >= MAX_KEPT) kept.clear()
  kept.set(key, check)
  return check
}

function codeOf({ check }: PolicyFinding) {
  return check === 'no-evidence' || check === 'names-only' ? 'policy.no-evidence' : 'policy.invalid'
}

export function placeText({ place }: PolicyFinding): string {
  return place.row === 0 ? place.file : `${place.file}:${place.row}`
}
