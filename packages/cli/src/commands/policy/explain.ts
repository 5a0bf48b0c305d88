import {
  type DecisionRecord,
  type Envelope,
  type Grant,
  VouchsafeError,
  fromBase64,
  ownerKeySchema,
  parseAgreement,
  parseSchema,
  replayRecord,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Command } from 'commander'
import { withOwner } from '../../files.ts'
import { EXIT, UsageError } from '../../output.ts'
import { conditionsText, reasonsText } from '../../policy/finding-text.ts'
import { readEnvelopes } from '../../policy/record-files.ts'
import { attestationOf, shownInRecord } from '../../policy/records.ts'
import { type WouldChange, whatWouldChange } from '../../policy/what-would-change.ts'
import { type Done, outputOf, ownerVerb } from '../options.ts'

/** `vouchsafe policy explain`: what each condition made of a decision’s claims, and the least that would change it. */
export function explainVerb(done: Done): Command {
  return ownerVerb('explain', 'explain what the conditions made of a decision, rule by rule')
    .argument('[decision]', 'id of a decision at your broker')
    .option('--record <file>', 'an exported record: works offline')
    .option('--key <key>', 'with --record: the broker’s decision key, ed25519:…')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe policy explain d-3kV…\n  $ vouchsafe policy explain --record d.json --key ed25519:…',
    )
    .action(async (id: string | undefined, options: { as?: string; json?: boolean; record?: string; key?: string }) => {
      const { envelope, key } = await fetchEnvelope(id, options)
      const { record, verdict, signed, reproduced } = await replayRecord(envelope, key, nodeCrypto)
      const asked = record.operation === 'release' || record.operation === 'renew'
      const changes = asked && verdict.reasons.every((r) => r.stage === 'policy') ? await flips(record) : []
      const conditions = verdict.conditions ?? []
      const shadows = verdict.shadows ?? []
      const lines = [
        `${verdict.kind.toUpperCase()}  ${record.operation} ${record.id}, decided ${record.inputs.at}`,
        ...(conditions.length === 0 ? ['  no condition was asked'] : [conditionsText(conditions)]),
        ...(verdict.reasons.length === 0 ? [] : [reasonsText(verdict.reasons as Parameters<typeof reasonsText>[0])]),
        ...changes.flatMap(({ grant, wouldChange }) => [
          `  the Rego rule of ${grant} would say otherwise if`,
          ...wouldChange.map((c) => `    ${c.claim} were ${c.wouldHaveToBe} (it is ${c.is})`),
        ]),
        ...shadows.map((s) => `  on trial: ${s.name} would ${s.kind}${s.differs ? ', which is another answer' : ''}`),
        ...(reproduced ? [] : ['  computed again: ANOTHER VERDICT than was recorded']),
      ]
      outputOf(options).answer(
        {
          id: record.id,
          kind: verdict.kind,
          signed,
          reproduced,
          conditions,
          reasons: verdict.reasons,
          changes,
          shadows,
        },
        lines.join('\n'),
      )
      done(reproduced && signed !== false ? EXIT.yes : EXIT.no)
    })
}

async function flips(
  record: DecisionRecord,
): Promise<readonly { readonly grant: string; readonly wouldChange: readonly WouldChange[] }[]> {
  const { claims, sets } = await shownInRecord(record)
  return grantsOf(record).flatMap((grant) => {
    const wouldChange = whatWouldChange(grant, claims, new Date(record.inputs.at), sets)
    return wouldChange === null ? [] : [{ grant: grant.id, wouldChange }]
  })
}

/** The grants that the decision had to ask. */
function grantsOf(record: DecisionRecord): readonly Grant[] {
  if (record.operation !== 'release' && record.operation !== 'renew') return []
  const agreement = attestationOf(record)?.agreement ?? null
  if (agreement === null) return []
  const { body } = parseAgreement(fromBase64(agreement, 'agreement'), nodeCrypto)
  const wanted = record.inputs.resources.map((r) => r.path)
  return body.grants.filter((g) => g.owner === record.inputs.owner.id && g.resources.some((r) => wanted.includes(r)))
}

async function fetchEnvelope(
  id: string | undefined,
  options: { readonly as?: string; readonly record?: string; readonly key?: string },
): Promise<{ readonly envelope: Envelope; readonly key: string | null }> {
  if ((id === undefined) === (options.record === undefined))
    throw new UsageError('name either a decision or a record', 'vouchsafe policy explain d-…  or  --record FILE')
  if (id !== undefined)
    return withOwner(options.as, async (client, { broker }) => ({
      envelope: (await client.decision(id)).record,
      key: broker.decisions,
    }))
  for (const envelope of readEnvelopes([options.record ?? '']))
    return { envelope, key: options.key === undefined ? null : parseSchema(ownerKeySchema, options.key, '--key') }
  throw new VouchsafeError('input.malformed', `${options.record}: no record`)
}
