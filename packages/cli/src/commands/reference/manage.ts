import { coverageOf, liveEntries, type ReferenceEntry, VouchsafeError } from '@vouchsafe/core'
import { type Command, InvalidArgumentError } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { timeOf } from '../evidence/anchor.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { table } from '../../table.ts'
import { nextVersion, readSet } from './set-file.ts'

interface ReadOptions {
  readonly signer?: string
  readonly key?: string
  readonly atLeast?: number
  readonly at?: string
  readonly json?: boolean
}

/** A verb that reads a set under a key that is known. */
function reading(name: string, description: string): Command {
  return verb(name, description)
    .argument('<set>', 'a file of reference values')
    .option('--signer <key>', 'ed25519:… of who vouches for the set')
    .option('--key <file>', 'the same, from a PEM key of your own')
    .option('--at-least <version>', 'refuse a file that ends with an older version', version)
    .option('--at <time>', 'as of this time (ISO 8601)')
}

/** `vouchsafe reference list`. */
export function listCommand(done: Done): Command {
  return reading('list', 'the values of a set, where they come from, and until when they hold')
    .option('--history', 'every version, and what changed')
    .addHelpText('after', '\nExample:\n  $ vouchsafe reference list guests.ref.json --signer ed25519:… --history')
    .action(async (file: string, options: ReadOptions & { history?: boolean }) => {
      const at = timeOf(options.at)
      const versions = await readSet(file, options)
      const { set } = versions.at(-1) ?? versions[0]
      const live = new Set(liveEntries(set, at))
      const entries = set.entries.map((e) => ({ ...e, live: live.has(e) }))
      const history = versions.map(({ set: s, digest }, i) => ({
        version: s.version,
        issued: s.issued,
        digest,
        ...changes(versions[i - 1]?.set.entries ?? [], s.entries),
      }))
      const rows = entries.map((e) => [
        e.live ? 'holds' : 'OVER',
        e.kind,
        e.id,
        e.notAfter,
        `${e.provenance.how}: ${e.provenance.source}`,
      ])
      const past = history.map(
        (h) => `  ${h.version}  ${h.issued}  +${h.added.length} -${h.removed.length} ~${h.changed.length}`,
      )
      outputOf(options).answer(
        { name: set.name, version: set.version, entries, ...(options.history === true && { history }) },
        [
          `${set.name}, version ${set.version} of ${set.issued}`,
          rows.length === 0 ? 'no values' : table(rows),
          ...(options.history === true ? ['history', ...past] : []),
        ].join('\n'),
      )
      done(EXIT.yes)
    })
}

function changes(before: readonly ReferenceEntry[], after: readonly ReferenceEntry[]) {
  const [old, now] = [before, after].map((entries) => new Map(entries.map((e) => [e.id, JSON.stringify(e)])))
  return {
    added: after.map((e) => e.id).filter((id) => old?.has(id) !== true),
    removed: before.map((e) => e.id).filter((id) => now?.has(id) !== true),
    changed: after.map((e) => e.id).filter((id) => old?.has(id) === true && old.get(id) !== now?.get(id)),
  }
}

/** `vouchsafe reference expire`. */
export function expireCommand(done: Done): Command {
  return verb('expire', 'let values hold no longer; they stay in the history')
    .argument('<set>', 'a file of reference values')
    .argument('<id...>', 'which of them')
    .requiredOption('--key <file>', 'your key (PEM)')
    .option('--at <time>', 'from this time on (default: now)')
    .addHelpText('after', '\nExample:\n  $ vouchsafe reference expire guests.ref.json guest-4vcpu --key owner.pem')
    .action(async (file: string, ids: readonly string[], options: { key: string; at?: string; json?: boolean }) => {
      const now = new Date()
      const end = timeOf(options.at).toISOString()
      const set = await nextVersion(file, options.key, now, (entries) => {
        const unknown = ids.find((id) => !entries.some((e) => e.id === id))
        if (unknown !== undefined) throw new VouchsafeError('store.unknown', `${file}: no value ${unknown}`)
        // a value that ended cannot be brought back by ending it later
        return entries.map((e) => (ids.includes(e.id) && end < e.notAfter ? { ...e, notAfter: end } : e))
      })
      outputOf(options).answer(
        { version: set.version, expired: ids, at: end },
        `${ids.join(', ')}: over at ${end}; version ${set.version}`,
      )
      done(EXIT.yes)
    })
}

