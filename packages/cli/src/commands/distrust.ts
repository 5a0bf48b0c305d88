import type { DistrustRule } from '@vouchsafe/core'
import { Command } from 'commander'
import { withOwner } from '../files.ts'
import { EXIT, UsageError } from '../output.ts'
import { type As, type Done, outputOf, ownerVerb, table } from './options.ts'

interface Subject {
  readonly machine?: string
  readonly image?: string
  readonly anchor?: string
  readonly register?: string
}

/** `vouchsafe distrust`: a platform, image or boot state that counts no more, and what relied on it. */
export function distrustCommand(done: Done): Command {
  return ownerVerb('distrust', 'trust a platform, image or boot state no more; running leases that rest on it end')
    .argument('<id>', 'a name for the rule, for example CVE-2026-0001')
    .requiredOption('--reason <text>', 'why; for whoever is refused, and for the ledger’s readers')
    .option('--machine <machine>', 'an enrolled machine')
    .option('--image <digest>', 'an image, sha256:…')
    .option('--anchor <name>', 'every machine that an anchor vouches for')
    .option('--register <n=value>', 'a boot state, for example 4=<64 hex digits>')
    .option('--dry-run', 'only list what would be affected')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe distrust CVE-2026-0001 --image sha256:… --reason "reads beyond its buffer" --dry-run' +
        '\n  $ vouchsafe distrust stolen --machine tpm:3kV… --reason "the machine was stolen"',
    )
    .action(async (id: string, options: As & Subject & { reason: string; dryRun?: boolean }) => {
      const rule = { id, subject: subjectOf(options), reason: options.reason }
      const said = await withOwner(options.as, (client) => client.distrust(rule, { dryRun: options.dryRun === true }))
      const rows = said.affected.map((a) => [
        a.decision,
        a.at,
        a.machine,
        a.resources.join(' '),
        a.running ? (said.applied ? 'lease ended' : 'lease would end') : 'over',
      ])
      const head = said.applied ? `${id} is in force` : `${id} would affect:`
      outputOf(options).answer(said, [head, rows.length === 0 ? 'no release relied on it' : table(rows)].join('\n'))
      done(EXIT.yes)
    })
}

function subjectOf({ machine, image, anchor, register }: Subject): DistrustRule['subject'] {
  const named: DistrustRule['subject'][] = []
  if (machine !== undefined) named.push({ kind: 'machine', machine })
  if (image !== undefined) named.push({ kind: 'image', image })
  if (anchor !== undefined) named.push({ kind: 'anchor', anchor })
  if (register !== undefined) {
    const [, n, value = ''] = /^(\d{1,2})=([0-9a-f]{64})$/.exec(register) ?? []
    if (n === undefined)
      throw new UsageError(`--register ${register}`, 'write the register and its value: 4=<64 hex digits>')
    named.push({ kind: 'register', register: Number(n), value })
  }
  const [subject] = named
  if (subject === undefined || named.length > 1)
    throw new UsageError('a rule speaks of one thing', 'name one of --machine, --image, --anchor, --register')
  return subject
}
