import { readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { parseSchema, parseStrictJson } from '@vouchsafe/core'
import {
  type BuildConfig,
  type BuildRequest,
  launchPolicyLabels,
  type LayerFile,
  type LayerSource,
} from '@vouchsafe/image'
import { z } from 'zod'
import { UsageError } from '../../output.ts'
import { type OpenImage, platformOption } from './address.ts'
import { type ImageAddress, namedDigest, parseAddress } from './image-address.ts'

const mode = z.string().regex(/^[0-7]{3,4}$/, 'an octal mode such as "0755"')
const fileSchema = z.union([
  z.strictObject({ path: z.string(), from: z.string(), mode: mode.optional() }),
  z.strictObject({ path: z.string(), text: z.string(), mode: mode.optional() }),
  z.strictObject({ path: z.string(), symlink: z.string() }),
  z.strictObject({ path: z.string(), directory: z.literal(true), mode: mode.optional() }),
])
/** A path in another form than these are found in would leave nothing out, without a word. */
const excludedPath = z
  .string()
  .refine(
    (text) => text.split('/').every((part) => !['', '.', '..'].includes(part)),
    'a plain path below the directory, such as "notes" or "src/secrets"',
  )
const layerSchema = z.union([
  z.strictObject({
    directory: z.string(),
    at: z.string().optional(),
    /** Paths below `directory`, exact; a directory goes with all below it. */
    exclude: z.array(excludedPath).optional(),
  }),
  z.strictObject({ files: z.array(fileSchema).min(1) }),
])
const descriptionSchema = z.strictObject({
  vouchsafe: z.literal('image/v1'),
  /** By digest. */
  base: z.string().optional(),
  platform: z.string().optional(),
  layers: z.array(layerSchema).min(1).max(64),
  entrypoint: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  env: z.record(z.string(), z.string()).optional(),
  labels: z.record(z.string(), z.string()).optional(),
  user: z.string().optional(),
  workingDir: z.string().optional(),
  ports: z.array(z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  stopSignal: z.string().optional(),
  launchPolicy: z
    .strictObject({
      allowCommandOverride: z.boolean().optional(),
      allowEnvOverride: z.array(z.string()).optional(),
      logRedirect: z.enum(['always', 'never', 'debugonly']).optional(),
      allowMountDestinations: z.array(z.string()).optional(),
      allowCapabilities: z.boolean().optional(),
      allowCgroups: z.boolean().optional(),
    })
    .optional(),
  compression: z.enum(['none', 'gzip', 'zstd']).optional(),
  createdSeconds: z.number().int().min(0).optional(),
})
type Description = z.infer<typeof descriptionSchema>

/** Reads what an image is to be made of. Paths in it are relative to the file. */
export function readBuildFile(file: string): Description {
  const bytes = new Uint8Array(readFileSync(file))
  const description = parseSchema(descriptionSchema, parseStrictJson(bytes, { maxBytes: 1024 * 1024 }), file)
  if (description.base !== undefined) {
    if (namedDigest(parseAddress(description.base)) === undefined)
      throw new UsageError(`${file}: base ${description.base} is not named by digest`, 'add @sha256:… to it')
  }
  return description
}

/**
 * Where the base is, if there is one: a layout or archive is looked for from where the file lies, as all else that it names.
 *
 * @param file - Of a commit, where the file lies in the repository: layouts are seldom committed, and the digest holds.
 */
export function baseOf({ base }: Description, file: string): ImageAddress | undefined {
  if (base === undefined) return undefined
  const address = parseAddress(base)
  if (address.kind === 'registry') return address
  return { ...address, place: path.resolve(path.dirname(file), address.place) }
}

/**
 * @param base - The description's base, open.
 * @param within - Everything must come from below this directory; from anywhere unless told.
 */
export function buildRequest(
  file: string,
  description: Description,
  base: OpenImage | undefined,
  within?: string,
): BuildRequest {
  const folder = path.dirname(path.resolve(file))
  if (within !== undefined) for (const place of placesOf(description)) assertWithin(path.resolve(folder, place), within)
  const { platform, compression, createdSeconds } = description
  return {
    layers: description.layers.map((layer) => toLayer(layer, folder)),
    config: toConfig(description),
    ...(base === undefined ? {} : { base: { source: base.source, digest: base.digest } }),
    ...(platform === undefined ? {} : { platform: platformOption(platform) }),
    ...(compression === undefined ? {} : { compression }),
    ...(createdSeconds === undefined ? {} : { createdSeconds }),
  }
}

function placesOf({ layers }: Description): readonly string[] {
  return layers.flatMap((layer) =>
    'files' in layer ? layer.files.flatMap((entry) => ('from' in entry ? [entry.from] : [])) : [layer.directory],
  )
}

/**
 * Links count as what they lead to.
 *
 * @throws {UsageError} for a place elsewhere: a build from a commit takes nothing of the machine it runs on
 */
export function assertWithin(place: string, directory: string): void {
  const found = realpathSync(place)
  const root = realpathSync(directory)
  if (found !== root && !found.startsWith(`${root}${path.sep}`))
    throw new UsageError(
      `${path.relative(directory, place)} lies outside of the commit`,
      'a build from a commit takes files of that commit only',
    )
}

function toLayer(layer: Description['layers'][number], folder: string): LayerSource {
  if ('files' in layer) return { kind: 'files', files: layer.files.map((entry) => toFile(entry, folder)) }
  const excluded = new Set(layer.exclude)
  return {
    kind: 'directory',
    directory: path.resolve(folder, layer.directory),
    include: (found) => !excluded.has(found),
    ...(layer.at === undefined ? {} : { at: layer.at }),
  }
}

function toFile(entry: z.infer<typeof fileSchema>, folder: string): LayerFile {
  if ('symlink' in entry) return { kind: 'symlink', path: entry.path, target: entry.symlink }
  const bits = entry.mode === undefined ? {} : { mode: Number.parseInt(entry.mode, 8) }
  if ('from' in entry) return { kind: 'copy', path: entry.path, from: path.resolve(folder, entry.from), ...bits }
  if ('text' in entry) return { kind: 'file', path: entry.path, bytes: new TextEncoder().encode(entry.text), ...bits }
  return { kind: 'directory', path: entry.path, ...bits }
}

function toConfig(description: Description): BuildConfig {
  const { launchPolicy, labels, ports, entrypoint, args, env, user, workingDir, volumes, stopSignal } = description
  const policy = launchPolicyLabels(withoutUndefined(launchPolicy ?? {}))
  return withoutUndefined({
    entrypoint,
    args,
    env,
    user,
    workingDir,
    volumes,
    stopSignal,
    exposedPorts: ports,
    labels: { ...labels, ...policy },
  })
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> }

/** Members that were left out are absent, not `undefined`. */
function withoutUndefined<T extends object>(value: T): Partial<Defined<T>> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<Defined<T>>
}
