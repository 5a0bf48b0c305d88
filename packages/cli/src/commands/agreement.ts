import { readFileSync, writeFileSync } from 'node:fs'
import { type Agreement, type Grant, type Statement, parseAgreement, signStatement } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { Command } from 'commander'
import { diffAgreements } from '../agreement-diff.ts'
import { newAgreement, readNewAgreement } from '../new-agreement.ts'
import { withOwner } from '../files.ts'
import { EXIT, UsageError } from '../output.ts'
import { type Done, outputOf, ownerVerb, verb } from './options.ts'
import { table } from '../table.ts'

interface As {
  readonly as?: string
  readonly json?: boolean
}

const DAY_MS = 86_400_000

/** `vouchsafe agreement …`: what owners sign together. */
export function agreementCommand(done: Done): Command {
  const say =
    (says: 'approve' | 'withdraw') => async (file: string, options: As & { days?: string; reason?: string }) => {
      const agreement = readAgreement(file)
      await withOwner(options.as, async (client, { key }) => {
        const owner = agreement.body.owners.find((o) => o.keys.includes(key.key))
        if (owner === undefined)
          throw new UsageError(
            `${key.key} is no owner’s key in this agreement`,
            'act as one of its owners with --as FILE',
          )
        const now = Date.now()
        const common = {
          agreement: agreement.digest,
          owner: owner.id,
          key: key.key,
          issued: new Date(now - 1000).toISOString(),
        }
        const statement: Statement =
          says === 'approve'
            ? {
                says,
                ...common,
                purpose: agreement.body.purpose,
                expires: new Date(now + Number(options.days ?? 30) * DAY_MS).toISOString(),
              }
            : { says, ...common, reason: options.reason ?? 'withdrawn by the owner' }
        const envelope = signStatement(statement, (bytes) => key.sign(bytes))
        await client.bringStatement({ ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) })
        outputOf(options).answer(
          { statement: envelope, agreement: agreement.digest, owner: owner.id, says },
          `${owner.id} ${says === 'approve' ? 'approves' : 'withdraws from'} ${agreement.body.name} ${agreement.digest}`,
        )
      })
      done(EXIT.yes)
    }
  return new Command('agreement')
    .description('what owners sign together')
    .addCommand(
      verb('new', 'write a first version, strict throughout; edit it before anybody approves')
        .argument(
          '<request>',
          'JSON: name, purpose, owners [{id, key, pin}], resources [owner/path], image, args, class, registers, recipients [{id, key}]',
        )
        .requiredOption('--out <file>', 'file to write')
        .option('--days <n>', 'how long it is in force', '30')
        .action((request: string, options: { json?: boolean; out: string; days: string }) => {
          const body = newAgreement(readNewAgreement(request, Number(options.days), new Date()))
          writeFileSync(options.out, `${JSON.stringify(body, null, 2)}\n`, { flag: 'wx' })
          const agreement = readAgreement(options.out)
          outputOf(options).answer(
            { file: options.out, digest: agreement.digest },
            `${options.out}\n${describe(agreement)}`,
          )
          done(EXIT.yes)
        }),
    )
    .addCommand(
      verb('show', 'read an agreement and say what it means')
        .argument('<file>')
        .action((file: string, options: { json?: boolean }) => {
          const agreement = readAgreement(file)
          outputOf(options).answer({ digest: agreement.digest, agreement: agreement.body }, describe(agreement))
          done(EXIT.yes)
        }),
    )
    .addCommand(
      verb('diff', 'what changed between two versions')
        .argument('<before>')
        .argument('<after>')
        .action((before: string, after: string, options: { json?: boolean }) => {
          const changes = diffAgreements(readAgreement(before).body, readAgreement(after).body)
          const text =
            changes.length === 0
              ? 'no difference'
              : changes.map((c) => `${c.path}\n  - ${c.before}\n  + ${c.after}`).join('\n')
          outputOf(options).answer({ changes }, text)
          done(changes.length === 0 ? EXIT.yes : EXIT.no)
        }),
    )
    .addCommand(
      ownerVerb('propose', 'file an agreement at your broker')
        .argument('<file>')
        .action(async (file: string, options: As) => {
          const agreement = readAgreement(file)
          await withOwner(options.as, (client) => client.proposeAgreement(agreement.bytes))
          outputOf(options).answer({ digest: agreement.digest }, `filed ${agreement.body.name} ${agreement.digest}`)
          done(EXIT.yes)
        }),
    )
    .addCommand(
      ownerVerb('approve', 'sign your approval and bring it to your broker')
        .argument('<file>')
        .option('--days <n>', 'how long it holds', '30')
        .addHelpText('after', '\nExample:\n  $ vouchsafe agreement approve overlap.json --days 7')
        .action(say('approve')),
    )
    .addCommand(
      ownerVerb('withdraw', 'withdraw; running leases end')
        .argument('<file>')
        .option('--reason <text>', 'for the other owners and the log')
        .action(say('withdraw')),
    )
    .addCommand(
      ownerVerb('list', 'agreements at your broker and how they stand').action(async (options: As) => {
        const { agreements } = await withOwner(options.as, (client) => client.listAgreements())
        const rows = agreements.map((a) => [a.name, a.digest, state(a)])
        outputOf(options).answer({ agreements }, rows.length === 0 ? 'no agreements' : table(rows))
        done(EXIT.yes)
      }),
    )
}

