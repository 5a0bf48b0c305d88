import { type AttestInputs, evidence, fromBase64Url, VouchsafeError } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { compareBoots, parseTcgLog } from '@vouchsafe/tpm/eventlog'
import type { Command } from 'commander'
import { readInput } from '../../read-input.ts'
import { EXIT, withHint } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { bootDiffText } from '../tpm/events-diff.ts'
import { decisionRecord, readAttestInputs, signedBy } from './decision-record.ts'
import type { Answer } from './format.ts'

/** `vouchsafe evidence diff`: two boots, told apart in words. */
export function diffCommand(done: Done): Command {
  return verb('diff', 'what differs between what two machines, or two boots, showed; verifies nothing')
    .argument('<before>', 'a decision record, or a hardware report or quote')
    .argument('<after>', 'another of the same kind')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe evidence diff before.json after.json\n\nThe exit status is 0 when both are the same, 1 when they are not.',
    )
    .action(async (before: string, after: string, options: { json?: boolean }) => {
      const { same, json, text } = await compare(read(before), read(after))
      outputOf(options).answer({ same, ...json }, text)
      done(same ? EXIT.yes : EXIT.no)
    })
}

interface Compared extends Answer {
  readonly same: boolean
}

/** What is compared: a TPM's record with its boot log, or what a CPU signed. */
type Side =
  | { readonly kind: 'boot'; readonly bootLog: Uint8Array }
  | { readonly kind: 'fields'; readonly presented: evidence.PresentedEvidence }

function read(name: string): Side {
  const file = { name, bytes: readInput(name) }
  if (!decisionRecord.recognises(file.bytes))
    return { kind: 'fields', presented: evidence.readPresented(evidence.detectEvidence(file.bytes)) }
  return sideOf(readAttestInputs(file).evidence)
}

function sideOf(shown: AttestInputs['evidence']): Side {
  if (shown.format === 'snp' || shown.format === 'tdx') return { kind: 'fields', presented: signedBy(shown) }
  return { kind: 'boot', bootLog: fromBase64Url(shown.bootLog) }
}

async function compare(before: Side, after: Side): Promise<Compared> {
  if (before.kind === 'boot' && after.kind === 'boot') {
    const comparison = compareBoots(parseTcgLog(before.bootLog), parseTcgLog(after.bootLog), 'sha256', nodeCrypto)
    const same = comparison.changed.length === 0 && comparison.startupLocality === undefined
    return { same, json: comparison, text: bootDiffText(comparison) }
  }
  if (before.kind === 'boot' || after.kind === 'boot' || before.presented.format !== after.presented.format)
    throw withHint(
      new VouchsafeError('evidence.mismatch', 'evidence of two kinds: there is nothing to compare'),
      'see each with: vouchsafe evidence show FILE',
    )
  return compareFields(await evidence.evidenceFields(before.presented), await evidence.evidenceFields(after.presented))
}

/** Different at each request, and so no difference between boots. */
const OF_THE_REQUEST: readonly string[] = ['REPORT_DATA', 'REPORTDATA', 'nonce', 'extraData', 'cca-realm-challenge']

function compareFields(before: readonly evidence.EvidencePart[], after: readonly evidence.EvidencePart[]): Compared {
  const [old, now] = [before, after].map(byName)
  const names = [...new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])])]
  const changed = names.flatMap((name) => {
    const [a, b] = [old?.get(name), now?.get(name)]
    if (a?.value === b?.value || OF_THE_REQUEST.includes(name.slice(name.indexOf(': ') + 2))) return []
    return [{ name, before: a?.value ?? null, after: b?.value ?? null, meaning: (b ?? a)?.meaning ?? '' }]
  })
  const lines = changed.flatMap((c) => [
    `${c.name}: ${c.meaning}`,
    `  before  ${c.before ?? 'not there'}`,
    `  now     ${c.after ?? 'not there'}`,
  ])
  return {
    same: changed.length === 0,
    json: { changed },
    text: changed.length === 0 ? 'the same, but for what each request asked for' : lines.join('\n'),
  }
}

function byName(parts: readonly evidence.EvidencePart[]): ReadonlyMap<string, evidence.EvidenceField> {
  return new Map(parts.flatMap(({ title, fields }) => fields.map((f) => [`${title}: ${f.name}`, f] as const)))
}
