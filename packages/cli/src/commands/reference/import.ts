import {
  parseSchema,
  parseStrictJson,
  readCorim,
  referenceEntrySchema,
  referenceJsonSchema,
  VouchsafeError,
} from '@vouchsafe/core'
import type { Command } from 'commander'
import { z } from 'zod'
import { readInput } from '../../read-input.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, seconds, verb } from '../options.ts'
import { table } from '../../table.ts'
import { addedText, addTo, type IntoOptions, intoOptions, type Unnamed } from './set-file.ts'

interface Imported {
  readonly id: string
  readonly value: Unnamed
}

/** `vouchsafe reference add`: values that you know, from a file of JSON. */
export function addCommand(done: Done): Command {
  const command = verb('add', 'add values that you know').argument(
    '<file>',
    'JSON: {"name": {"kind": "snp", "measurement": "…"}, …}; - for standard input',
  )
  return filing(command, done, 'added', readNamed).addHelpText(
    'after',
    '\nExample:\n  $ vouchsafe reference add values.json --into guests.ref.json --key owner.pem --days 30',
  )
}

/** `vouchsafe reference import`: a manifest of somebody else’s. */
export function importCommand(done: Done): Command {
  const command = verb('import', 'take the values of a manifest: CoRIM with CoMID, or JSON of an RVPS').argument(
    '<file>',
    'unsigned CoRIM (CBOR), or JSON: {"name": ["digest", …], "other": any value but null, …}',
  )
  return filing(command, done, 'imported', readManifest).addHelpText(
    'after',
    '\nExample:\n  $ vouchsafe reference import vendor.cbor --into vendor.ref.json --key owner.pem' +
      '\n\nA manifest that nobody signed is as good as whoever signs the set that it goes into: you.',
  )
}

function filing(
  command: Command,
  done: Done,
  how: 'added' | 'imported',
  read: (bytes: Uint8Array, source: string, how: 'added' | 'imported') => readonly Imported[],
): Command {
  return intoOptions(command, seconds).action(async (file: string, options: IntoOptions & { json?: boolean }) => {
    if (options.id !== undefined) throw new UsageError('the file names its values', 'leave --id out')
    const values = read(readInput(file), file, how)
    const set = await addTo(options, values, new Date())
    outputOf(options).answer(
      { values: values.map(({ id, value }) => ({ id, ...value })), set: set && { version: set.version } },
      [table(values.map(({ id, value }) => [value.kind, id])), addedText(set, options.into)].join('\n'),
    )
    done(EXIT.yes)
  })
}

const MAX_BYTES = 4 * 1024 * 1024
const named = z.record(z.string(), z.record(z.string(), z.unknown()))

/** Values of our own kinds, each checked as it will be kept. */
function readNamed(bytes: Uint8Array, source: string, how: 'added' | 'imported'): readonly Imported[] {
  const members = parseSchema(named, parseStrictJson(bytes, { maxBytes: MAX_BYTES }), source)
  return Object.entries(members).map(([id, value]) => {
    const provenance = { how, source, inputs: {} }
    const notAfter = new Date(0).toISOString() // the end is set when it is filed
    const {
      id: _,
      notAfter: __,
      ...checked
    } = parseSchema(referenceEntrySchema, { provenance, ...value, id, notAfter }, `${source}: ${id}`)
    return { id, value: checked as Unnamed }
  })
}

const rvps = z.record(z.string(), referenceJsonSchema)
const digests = z.array(z.string().regex(/^(?:[0-9a-fA-F]{2}){32,64}$/)).min(1)

/** CBOR begins with a tag, JSON with a brace. */
function readManifest(bytes: Uint8Array, source: string): readonly Imported[] {
  const provenance = { how: 'imported', source, inputs: {} } as const
  const component = (id: string, values: readonly string[]): Imported => ({
    id,
    value: { kind: 'component', digests: values.map((d) => d.toLowerCase()), provenance },
  })
  const first = bytes.find((byte) => ![0x20, 0x09, 0x0a, 0x0d].includes(byte))
  if (first === 0x7b) {
    const members = parseSchema(rvps, parseStrictJson(bytes, { maxBytes: MAX_BYTES }), source)
    return Object.entries(members).map(([id, value]) => {
      const listed = digests.safeParse(value)
      return listed.success ? component(id, listed.data) : { id, value: { kind: 'value', value, provenance } }
    })
  }
  const byName = new Map<string, string[]>()
  for (const { name, digests: found } of readCorim(bytes)) byName.set(name, [...(byName.get(name) ?? []), ...found])
  if (byName.size === 0) throw new VouchsafeError('input.malformed', `${source}: no value with a digest`)
  return Array.from(byName, ([name, values]) => component(name, values))
}
