import { BuiltinError } from '../builtins/index.ts'
import { unmarshalYaml } from '../builtins/yaml.ts'
import { RegoError } from '../errors.ts'
import type { RegoVersion } from '../syntax/ast.ts'
import { parseModule, type ParseOptions } from '../syntax/parse-module.ts'
import type { Module } from '../syntax/ast.ts'
import {
  fromJson,
  isArray,
  isObject,
  isRecord,
  newRecord,
  objectEntries,
  recordGet,
  toJson,
  ValueError,
  type MutableRecord,
  type Value,
} from '../value/index.ts'
import { gunzip, gzip } from './gzip.ts'
import { decodeText, readTar, writeTar, type TarEntry } from './tar.ts'

/** Policies and data that travel together, as OPA packs them. */
export type Bundle = {
  /** The manifest's, or ''. */
  readonly revision: string
  /** Paths that the bundle owns; `['']` is everything. */
  readonly roots: readonly string[]
  readonly metadata: Value
  /** Texts of modules by their name in the bundle. */
  readonly modules: Readonly<Record<string, string>>
  /** The dialect of each module that the manifest names. */
  readonly versions: Readonly<Record<string, RegoVersion>>
  /** All data files together, each below its folder. */
  readonly data: Value
  /** The bundle carries signatures. They are not checked here: who loads it has the keys. */
  readonly signatures: Uint8Array | undefined
}

export type BundleLimits = {
  /** The size of the archive before it is unpacked. Default 16 MiB. */
  readonly maxArchiveBytes?: number
  /** The size of all files. Default 64 MiB. */
  readonly maxBytes?: number
  /** Default 10,000. */
  readonly maxFiles?: number
}

const MIB = 1024 * 1024

function malformed(message: string, cause?: unknown): RegoError {
  return RegoError.of('bundle_malformed', message, undefined, { cause })
}

/**
 * Reads a bundle (`.tar.gz`).
 *
 * @throws {RegoError} `bundle_malformed` for anything that is not one, or is larger than it may be
 */
export async function readBundle(archive: Uint8Array<ArrayBuffer>, limits: BundleLimits = {}): Promise<Bundle> {
  const maxArchiveBytes = limits.maxArchiveBytes ?? 16 * MIB
  if (archive.length > maxArchiveBytes) throw malformed(`the archive has more than ${maxArchiveBytes} bytes`)
  const maxBytes = limits.maxBytes ?? 64 * MIB
  const maxFiles = limits.maxFiles ?? 10_000
  // headers and padding come on top of the files
  const tar = await gunzip(archive, maxBytes + maxFiles * 1024 + 10_240)
  return assemble(readTar(tar, { maxBytes, maxFiles }))
}

function assemble(entries: readonly TarEntry[]): Bundle {
  const modules: Record<string, string> = {}
  const data = newRecord()
  let manifest: Value = newRecord()
  let signatures: Uint8Array | undefined
  for (const { name, bytes } of entries) {
    const file = name.slice(name.lastIndexOf('/') + 1)
    const folder = name.split('/').slice(0, -1)
    if (name === '.manifest') manifest = json(name, bytes)
    else if (name === '.signatures.json') signatures = bytes
    else if (file.endsWith('.rego')) modules[name] = decodeText(bytes)
    else if (file === 'data.json') place(data, folder, json(name, bytes), name)
    else if (file === 'data.yaml' || file === 'data.yml') place(data, folder, yaml(name, bytes), name)
  }
  const { revision, roots, metadata, versions } = readManifest(manifest, modules)
  const bundle: Bundle = { revision, roots, metadata, modules, versions, data, signatures }
  checkRoots(bundle)
  return bundle
}

function json(name: string, bytes: Uint8Array): Value {
  try {
    return fromJson(decodeText(bytes), { refuseDuplicates: true })
  } catch (e) {
    if (e instanceof ValueError) throw malformed(`${name}: ${e.message}`, e)
    throw e
  }
}

function yaml(name: string, bytes: Uint8Array): Value {
  try {
    return unmarshalYaml(decodeText(bytes))
  } catch (e) {
    if (e instanceof BuiltinError) throw malformed(`${name}: ${e.message}`, e)
    throw e
  }
}

/** Puts a data file where its folder says. Two files may fill one object, never one member. */
function place(root: MutableRecord, folder: readonly string[], value: Value, name: string): void {
  const below = folder.reduceRight<Value>((v, step) => {
    const r = newRecord()
    r[step] = v
    return r
  }, value)
  if (!isRecord(below)) throw malformed(`${name}: data at the root must be an object`)
  merge(root, below, name)
}

function merge(into: MutableRecord, from: Value, name: string): void {
  if (!isRecord(from)) throw malformed(`${name}: two data files have the same member`)
  for (const [k, v] of objectEntries(from)) {
    const key = k as string
    const known = recordGet(into, key)
    if (known === undefined) into[key] = copyOf(v)
    else if (isRecord(known) && isRecord(v)) merge(known as MutableRecord, v, name)
    else throw malformed(`${name}: two data files have the member ${JSON.stringify(key)}`)
  }
}

