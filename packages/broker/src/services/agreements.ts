import {
  type Agreement,
  type ClientTerms,
  type Envelope,
  VouchsafeError,
  assertPolicies,
  digestOf,
  fromBase64,
  isClientTerms,
  judgeStanding,
  parseAgreement,
  parseClientTerms,
  parseDigest,
  parseStrictJson,
  parseSchema,
  envelopeSchema,
  toBase64,
  utf8,
  verifyStatement,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { z } from 'zod'
import type { Change } from '../store/changes.ts'
import type { Caller, Services, TenantContext } from './context.ts'
import { receiptOf } from './receipts.ts'

/**
 * Files an agreement. The first version of a name is in force at once (and releases nothing before it is approved); a
 * later version takes over when all who must approve it have.
 */
export async function proposeAgreement(
  services: Services,
  context: TenantContext,
  caller: Caller,
  body: z.output<typeof wire.proposeAgreementRequest>,
): Promise<z.input<typeof wire.proposeAgreementResponse>> {
  const tenant = context.tenant.id
  const bytes = fromBase64(body.agreement, 'agreement')
  const parsed = parseAgreement(bytes, nodeCrypto)
  assertPolicies(parsed)
  const { digest, body: agreement } = parsed
  if (!agreement.owners.some((o) => o.id === context.owner))
    throw new VouchsafeError(
      'agreement.owner',
      `${context.owner}, who owns this tenant, is no party to ${agreement.name}`,
    )
  const previous = agreement.previous === null ? null : parseDigest(agreement.previous)
  const changes: Change[] = [
    { change: 'nonce.consume', nonce: caller.nonce },
    { change: 'agreement.file', agreement: { digest, name: agreement.name, previous, bytes } },
  ]
  if (previous === null) changes.push({ change: 'agreement.adopt', name: agreement.name, digest })
  const recorded = await services.store.append({
    tenant,
    entry: {
      kind: 'agreement.proposed',
      subject: digest,
      digest,
      facts: { name: agreement.name, by: caller.principal.party },
    },
    changes,
    signer: context.logSigner,
  })
  return { digest, receipt: await receiptOf(services.store, tenant, recorded.seq) }
}

/** Files an approval or withdrawal, whoever brought it: its signature is what counts (decision 2). */
export async function fileStatement(
  services: Services,
  context: TenantContext,
  envelope: Envelope,
): Promise<z.input<typeof wire.statementResponse>> {
  const tenant = context.tenant.id
  const claimed = claimedAgreement(envelope)
  const stored = await services.store.agreement(tenant, parseDigest(claimed, 'statement.agreement'))
  if (stored === null)
    throw new VouchsafeError('agreement.unknown', `agreement ${claimed} is not known to tenant ${tenant}`)
  const agreement = parseFiled(stored.bytes)
  const statement = await verifyStatement(
    envelope,
    (owner) => agreement.body.owners.find((o) => o.id === owner)?.keys ?? [],
    nodeCrypto,
  )
  const payload = fromBase64(envelope.payload, 'statement')
  const id = digestOf(payload, nodeCrypto)
  const changes: Change[] = [
    {
      change: 'statement.add',
      statement: {
        id,
        says: statement.says,
        agreement: agreement.digest,
        owner: statement.owner,
        key: statement.key,
        envelope: utf8(JSON.stringify(envelope)),
        issuedAt: new Date(statement.issued),
        expiresAt: statement.says === 'approve' ? new Date(statement.expires) : null,
      },
    },
  ]
  if (statement.says === 'approve' && (await completes(services, context, agreement, envelope)))
    changes.push({ change: 'agreement.adopt', name: agreement.body.name, digest: agreement.digest })
  const recorded = await services.store.append({
    tenant,
    entry: {
      kind: statement.says === 'approve' ? 'agreement.approved' : 'agreement.withdrawn',
      subject: agreement.digest,
      digest: id,
      facts: { owner: statement.owner },
    },
    changes,
    signer: context.logSigner,
  })
  services.log('statement.filed', { tenant, agreement: agreement.digest, owner: statement.owner, says: statement.says })
  return { receipt: await receiptOf(services.store, tenant, recorded.seq) }
}

/** Every agreement filed here, and how it stands. */
export async function listAgreements(
  services: Services,
  context: TenantContext,
): Promise<z.input<typeof wire.listAgreementsResponse>> {
  const tenant = context.tenant.id
  // terms of single clients are filed beside agreements, and listed by the distributor
  const stored = (await services.store.agreements(tenant)).filter((s) => !isClientTerms(s.bytes))
  const agreements = await Promise.all(
    stored.map(async (s) => {
      const agreement = parseAgreement(s.bytes, nodeCrypto)
      const statements = await envelopesOf(services, tenant, agreement)
      const { missing, withdrawn } = await standingOf(services, context, agreement, statements)
      const current = stored.find((other) => other.name === s.name && other.current)
      return {
        digest: s.digest,
        name: s.name,
        agreement: toBase64(s.bytes),
        statements: statements.map((e) => ({ ...e, signatures: e.signatures.map((x) => ({ ...x })) })),
        supersededBy: s.current || current === undefined || current.version < s.version ? null : current.digest,
        approved: agreement.body.owners.map((o) => o.id).filter((id) => !missing.includes(id)),
        missing: [...missing],
        withdrawn: [...withdrawn],
      }
    }),
  )
  return { agreements }
}

/** True when a later version, filed but not yet in force, has all approvals that it needs with this one. */
async function completes(
  services: Services,
  context: TenantContext,
  agreement: Agreement | ClientTerms,
  envelope: Envelope,
): Promise<boolean> {
  const current = await services.store.currentAgreement(context.tenant.id, agreement.body.name)
  if (current === null || current.digest === agreement.digest || current.digest !== agreement.body.previous)
    return false
  const statements = await envelopesOf(services, context.tenant.id, agreement)
  const { missing, withdrawn } = await standingOf(services, context, agreement, [...statements, envelope])
  return missing.length === 0 && withdrawn.length === 0
}

async function envelopesOf(
  services: Services,
  tenant: string,
  agreement: Pick<Agreement, 'digest'>,
): Promise<readonly Envelope[]> {
  const stored = await services.store.statements(tenant, agreement.digest)
  return stored.map((s) => parseSchema(envelopeSchema, parseStrictJson(s.envelope, { maxBytes: 65_536 }), 'statement'))
}

async function standingOf(
  services: Services,
  context: TenantContext,
  agreement: Agreement | ClientTerms,
  envelopes: readonly Envelope[],
) {
  const principals = await services.store.principals(context.tenant.id)
  const ownerKeys = principals
    .filter((p) => p.role === 'owner' && p.party === context.owner && p.removedAt === null)
    .map((p) => p.key)
  const keysOf = (owner: string) => agreement.body.owners.find((o) => o.id === owner)?.keys ?? []
  const statements = await Promise.all(envelopes.map((e) => verifyStatement(e, keysOf, nodeCrypto)))
  const withdrawals = statements.filter((s) => s.says === 'withdraw')
  const { missing } = judgeStanding(
    agreement,
    {
      owner: context.owner,
      ownerKeys,
      approvals: statements.filter((s) => s.says === 'approve'),
      withdrawals,
      supersededBy: null,
    },
    services.clock(),
  )
  return { missing, withdrawn: [...new Set(withdrawals.map((w) => w.owner))] }
}

function parseFiled(bytes: Uint8Array): Agreement | ClientTerms {
  return isClientTerms(bytes) ? parseClientTerms(bytes, nodeCrypto) : parseAgreement(bytes, nodeCrypto)
}

/** Which agreement a statement says it is about; believed only after its signature was verified. */
function claimedAgreement(envelope: Envelope): string {
  const payload = parseStrictJson(fromBase64(envelope.payload, 'statement'), { maxBytes: 16_384 })
  const agreement =
    typeof payload === 'object' && payload !== null && 'agreement' in payload ? payload['agreement'] : undefined
  if (typeof agreement !== 'string') throw new VouchsafeError('input.malformed', 'statement.agreement: missing')
  return agreement
}
