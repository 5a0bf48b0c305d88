import { readFileSync } from 'node:fs'
import { type Claims, type Grant, type OpenedSet, judgeGrant, liveEntries, parseStrictJson } from '@vouchsafe/core'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { conditionsText, reasonsText } from '../../policy/finding-text.ts'
import { readGrants } from '../../policy/policy-files.ts'
import { readEnvelopes } from '../../policy/record-files.ts'
import { openRecord, shownInRecord } from '../../policy/records.ts'
import { whatWouldChange } from '../../policy/what-would-change.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { readSet } from '../reference/set-file.ts'

const MAX_CLAIMS_FILE = 4 * 1024 * 1024

interface EvalOptions {
  readonly json?: boolean
  readonly allow?: string
  readonly data?: string
  readonly claims?: string
  readonly record?: string
  readonly references?: string
  readonly signer?: string
  readonly at?: string
}

/** `vouchsafe policy eval`: a policy over the claims of a recorded decision, or over claims from a file. */
export function evalVerb(done: Done): Command {
  return verb('eval', 'try a policy on claims: which rules hold, and what they saw')
    .argument('<files...>', 'agreements (.json), Rego modules (.rego), CEL expressions (.cel), or folders')
    .option('--claims <file>', 'claims as JSON; trusted as they stand')
    .option(
      '--record <file>',
      'a decision record: its evidence is verified and gives the claims and the reference sets',
    )
    .option('--references <set>', 'with --claims: a file of reference values for query_reference_value')
    .option('--signer <key>', 'with --references: ed25519:… of who vouches for the set')
    .option('--allow <rule>', 'the Rego rule that decides (default: the one called allow)')
    .option('--data <file>', 'base data for Rego')
    .option('--at <time>', 'the time that policies see (default: now, or the record’s)')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe policy eval release.rego --record d.json\n  $ vouchsafe policy eval overlap.json --claims claims.json --json',
    )
    .action(async (files: string[], options: EvalOptions) => {
      const shown = await readShown(options)
      const answers = readGrants(files, options).map((grant) => answerOf(grant, shown))
      const text = answers.map(
        ({ grant, applies, findings, refusals, wouldChange }) =>
          `${grant}: ${applies ? 'applies' : 'does not apply'}\n${[
            conditionsText(findings),
            reasonsText(refusals),
            ...(wouldChange === null
              ? []
              : [
                  `  its Rego rule would be ${applies ? 'no longer ' : ''}true if`,
                  ...wouldChange.map((c) => `    ${c.claim} were ${c.wouldHaveToBe} (it is ${c.is})`),
                ]),
          ]
            .filter((part) => part !== '')
            .join('\n')}`,
      )
      outputOf(options).answer({ answers }, text.join('\n'))
      done(answers.every((a) => a.applies) ? EXIT.yes : EXIT.no)
    })
}

/** What policies see: the claims, the time, and the reference sets that they may ask. */
interface Shown {
  readonly claims: Claims
  readonly at: Date
  readonly sets: readonly OpenedSet[]
}

function answerOf(grant: Grant, { claims, at, sets }: Shown) {
  const { findings, refusals } = judgeGrant(grant, claims, at, sets)
  // what did not answer has nothing that could be changed
  const asked = refusals.every((r) => r.code === 'policy.condition')
  return {
    grant: grant.id,
    applies: refusals.length === 0,
    findings,
    refusals,
    wouldChange: asked ? whatWouldChange(grant, claims, at, sets) : null,
  }
}

async function readShown({ claims, record, at, references, signer }: EvalOptions): Promise<Shown> {
  if ((claims === undefined) === (record === undefined))
    throw new UsageError('name either claims or a record', 'add --claims FILE or --record FILE')
  if ((references === undefined) !== (signer === undefined) || (references !== undefined && claims === undefined))
    throw new UsageError(
      'reference values go with claims from a file, under the key that you know',
      'add --claims FILE --references SET --signer ed25519:…; a record brings its own sets',
    )
  const time = at === undefined ? null : new Date(at)
  if (time !== null && Number.isNaN(time.getTime()))
    throw new UsageError(`${at} is no time`, 'write it as 2026-01-31T12:00:00Z')
  if (record !== undefined) {
    for (const envelope of readEnvelopes([record])) {
      const read = await openRecord(envelope, null)
      return { ...(await shownInRecord(read)), at: time ?? new Date(read.inputs.at) }
    }
    throw new UsageError(`${record} holds no record`, 'save one with: vouchsafe why d-… --save FILE')
  }
  // judgeGrant refuses what is not complete, so a wrong file gets a reason instead of an answer
  const value = parseStrictJson(readFileSync(claims ?? ''), { maxBytes: MAX_CLAIMS_FILE })
  const seen = time ?? new Date()
  const sets = references === undefined ? [] : [await openSet(references, signer ?? '', seen)]
  return { claims: value as unknown as Claims, at: seen, sets }
}

/** A set as a broker would open it for an agreement that names it. */
async function openSet(file: string, signer: string, at: Date): Promise<OpenedSet> {
  const versions = await readSet(file, { signer })
  const newest = versions.at(-1) ?? versions[0]
  const named = { set: newest.set.name, signer, atLeast: 1 }
  return { named, version: newest, refusal: '', live: liveEntries(newest.set, at) }
}
