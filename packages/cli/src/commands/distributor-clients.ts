import { parseDigest, signStatement } from '@vouchsafe/core'
import type { Command } from 'commander'
import pc from 'picocolors'
import { withOwner } from '../files.ts'
import { EXIT, UsageError } from '../output.ts'
import { type Done, outputOf, ownerVerb } from './options.ts'
import { table } from '../table.ts'

interface As {
  readonly as?: string
  readonly json?: boolean
}

/** `distributor list` */
export function listVerb(done: Done): Command {
  return ownerVerb('list', 'approved clients, what is known of them, and how often they fetched').action(
    async (options: As) => {
      const answer = await withOwner(options.as, (client) => client.listClients())
      const rows = answer.clients.map((c) => [
        c.instance,
        c.exempt === null ? c.class : pc.red(`${c.class} (exempt: ${c.exempt})`),
        c.secrets.join(','),
        `${c.delivered}/${c.times}`,
        c.withdrawn ? 'withdrawn' : c.done ? 'done' : `until ${c.expires}`,
      ])
      outputOf(options).answer(answer, rows.length === 0 ? 'no clients' : table(rows))
      done(EXIT.yes)
    },
  )
}

/** `distributor allow-list`: addresses for a firewall in front of the service (TD-44). */
export function allowListVerb(done: Done): Command {
  return ownerVerb('allow-list', 'addresses of approved clients, one a line, for a firewall').action(
    async (options: As) => {
      const output = outputOf(options)
      const { clients } = await withOwner(options.as, (client) => client.listClients())
      const live = clients.filter((c) => !c.withdrawn && !c.done)
      const addresses = [...new Set(live.flatMap((c) => c.address ?? []))].toSorted()
      const shared = addresses.filter((a) => live.filter((c) => c.address === a).length > 1)
      const open = live.filter((c) => c.address === null).map((c) => c.instance)
      for (const a of shared)
        output.talk(`warning: ${a} stands for several clients: whoever shares it passes the address check`)
      for (const i of open) output.talk(`warning: client ${i} has no address: a firewall would keep it out`)
      output.answer({ addresses, shared, withoutAddress: open }, addresses.join('\n'))
      done(EXIT.yes)
    },
  )
}

/** `distributor withdraw` */
export function withdrawVerb(done: Done): Command {
  return ownerVerb('withdraw', 'withdraw the approval of a client; it takes effect at once')
    .argument('<instance>', 'instance id')
    .option('--reason <text>', 'stands in the record', 'withdrawn by the owner')
    .action(async (instance: string, options: As & { reason: string }) => {
      await withOwner(options.as, async (client, { key }) => {
        const { owner, clients } = await client.listClients()
        const found = clients.find((c) => c.instance === instance)
        if (found === undefined)
          throw new UsageError(`no client ${instance} is approved`, 'see: vouchsafe distributor list')
        const envelope = signStatement(
          {
            says: 'withdraw',
            agreement: parseDigest(found.digest),
            owner,
            key: key.key,
            reason: options.reason,
            issued: new Date().toISOString(),
          },
          (bytes) => key.sign(bytes),
        )
        await client.bringStatement({ ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) })
        outputOf(options).answer({ instance, terms: found.digest, says: 'withdraw' }, `${instance} gets nothing more`)
      })
      done(EXIT.yes)
    })
}
