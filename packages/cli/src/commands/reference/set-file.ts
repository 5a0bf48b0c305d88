import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { PrincipalKey } from '@vouchsafe/client'
import {
  type Envelope,
  parseSchema,
  parseStrictJson,
  readReferenceFile,
  REFERENCE_TYPE,
  type ReferenceEntry,
  type ReferenceFile,
  referenceEntrySchema,
  referenceFileSchema,
  type ReferenceSet,
  type ReferenceVersion,
  signEnvelope,
  utf8,
  VouchsafeError,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Command } from 'commander'
import { UsageError, withHint } from '../../output.ts'

const MAX_FILE_BYTES = 64 * 1024 * 1024
const DAY_MS = 86_400_000

/** How a verb that adds to a set is told where, by whom, and for how long. */
export interface IntoOptions {
  readonly into?: string
  readonly key?: string
  readonly id?: string
  readonly days: number
}

export function intoOptions(command: Command, days: (text: string) => number): Command {
  return command
    .option('--into <set>', 'add it to this file of reference values; made when it is not there')
    .option('--key <file>', 'your key (PEM): every version of a set is signed')
    .option('--id <name>', 'a name for the value in its set')
    .option('--days <n>', 'how long it holds', days, 90)
}

/** What is known of a value before it has a name and an end. */
export type Unnamed = DistributiveOmit<ReferenceEntry, 'id' | 'notAfter'>
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

/** Puts values into a set as its next version, where that was asked for. @returns What was written, or null. */
export async function addTo(
  options: IntoOptions,
  values: readonly { readonly id: string; readonly value: Unnamed }[],
  at: Date,
): Promise<ReferenceSet | null> {
  const { into, key: keyFile, days } = options
  if (into === undefined) return null
  if (keyFile === undefined) throw new UsageError('who vouches for it?', 'sign with --key FILE')
  const notAfter = new Date(at.getTime() + days * DAY_MS).toISOString()
  const added = values.map(({ id, value }) =>
    parseSchema(referenceEntrySchema, { ...value, id, notAfter }, `reference value ${id}`),
  )
  return nextVersion(into, keyFile, at, (entries) => {
    const taken = added.find(({ id }) => entries.some((e) => e.id === id))
    if (taken !== undefined)
      throw withHint(
        new VouchsafeError('store.conflict', `${into}: ${taken.id} is there already`),
        'choose another --id, or expire the old one: vouchsafe reference expire',
      )
    return [...entries, ...added]
  })
}

/** Writes a set's next version. The old ones stay: a set is its history. */
export async function nextVersion(
  file: string,
  keyFile: string,
  at: Date,
  change: (entries: readonly ReferenceEntry[]) => readonly ReferenceEntry[],
): Promise<ReferenceSet> {
  const key = PrincipalKey.fromPem(readFileSync(keyFile, 'utf8'))
  const known = existsSync(file) ? readFile(file) : { format: 'vouchsafe/reference-file/v1' as const, versions: [] }
  const before: ReferenceVersion | undefined =
    known.versions.length === 0 ? undefined : (await readReferenceFile(known, key.key, nodeCrypto)).at(-1)
  const set: ReferenceSet = {
    vouchsafe: 'reference/v1',
    name: before?.set.name ?? path.basename(file, path.extname(file)),
    version: (before?.set.version ?? 0) + 1,
    previous: before?.digest ?? null,
    issued: at.toISOString(),
    entries: [...change(before?.set.entries ?? [])],
  }
  const envelope = signEnvelope(REFERENCE_TYPE, utf8(JSON.stringify(set)), key.key, (bytes) => key.sign(bytes))
  const written = { ...known, versions: [...known.versions, envelope] }
  await readReferenceFile(written as ReferenceFile, key.key, nodeCrypto) // what could not be read again is not written
  writeFileSync(`${file}.new`, `${JSON.stringify(written)}\n`)
  renameSync(`${file}.new`, file)
  return set
}

/** Reads a set under the key that is known to vouch for it. */
export async function readSet(
  file: string,
  { signer, key, atLeast }: { readonly signer?: string; readonly key?: string; readonly atLeast?: number },
): Promise<readonly [SignedVersion, ...SignedVersion[]]> {
  const by = signer ?? (key === undefined ? undefined : PrincipalKey.fromPem(readFileSync(key, 'utf8')).key)
  if (by === undefined)
    throw new UsageError(
      'whose set is this?',
      'name the key that you know with --signer ed25519:…, or your own with --key',
    )
  const known = readFile(file)
  const [first, ...rest] = await readReferenceFile(known, by, nodeCrypto, atLeast)
  const signed = (version: ReferenceVersion, i: number): SignedVersion => {
    const envelope = known.versions[i]
    if (envelope === undefined)
      throw new VouchsafeError('internal', `${file}: version ${i + 1} was read and is not there`)
    return { ...version, signer: by, envelope }
  }
  return [signed(first, 0), ...rest.map((version, i) => signed(version, i + 1))]
}

/** A version as it was read, with what was signed and by whom. */
export interface SignedVersion extends ReferenceVersion {
  readonly signer: string
  readonly envelope: Envelope
}

function readFile(file: string): ReferenceFile {
  return parseSchema(referenceFileSchema, parseStrictJson(readFileSync(file), { maxBytes: MAX_FILE_BYTES }), file)
}

/** What was done with a set, for people. */
export function addedText(set: ReferenceSet | null, file: string | undefined): string {
  return set === null
    ? 'not kept: add it to a set with --into SET --key KEY'
    : `${file}: version ${set.version} of ${set.name}, ${set.entries.length} values`
}