export function readAgreement(file: string): Agreement {
  return parseAgreement(new Uint8Array(readFileSync(file === '-' ? 0 : file)), nodeCrypto)
}

function state(a: {
  readonly withdrawn: readonly string[]
  readonly missing: readonly string[]
  readonly supersededBy: string | null
}): string {
  if (a.withdrawn.length > 0) return `withdrawn by ${a.withdrawn.join(', ')}`
  if (a.supersededBy !== null) return `superseded by ${a.supersededBy}`
  return a.missing.length > 0 ? `waiting for ${a.missing.join(', ')}` : 'approved'
}

/** Every condition of a grant in words; policy text is named here and read with --json. */
function conditionsOf({ when, rego, cel, dangerouslyReleaseToAnySimulatedGuest: open }: Grant): readonly string[] {
  return [
    ...when.map((w) => (w.op === 'at-least-class' ? `class ≥ ${w.value}` : `${w.claim} ${w.op}`)),
    ...(rego === undefined ? [] : [`Rego ${rego.allow} (${Object.keys(rego.modules).join(', ')})`]),
    ...(cel ?? []).map((text) => `CEL ${text}`),
    ...(open === true ? ['GUESTS OF CLASS SIMULATED NEED SHOW NOTHING'] : []),
  ]
}

function describe({ digest, body }: Agreement): string {
  const lines = [
    `${body.name}: ${body.purpose}`,
    `  digest     ${digest}${body.previous === null ? '' : `, follows ${body.previous}`}`,
    `  in force   ${body.notBefore} to ${body.expires}`,
    `  owners     ${body.owners.map((o) => o.id).join(', ')}; ${body.quorum} must approve, and always the owner of what is asked for`,
    `  workload   ${body.workload.image}`,
    `  launch     ${JSON.stringify(body.launch.args)}, network ${body.launch.network}, output ${body.launch.output}, debug never`,
    `  platform   class ${body.environment.leastClass} or stronger${body.environment.hostExcluded ? ', host kept out' : ''}`,
    `  registers  ${Object.keys(body.environment.registers).join(', ')} pinned${body.environment.dangerouslyUnpinnedRegisters.length > 0 ? `; NOT PINNED: ${body.environment.dangerouslyUnpinnedRegisters.join(', ')}` : ''}`,
    ...body.grants.map(
      (g) => `  grant      ${g.id}: ${g.resources.join(', ')} of ${g.owner} when ${conditionsOf(g).join(' and ')}`,
    ),
    `  result     to ${body.result.recipients.map((r) => r.id).join(', ')}; withheld below ${body.result.minimumCount} records`,
    `  lease      ${body.leaseSeconds} s`,
  ]
  return lines.join('\n')
}
