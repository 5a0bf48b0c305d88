import { type DistrustRule, distrustRuleSchema, parseSchema } from '@vouchsafe/core'
import { Command, InvalidArgumentError } from 'commander'
import { withOwner } from '../files.ts'
import { EXIT, UsageError } from '../output.ts'
import { timeOf } from './evidence/anchor.ts'
import { type As, type Done, outputOf, ownerVerb } from './options.ts'
import { table } from '../table.ts'

interface Subject {
  readonly machine?: string
  readonly image?: string
  readonly anchor?: string
  readonly register?: string
  readonly chip?: string
  readonly hiddenChips?: boolean
  readonly family?: string
  readonly microcodeBelow?: number
  readonly firmware?: string
  readonly measurement?: string
  readonly advisory?: string
  readonly tcbBefore?: string
}

/** `vouchsafe distrust`: a platform, image or boot state that counts no more, and what relied on it. */
export function distrustCommand(done: Done): Command {
  return ownerVerb(
    'distrust',
    'trust a machine, chip, product line, image or boot state no more; running leases that rest on it end',
  )
    .argument('<id>', 'a name for the rule, for example CVE-2026-0001')
    .requiredOption('--reason <text>', 'why; for whoever is refused, and for the ledger’s readers')
    .option('--machine <machine>', 'an enrolled machine')
    .option('--image <digest>', 'an image, sha256:…')
    .option('--anchor <name>', 'every machine that an anchor vouches for')
    .option('--register <n=value>', 'a boot state, for example 4=<64 hex digits>')
    .option('--chip <id>', 'one CPU, by CHIP_ID or PPID')
    .option('--hidden-chips', 'CPUs whose host hides which they are')
    .option('--family <line>', 'a product line of CPUs: Milan, or an FMSPC')
    .option('--microcode-below <svn>', 'of the --family, CPUs with older microcode', number)
    .option('--firmware <version>', 'of the --family, CPUs with this firmware, for example 1.55.29')
    .option('--measurement <hex>', 'a guest, by MEASUREMENT or MRTD')
    .option('--advisory <id>', 'CPUs for which the vendor names this advisory')
    .option('--tcb-before <time>', 'CPUs whose TCB is not known to be as new (ISO 8601)')
    .option('--dry-run', 'only list what would be affected')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe distrust CVE-2026-0001 --image sha256:… --reason "reads beyond its buffer" --dry-run' +
        '\n  $ vouchsafe distrust CVE-2026-0002 --family Milan --microcode-below 220 --reason "leaks keys" --dry-run' +
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

/** Each option that names a subject by itself. The last three speak of a product line. */
function subjectOf(given: Subject): DistrustRule['subject'] {
  const { machine, image, anchor, register, chip, measurement, advisory, tcbBefore } = given
  const named: DistrustRule['subject'][] = []
  if (machine !== undefined) named.push({ kind: 'machine', machine })
  if (image !== undefined) named.push({ kind: 'image', image })
  if (anchor !== undefined) named.push({ kind: 'anchor', anchor })
  if (register !== undefined) named.push(registerOf(register))
  if (chip !== undefined) named.push({ kind: 'chip', chip })
  if (given.hiddenChips === true) named.push({ kind: 'hidden-chips' })
  if (measurement !== undefined) named.push({ kind: 'measurement', measurement })
  if (advisory !== undefined) named.push({ kind: 'advisory', advisory })
  if (tcbBefore !== undefined) named.push({ kind: 'tcb-before', date: timeOf(tcbBefore, '--tcb-before').toISOString() })
  named.push(...ofFamily(given))
  const [subject] = named
  if (subject === undefined || named.length > 1)
    throw new UsageError(
      'a rule speaks of one thing',
      'name one of --machine, --image, --anchor, --register, --chip, --hidden-chips, --family, --measurement, --advisory, --tcb-before',
    )
  return parseSchema(distrustRuleSchema.shape.subject, subject, 'distrust')
}

function ofFamily({ family, microcodeBelow, firmware }: Subject): readonly DistrustRule['subject'][] {
  if (family === undefined) {
    if (microcodeBelow === undefined && firmware === undefined) return []
    throw new UsageError('versions differ from product line to product line', 'name the line with --family')
  }
  if (microcodeBelow !== undefined && firmware !== undefined)
    throw new UsageError('a rule speaks of one thing', 'give --microcode-below or --firmware')
  if (microcodeBelow !== undefined) return [{ kind: 'microcode', family, below: microcodeBelow }]
  return [firmware === undefined ? { kind: 'family', family } : { kind: 'firmware', family, firmware }]
}

function registerOf(text: string): DistrustRule['subject'] {
  const [, n, value = ''] = /^(\d{1,2})=([0-9a-f]{64})$/.exec(text) ?? []
  if (n === undefined) throw new UsageError(`--register ${text}`, 'write the register and its value: 4=<64 hex digits>')
  return { kind: 'register', register: Number(n), value }
}

function number(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('a whole number')
  return Number(text)
}
