import { type Envelope, ownerKeySchema, parseSchema } from '@vouchsafe/core'
import type { Command } from 'commander'
import { withOwner } from '../../files.ts'
import { EXIT, UsageError } from '../../output.ts'
import { readEnvelopes } from '../../policy/record-files.ts'
import { openRecord } from '../../policy/records.ts'
import { type Done, outputOf, ownerVerb } from '../options.ts'
import { table } from '../../table.ts'

interface TrialsOptions {
  readonly as?: string
  readonly json?: boolean
  readonly records?: readonly string[]
  readonly key?: string
}

/** A decision on which a policy on trial was asked as well, as its record tells. */
interface Asked {
  readonly policy: string
  readonly decision: string
  readonly at: string
  readonly decided: string
  readonly would: string
  readonly differs: boolean
}

/** `vouchsafe policy trials`: how often each policy on trial was asked, and where it would have decided otherwise. */
export function trialsVerb(done: Done): Command {
  return ownerVerb('trials', 'count the decisions that policies on trial would have made otherwise')
    .option(
      '--records <files...>',
      'decision records: files, folders, or JSON lines (default: the newest at your broker)',
    )
    .option(
      '--key <key>',
      'with --records: the broker’s decision key, ed25519:…; records that it did not sign are refused',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe policy trials\n  $ vouchsafe policy trials --records records.jsonl --key ed25519:…\n\nExit status 0: none would have decided otherwise. 1: some would.',
    )
    .action(async (options: TrialsOptions) => {
      const key = options.key === undefined ? null : parseSchema(ownerKeySchema, options.key, '--key')
      const asked: Asked[] = []
      let decisions = 0
      const add = async (envelope: Envelope, signer: string | null) => {
        decisions++
        asked.push(...(await askedIn(envelope, signer)))
      }
      if (options.records === undefined) {
        if (key !== null) throw new UsageError('--key goes with --records', 'your owner file names your broker’s key')
        await withOwner(options.as, async (client, { broker }) => {
          const listed = await client.listDecisions()
          for (const { id } of listed.decisions) await add((await client.decision(id)).record, broker.decisions)
        })
      } else for (const envelope of readEnvelopes(options.records)) await add(envelope, key)
      const trials = totals(asked)
      outputOf(options).answer({ decisions, trials }, textOf(decisions, trials))
      done(trials.some((t) => t.differing.length > 0) ? EXIT.no : EXIT.yes)
    })
}

async function askedIn(envelope: Envelope, key: string | null): Promise<readonly Asked[]> {
  const { id, inputs, verdict } = await openRecord(envelope, key)
  return (verdict.shadows ?? [])
    .filter(({ kind }) => kind !== 'expired')
    .map(({ name, kind, differs }) => ({
      policy: name,
      decision: id,
      at: inputs.at,
      decided: verdict.kind,
      would: kind,
      differs,
    }))
}

interface Total {
  readonly policy: string
  readonly asked: number
  readonly differing: readonly Omit<Asked, 'policy' | 'differs'>[]
}

function totals(asked: readonly Asked[]): readonly Total[] {
  return [...Map.groupBy(asked, ({ policy }) => policy)].map(([policy, all]) => ({
    policy,
    asked: all.length,
    differing: all
      .filter(({ differs }) => differs)
      .map(({ decision, at, decided, would }) => ({ decision, at, decided, would })),
  }))
}

function textOf(decisions: number, trials: readonly Total[]): string {
  if (trials.length === 0) return `no policy on trial was asked in ${decisions} decisions`
  const counts = trials.map((t) => `${t.policy} would have decided ${t.differing.length} of ${t.asked} otherwise`)
  const rows = trials.flatMap((t) => t.differing.map((d) => [t.policy, d.decision, d.at, d.decided, d.would]))
  if (rows.length === 0) return counts.join('\n')
  const next = `what a policy on trial found: vouchsafe policy explain ${rows[0]?.[1] ?? ''}`
  return [...counts, '', table([['POLICY', 'DECISION', 'AT', 'DECIDED', 'WOULD'], ...rows]), '', next].join('\n')
}
