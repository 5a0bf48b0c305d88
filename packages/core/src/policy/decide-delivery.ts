import type { ClientTerms } from '../agreement/client-terms.ts'
import type { Appraisal } from '../appraisal/finding.ts'
import type { ClientClaims } from '../claims/from-client.ts'
import { type Decision, type Reason, reason, reasonsAgainst } from './decision.ts'
import { type Standing, judgeStanding } from './standing.ts'

/** What stands on the broker's side: which secrets there are, and how often they were fetched. */
export interface DeliveryState {
  readonly secrets: readonly { readonly name: string; readonly version: number | null }[]
  readonly delivered: number
}

/**
 * May this client have its secrets now? Whatever the appraisal holds against it denies, but for the one finding that an
 * owner's exemption leaves; so do a withdrawal, a missing secret, a used-up count, and the lack of a key to deliver to.
 */
export function decideDelivery(
  claims: ClientClaims,
  appraisal: Appraisal,
  terms: ClientTerms,
  standing: Standing,
  state: DeliveryState,
  at: Date,
): Exclude<Decision, { kind: 'accept' }> {
  const { body } = terms
  const exempt = body.tpm.kind === 'dangerously-exempt'
  const denials: Reason[] = [
    ...reasonsAgainst(appraisal, (f) => exempt && f.check === 'appraisal.exempt' && f.tier === 'warning'),
  ]
  const { denials: against, missing } = judgeStanding(terms, standing, at)
  denials.push(...against, ...deliveryReasons(claims, terms), ...stateReasons(terms, state))
  const [first, ...rest] = denials
  if (first !== undefined) return { kind: 'deny', reasons: [first, ...rest] }
  const [missingFirst, ...missingRest] = missing
  if (missingFirst !== undefined)
    return {
      kind: 'wait',
      missingApprovals: [missingFirst, ...missingRest],
      reasons: [reason('policy', 'agreement.waiting', `${standing.owner} to approve`, 'no approval is in force')],
    }
  const [name, ...names] = body.secrets.map((s) => s.name)
  return name === undefined
    ? { kind: 'deny', reasons: [reason('policy', 'policy.no-condition', 'a secret', 'the terms name none')] }
    : { kind: 'release', grants: [name, ...names] }
}

/** A secret that is not sealed by its owner leaves only to a key: the attested one, or that of the approved connection. */
function deliveryReasons({ tpm, channel }: ClientClaims, { body }: ClientTerms): readonly Reason[] {
  if (body.secrets.every((s) => s.type === 'TPM')) return []
  if (body.delivery.to === 'sealed')
    return tpm?.hasSealKey === true
      ? []
      : [reason('policy', 'policy.delivery', 'a quote that commits to a seal key', 'none')]
  const { certificate } = body.network
  const bound = certificate !== null && channel.certificate === certificate
  return bound
    ? []
    : [reason('policy', 'policy.delivery', `a connection of certificate ${certificate}`, channel.certificate ?? 'none')]
}

function stateReasons({ body }: ClientTerms, { secrets, delivered }: DeliveryState): readonly Reason[] {
  const absent = body.secrets.filter(
    (s) => s.from.kind === 'resource' && (secrets.find((x) => x.name === s.name)?.version ?? null) === null,
  )
  return [
    ...absent.map((s) => reason('policy', 'release.unknown', `a secret ${s.name}`, 'there is none')),
    ...(delivered < body.delivery.times
      ? []
      : [
          reason(
            'policy',
            'policy.deliveries',
            `fewer than ${body.delivery.times} deliveries`,
            `${delivered} were made`,
          ),
        ]),
  ]
}