function copyOf(v: Value): Value {
  if (!isRecord(v)) return v
  const out = newRecord()
  for (const [k, x] of objectEntries(v)) out[k as string] = copyOf(x)
  return out
}

type Manifest = Pick<Bundle, 'revision' | 'roots' | 'metadata' | 'versions'>

function readManifest(manifest: Value, modules: Readonly<Record<string, string>>): Manifest {
  if (!isRecord(manifest)) throw malformed('.manifest: not an object')
  const revision = recordGet(manifest, 'revision') ?? ''
  if (typeof revision !== 'string') throw malformed('.manifest: revision is not a string')
  const roots = recordGet(manifest, 'roots') ?? ['']
  if (!isArray(roots) || roots.length === 0) throw malformed('.manifest: roots is not a list of paths')
  const paths = roots.map((r) => {
    if (typeof r !== 'string') throw malformed('.manifest: roots is not a list of paths')
    return r.replaceAll(/^\/|\/$/g, '')
  })
  for (const [i, a] of paths.entries()) {
    for (const b of paths.slice(i + 1))
      if (within(a, b) || within(b, a)) throw malformed(`.manifest: roots ${a} and ${b} overlap`)
  }
  const versions: Record<string, RegoVersion> = {}
  const common = version(recordGet(manifest, 'rego_version'))
  if (common !== undefined) for (const name of Object.keys(modules)) versions[name] = common
  const perFile = recordGet(manifest, 'file_rego_versions')
  if (perFile !== undefined && !isRecord(perFile)) throw malformed('.manifest: file_rego_versions is not an object')
  for (const [pattern, v] of perFile === undefined ? [] : objectEntries(perFile)) {
    const own = version(v)
    const test = globTest(pattern as string)
    if (own !== undefined) for (const name of Object.keys(modules)) if (test(name)) versions[name] = own
  }
  return { revision, roots: paths, metadata: recordGet(manifest, 'metadata') ?? newRecord(), versions }
}

function version(v: Value | undefined): RegoVersion | undefined {
  if (v === undefined) return undefined
  if (v === 0) return 'v0'
  if (v === 1) return 'v1'
  throw malformed('.manifest: a rego version is 0 or 1')
}

/** `*` stands for anything within a folder. */
function globTest(pattern: string): (name: string) => boolean {
  const steps = pattern.replace(/^\//, '').split('/')
  return (name) => {
    const names = name.split('/')
    return names.length === steps.length && steps.every((s, i) => matches(s, names[i] as string))
  }
}

function matches(step: string, name: string): boolean {
  const [first = '', ...rest] = step.split('*')
  if (rest.length === 0) return step === name
  if (!name.startsWith(first)) return false
  let at = first.length
  const last = rest.pop() as string
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return name.length - last.length >= at && name.endsWith(last)
}

function within(path: string, root: string): boolean {
  return root === '' || path === root || path.startsWith(`${root}/`)
}

/** What a bundle brings must lie below its roots. */
function checkRoots({ roots, data, modules, versions }: Bundle): void {
  const owned = (path: string): boolean => roots.some((r) => within(path, r))
  for (const [name, text] of Object.entries(modules)) {
    const path = parseModule(name, text, { version: versions[name] ?? 'v1' }).package.path.join('/')
    if (!owned(path)) throw malformed(`${name}: package ${path} is outside the bundle's roots`)
  }
  const visit = (v: Value, path: string): void => {
    if (owned(path)) return
    if (isRecord(v) && roots.some((r) => within(r, path))) {
      for (const [k, x] of objectEntries(v)) visit(x, path === '' ? String(k) : `${path}/${String(k)}`)
    } else throw malformed(`data at ${path} is outside the bundle's roots`)
  }
  if (!roots.includes('')) for (const [k, v] of objectEntries(data as MutableRecord)) visit(v, String(k))
}

/** The parsed modules of a bundle, each in its dialect, for `compile`. @throws {RegoError} */
export function bundleModules(bundle: Bundle, options: ParseOptions = {}): Module[] {
  return Object.entries(bundle.modules).map(([name, text]) => {
    const own = bundle.versions[name]
    return parseModule(name, text, own === undefined ? options : { ...options, version: own })
  })
}

/** Packs policies and data. The same contents give the same bytes. */
export async function writeBundle(
  bundle: Pick<Bundle, 'modules' | 'data'> & Partial<Pick<Bundle, 'revision' | 'roots' | 'metadata'>>,
): Promise<Uint8Array<ArrayBuffer>> {
  const encode = (s: string): Uint8Array => new TextEncoder().encode(s)
  const manifest = newRecord()
  manifest['revision'] = bundle.revision ?? ''
  manifest['roots'] = [...(bundle.roots ?? [''])]
  if (bundle.metadata !== undefined && isObject(bundle.metadata)) manifest['metadata'] = bundle.metadata
  const entries: TarEntry[] = [
    { name: '.manifest', bytes: encode(toJson(manifest)) },
    { name: 'data.json', bytes: encode(toJson(bundle.data)) },
    ...Object.entries(bundle.modules).map(([name, text]) => ({ name: name.replace(/^\/+/, ''), bytes: encode(text) })),
  ]
  return gzip(writeTar(entries))
}
