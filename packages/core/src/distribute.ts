import { parseClientTerms } from './agreement/client-terms.ts'
import { verifyStatement } from './agreement/statement.ts'
import { appraiseClient } from './appraisal/client.ts'
import type { CryptoPort } from './base/crypto.ts'
import { fromBase64 } from './base/encoding.ts'
import { VouchsafeError } from './base/errors.ts'
import { type ClientClaims, toClientClaims } from './claims/from-client.ts'
import { type VerifiedClientTpm, verifyClientTpm } from './evidence/instance/client-tpm.ts'
import { verifyIdentityDocument } from './evidence/instance/identity-document.ts'
import { type WalkOf, walk } from './flow.ts'
import { decideDelivery } from './policy/decide-delivery.ts'
import type { Appraisal } from './appraisal/finding.ts'
import type { ClientTerms } from './agreement/client-terms.ts'
import type { DistributionInputs } from './wire/distribution-inputs.ts'
import { parseAnchor } from './x509/index.ts'

/** A client of the distributor, and what was held against it. */
export interface ClientResult {
  readonly claims: ClientClaims
  readonly appraisal: Appraisal
  /** The key that secrets are sealed to, from the verified quote. */
  readonly tpm: VerifiedClientTpm | null
}

/**
 * The whole line for one request of a client of the token distributor. Nothing is released before identity, launch data,
 * audit trail, connection and TPM all passed. A function of its inputs alone, so that a recorded decision can be walked again.
 */
export async function distribute(input: DistributionInputs, crypto: CryptoPort): Promise<WalkOf<ClientResult>> {
  return walk<ClientResult>(async (enter) => {
    enter('evidence')
    const at = new Date(input.at)
    const terms = termsOf(input, crypto)
    if (input.identity.state === 'used')
      throw new VouchsafeError('token.replayed', 'this identity document fetched secrets before')
    const identity = await verifyIdentityDocument(
      input.identity.document,
      { ...input.identity, maxAgeSeconds: terms.body.identityMaxAgeSeconds, at },
      crypto,
    )
    const tpm = await verifiedTpm(input, terms, at, crypto)
    enter('claims')
    const { facts, channel, profile } = input
    const claims = toClientClaims({ identity, facts, channel, tpm, profile }, crypto)
    enter('appraisal')
    const appraisal = appraiseClient(claims, terms, input.distrust, crypto)
    enter('policy')
    const keysOf = (owner: string) => terms.body.owners.find((o) => o.id === owner)?.keys ?? []
    const statements = await Promise.all(input.statements.map((s) => verifyStatement(s, keysOf, crypto)))
    const standing = {
      owner: input.owner.id,
      ownerKeys: input.owner.keys,
      approvals: statements.filter((s) => s.says === 'approve'),
      withdrawals: statements.filter((s) => s.says === 'withdraw'),
      supersededBy: input.supersededBy,
    }
    return {
      result: { claims, appraisal, tpm },
      decision: decideDelivery(claims, appraisal, terms, standing, input, at),
    }
  })
}

function termsOf(input: DistributionInputs, crypto: CryptoPort): ClientTerms {
  const terms = parseClientTerms(fromBase64(input.terms, 'terms'), crypto)
  if (!terms.body.owners.some((o) => o.id === input.owner.id))
    throw new VouchsafeError('agreement.owner', `the terms are not by ${input.owner.id}, who owns this tenant`)
  return terms
}

/** The client's TPM, unless its owner exempted it; then whatever it shows of one is not looked at. */
async function verifiedTpm(
  input: DistributionInputs,
  { body }: ClientTerms,
  at: Date,
  crypto: CryptoPort,
): Promise<VerifiedClientTpm | null> {
  if (body.tpm.kind === 'dangerously-exempt') return null
  if (input.tpm === null)
    throw new VouchsafeError('evidence.unenrolled', 'the client has shown no quote by an activated attestation key')
  // a store of production must never take a software TPM's word, so something beside the owner's pin vouches for it (decision 9)
  if (input.profile === 'production' && input.facts.source !== 'live' && input.tpm.ekCertificate === null)
    throw new VouchsafeError(
      'endorsement.untrusted',
      'the endorsement key comes without certificate, and from a platform’s record that was not asked for now',
    )
  const { attestationKey, endorsementKey } = input.facts.tpm
  const approved = fromBase64(body.tpm.endorsementKey, 'endorsementKey')
  if (endorsementKey !== null && !crypto.equal(approved, fromBase64(endorsementKey, 'facts.tpm.endorsementKey')))
    throw new VouchsafeError(
      'endorsement.mismatch',
      'the platform publishes another endorsement key than the approved one',
    )
  return verifyClientTpm(
    input.tpm,
    {
      exchange: { brokerId: input.brokerId, tenant: input.tenant, instance: body.client.instance },
      certificate: input.channel.certificate ?? '',
      endorsementKey: approved,
      platformKey: attestationKey === null ? null : fromBase64(attestationKey, 'facts.tpm.attestationKey'),
      pinned: body.tpm.registers,
      anchors: input.anchors.map((a) => parseAnchor(fromBase64(a.certificate, 'anchor'), a)),
      at,
    },
    crypto,
  )
}
