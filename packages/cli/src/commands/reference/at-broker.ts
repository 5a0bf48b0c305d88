import type { wire } from '@vouchsafe/core'
import type { z } from 'zod'
import { withOwner } from '../../files.ts'
import { EXIT } from '../../output.ts'
import { type As, type Done, outputOf, ownerVerb } from '../options.ts'
import { table } from '../../table.ts'
import { readSet } from './set-file.ts'

/** `vouchsafe reference push`: what a set says comes into force at your broker. */
export function pushCommand(done: Done) {
  return ownerVerb('push', 'file a set at your broker, every version that is not there yet')
    .argument('<set>', 'a file of reference values')
    .option('--signer <key>', 'ed25519:… of who vouches for the set')
    .option('--key <file>', 'the same, from a PEM key of your own')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe reference push guests.ref.json --key owner.pem --as owner.json' +
        '\n\nIts values count under agreements whose environment names set and signer:' +
        '\n  "references": [{ "set": "guests", "signer": "ed25519:…", "atLeast": 1 }]',
    )
    .action(async (file: string, options: As & { signer?: string; key?: string }) => {
      const versions = await readSet(file, options)
      const [{ set, signer }] = versions
      const filed = await withOwner(options.as, async (client) => {
        const { sets } = await client.listReferences()
        const known = sets.find((s) => s.set === set.name)?.version ?? 0
        const missing = versions.filter((v) => v.set.version > known)
        for (const { envelope } of missing) await client.fileReference(set.name, { signer, version: plain(envelope) })
        return missing.map((v) => v.set.version)
      })
      const newest = versions.at(-1)?.set.version
      const text = filed.length === 0 ? 'nothing new' : `version ${filed.join(', ')} filed`
      outputOf(options).answer({ set: set.name, signer, filed, version: newest }, `${set.name}: ${text}`)
      done(EXIT.yes)
    })
}

/** `vouchsafe reference filed`: what your broker holds evidence against. */
export function filedCommand(done: Done) {
  return ownerVerb('filed', 'the sets at your broker: who vouches for them, which values hold, and what became of them')
    .argument('[set]', 'one of them, with its history')
    .addHelpText('after', '\nExample:\n  $ vouchsafe reference filed guests --as owner.json')
    .action(async (name: string | undefined, options: As) => {
      const out = outputOf(options)
      await withOwner(options.as, async (client) => {
        if (name === undefined) {
          const answer = await client.listReferences()
          out.answer(answer, answer.sets.length === 0 ? 'no set is filed' : answer.sets.map(textOf).join('\n\n'))
          return
        }
        const answer = await client.referenceHistory(name)
        const rows = answer.filings.map((f) => [
          f.at,
          f.by,
          f.ended === null ? `filed version ${f.version}` : `ended ${f.ended.value}: ${f.ended.reason}`,
        ])
        out.answer(answer, [textOf(answer.set), table(rows)].join('\n\n'))
      })
      done(EXIT.yes)
    })
}

/** `vouchsafe reference end`: nothing is accepted by a value again, whatever its signer says. */
export function endCommand(done: Done) {
  return ownerVerb('end', 'end a value at your broker, for good: also one that somebody else vouches for')
    .argument('<set>', 'the name of the set')
    .argument('<id>', 'the value')
    .requiredOption('--reason <text>', 'why; for the ledger’s readers')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe reference end guests guest-4vcpu --reason "kernel with CVE-2026-0001" --as owner.json' +
        '\n\nLeases that run end when they are to be renewed. To end them now: vouchsafe distrust … --measurement',
    )
    .action(async (set: string, value: string, options: As & { reason: string }) => {
      const answer = await withOwner(options.as, (client) =>
        client.endReference(set, { value, reason: options.reason }),
      )
      outputOf(options).answer(answer, `${set}: ${value} ended`)
      done(EXIT.yes)
    })
}

type Status = z.output<typeof wire.referenceSetStatus>

function textOf({ set, signer, version, issued, values }: Status): string {
  const rows = values.map((v) => [
    `  ${v.state === 'holds' ? 'holds' : v.state.toUpperCase()}`,
    v.kind,
    v.id,
    `until ${v.notAfter}`,
    `${v.how} from ${v.source}`,
  ])
  return [
    `${set}, version ${version} of ${issued}, vouched for by ${signer}`,
    ...(rows.length > 0 ? [table(rows)] : []),
  ].join('\n')
}

type Plain = z.input<typeof wire.fileReferenceRequest>['version']

/** An envelope as a request takes it. */
function plain({ payloadType, payload, signatures }: { readonly [Name in keyof Plain]: Readonly<Plain[Name]> }): Plain {
  return { payloadType, payload, signatures: signatures.map((s) => ({ ...s })) }
}
