import { type Agreement, type AgreementBody, parseAgreement } from './agreement/agreement.ts'
import { type OpenedSet, openNamedSets } from './agreement/reference/named-set.ts'
import { appraise, appraiseHardwareEvidence, appraisePlatformEvidence } from './appraisal/appraise.ts'
import type { DistrustRule } from './appraisal/distrust.ts'
import type { Appraisal } from './appraisal/finding.ts'
import type { CryptoPort } from './base/crypto.ts'
import { fromBase64 } from './base/encoding.ts'
import { VouchsafeError } from './base/errors.ts'
import { remembering } from './base/once.ts'
import { rememberingKeys } from './base/remembering-keys.ts'
import { claimsFromHardware } from './claims/from-hardware.ts'
import { claimsFromPlatform } from './claims/from-platform.ts'
import type { Claims } from './claims/claims.ts'
import { toClaims } from './claims/from-tpm.ts'
import type { Reuse } from './evidence/tpm/verify-tpm-evidence.ts'
import { verifyEvidence } from './evidence/verify.ts'
import { verifyAnyEvidence } from './evidence/verify-any.ts'
import { type Reason, reasonsAgainst } from './policy/decision.ts'
import { judgeGrant } from './policy/judge-grant.ts'
import type { AttestInputs } from './wire/decision-record.ts'
import { EndorsementMemo } from './x509/index.ts'

/** What is to be different. What is left out stays as it was recorded. */
export interface Supposition {
  /** Another reference set, launch or policy: taken from a candidate agreement. Owners, quorum and dates stay as recorded. */
  readonly agreement?: Pick<AgreementBody, 'workload' | 'launch' | 'environment' | 'grants'>
  /** Distrust rules in place of the recorded ones. */
  readonly distrust?: readonly DistrustRule[]
}

/** What a guest may have by its evidence alone: consent, tokens and leases are not in question here. */
export interface Access {
  /** `owner/path` of every resource whose conditions hold. Empty when the appraisal refuses. */
  readonly resources: readonly string[]
  /** Why each other resource is refused, by `owner/path`; `*` when all are. */
  readonly refusals: ReadonlyMap<string, readonly Reason[]>
}

export interface WhatIf {
  readonly machine: string
  readonly image: string
  readonly before: Access
  readonly after: Access
}

/**
 * Recorded evidence under another policy: verified again from its raw bytes once, then judged twice, as recorded and as
 * supposed. Null when the evidence was refused, which no policy can change.
 *
 * What records repeat, such as certificates, logs and agreements, is read once, by its whole text. What each proves anew,
 * its quote over its own nonce and keys, is verified for each. The memory ends with the function that is returned.
 *
 * @returns a function that judges one recorded attestation after another
 */
export function whatIf(
  supposition: Supposition,
  crypto: CryptoPort,
): (recorded: AttestInputs) => Promise<WhatIf | null> {
  const remembered = rememberingKeys(crypto)
  const once = remembering()
  const reuse = { once, memo: new EndorsementMemo() }
  const judged = new Map<string, WhatIf>()
  const bothOf = (text: string) =>
    once('agreements', text, () => {
      const agreement = parseAgreement(fromBase64(text, 'agreement'), crypto)
      // under its own digest: the launch was measured under that, and whether the candidate is approved is another question
      const supposed = { ...agreement, body: { ...agreement.body, ...supposition.agreement } }
      return { agreement, supposed, readTime: [agreement, supposed].some(mayReadTime) }
    })
  return async (recorded) => {
    const shown = await shownIn(recorded, remembered, reuse)
    if (shown === null || recorded.agreement === null) return null
    const { claims } = shown
    const { agreement, supposed, readTime } = bothOf(recorded.agreement)
    const setsOf = ({ body }: Agreement) =>
      openNamedSets(body.environment.references ?? [], recorded.references ?? [], new Date(recorded.at), remembered)
    const [setsBefore, setsAfter] = [await setsOf(agreement), await setsOf(supposed)]
    const judge = (): WhatIf => ({
      machine: claims.machine,
      image: claims.launch.image,
      before: accessOf(shown, agreement, recorded, recorded.distrust, setsBefore),
      after: accessOf(shown, supposed, recorded, supposition.distrust ?? recorded.distrust, setsAfter),
    })
    if (readTime || recorded.evidence.format !== 'tpm') return judge() // what vendors say of a CPU ages, too
    // a machine that attests again mostly says the same again
    const { enrolment, distrust } = recorded
    const key = JSON.stringify([claims, agreement.digest, enrolment?.resetCount, enrolment?.restartCount, distrust])
    const known = judged.get(key) ?? judge()
    if (judged.size >= MAX_KEPT) judged.clear()
    judged.set(key, known)
    return known
  }
}