/** `vouchsafe reference coverage`. */
export function coverageCommand(done: Done): Command {
  return reading('coverage', 'what each value pins of a boot, and what it leaves open')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe reference coverage guests.ref.json --signer ed25519:…' +
        '\n\nThe exit status is 0 when everything is pinned, 1 when something is left open or cannot be told.',
    )
    .action(async (file: string, options: ReadOptions) => {
      const versions = await readSet(file, options)
      const { set } = versions.at(-1) ?? versions[0]
      // what only policies ask for is about no boot, so it leaves none of one open
      const live = liveEntries(set, timeOf(options.at)).filter(({ kind }) => kind !== 'value')
      const values = live.map((entry) => ({ id: entry.id, kind: entry.kind, coverage: coverageOf(entry) }))
      const open = values.some(({ coverage }) => coverage.some(({ state }) => state !== 'pinned'))
      const text = values.flatMap(({ id, kind, coverage }) => [
        `${id} (${kind})`,
        table(coverage.map((c) => [`  ${c.state === 'pinned' ? 'pinned' : c.state.toUpperCase()}`, c.component, c.by])),
      ])
      outputOf(options).answer(
        { name: set.name, version: set.version, complete: values.length > 0 && !open, values },
        values.length === 0 ? 'no value that holds is of a boot: none would be accepted' : text.join('\n'),
      )
      done(values.length > 0 && !open ? EXIT.yes : EXIT.no)
    })
}

/** `vouchsafe reference pins`. */
export function pinsCommand(done: Done): Command {
  return reading('pins', 'a set’s values as an agreement’s `environment` takes them')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe reference pins guests.ref.json --signer ed25519:… --json > environment.json',
    )
    .action(async (file: string, options: ReadOptions) => {
      const versions = await readSet(file, options)
      const { set } = versions.at(-1) ?? versions[0]
      const environment = pinsOf(liveEntries(set, timeOf(options.at)))
      outputOf(options).answer(environment, JSON.stringify(environment, null, 2))
      done(EXIT.yes)
    })
}

/** What is not pinned is left out, and so refused; TCB floors and chips are the owner's to add. */
function pinsOf(entries: readonly ReferenceEntry[]) {
  const of = <K extends ReferenceEntry['kind']>(kind: K) =>
    entries.filter((e): e is Extract<ReferenceEntry, { kind: K }> => e.kind === kind)
  const [snp, tdx, tpm] = [of('snp'), of('tdx'), of('tpm')]
  const values = (pick: (e: (typeof tdx)[number]) => string | undefined) => [
    ...new Set(tdx.flatMap((e) => pick(e) ?? [])),
  ]
  if (snp.length + tdx.length + tpm.length === 0)
    throw new UsageError('no value of the set pins a boot', 'add some: vouchsafe reference compute, observe, add')
  const registers = [...new Set(tpm.flatMap((e) => Object.keys(e.registers)))].map((n) => [
    n,
    [...new Set(tpm.flatMap((e) => e.registers[n] ?? []))],
  ])
  return {
    registers: Object.fromEntries(registers),
    ...(snp.length + tdx.length > 0 && {
      hardware: {
        chips: 'any-genuine',
        ...(snp.length > 0 && { snp: { measurements: [...new Set(snp.map((e) => e.measurement))] } }),
        ...(tdx.length > 0 && {
          tdx: {
            mrTd: values((e) => e.mrTd),
            rtmr0: values((e) => e.rtmr0),
            rtmr1: values((e) => e.rtmr1),
            rtmr2: values((e) => e.rtmr2),
            rtmr3: values((e) => e.rtmr3),
          },
        }),
      },
    }),
  }
}

function version(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('a version: 1 or more')
  return Number(text)
}