const MAX_KEPT = 4096

/** Whether a policy may look at the time, or values end: then no two attestations are alike. Errs towards yes. */
function mayReadTime({ body }: Agreement): boolean {
  if (body.environment.references !== undefined) return true
  return body.grants.some(({ rego }) => Object.values(rego?.modules ?? {}).some((text) => /time|jwt|x509/.test(text)))
}

/** Evidence that verified: what it says, and how it stands under an agreement. */
interface Shown {
  readonly claims: Claims
  appraise(agreement: Agreement, distrust: readonly DistrustRule[], sets: readonly OpenedSet[]): Appraisal
}

async function shownIn(recorded: AttestInputs, crypto: CryptoPort, reuse: Reuse): Promise<Shown | null> {
  const { evidence, enrolment } = recorded
  try {
    const verified =
      evidence.format === 'tpm'
        ? await verifyEvidence({ ...recorded, evidence }, crypto, reuse)
        : await verifyAnyEvidence(recorded, crypto)
    if ('platform' in verified) {
      const claims = claimsFromPlatform(verified)
      const at = new Date(recorded.at)
      return {
        claims,
        appraise: (agreement, distrust, sets) =>
          appraisePlatformEvidence(verified, claims, { agreement, distrust, sets }, at),
      }
    }
    if ('hardware' in verified) {
      const claims = claimsFromHardware(verified)
      const at = new Date(recorded.at)
      return {
        claims,
        appraise: (agreement, distrust, sets) =>
          appraiseHardwareEvidence(verified, claims, { agreement, distrust, sets }, at),
      }
    }
    if (enrolment === null) return null // has been refused above
    const claims = toClaims(verified)
    return {
      claims,
      appraise: (agreement, distrust, sets) => appraise(claims, { agreement, counters: enrolment, distrust, sets }),
    }
  } catch (error) {
    if (error instanceof VouchsafeError && error.code !== 'internal') return null
    throw error
  }
}

function accessOf(
  { claims, appraise: appraiseUnder }: Shown,
  agreement: Agreement,
  recorded: AttestInputs,
  distrust: readonly DistrustRule[],
  sets: readonly OpenedSet[],
): Access {
  const against = reasonsAgainst(appraiseUnder(agreement, distrust, sets))
  if (against.length > 0) return refused(against)
  const resources = new Set<string>()
  const refusals = new Map<string, readonly Reason[]>()
  for (const grant of agreement.body.grants) {
    const judged = judgeGrant(grant, claims, new Date(recorded.at), sets)
    for (const path of grant.resources) {
      const resource = `${grant.owner}/${path}`
      if (judged.refusals.length === 0) resources.add(resource)
      else refusals.set(resource, [...(refusals.get(resource) ?? []), ...judged.refusals])
    }
  }
  for (const resource of resources) refusals.delete(resource) // one grant that applies is enough
  return { resources: [...resources].sort(), refusals }
}

function refused(reasons: readonly Reason[]): Access {
  return { resources: [], refusals: new Map([['*', reasons]]) }
}
