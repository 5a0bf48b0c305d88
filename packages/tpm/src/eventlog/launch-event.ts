import { ByteReader } from '../codec/byte-reader.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { TpmError } from '../codec/errors.ts'

/** A launch fact as it is measured, one to a record. `env` may occur once per name, every other kind once. */
export type LaunchEvent =
  /** The agreement under which the workload runs, `sha256:` and 64 hexadecimal digits. */
  | { readonly kind: 'agreement'; readonly value: string }
  /** The digest of the image's manifest that was unpacked, same form. */
  | { readonly kind: 'image'; readonly value: string }
  /** The name by which the image was asked for. Says nothing of what runs: `image` does. */
  | { readonly kind: 'image-reference'; readonly value: string }
  /** The whole argument vector, first word included. */
  | { readonly kind: 'args'; readonly value: readonly string[] }
  | { readonly kind: 'env'; readonly name: string; readonly value: string }
  | { readonly kind: 'debug'; readonly value: boolean }
  | { readonly kind: 'network'; readonly value: LaunchNetwork }
  /** Where the workload's standard output and error go. */
  | { readonly kind: 'output'; readonly value: LaunchOutput }
  | { readonly kind: 'restart'; readonly value: LaunchRestart }
  /** What keeps the workload apart from the agent. */
  | { readonly kind: 'isolation'; readonly value: LaunchIsolation }
  /** Linux capabilities of the workload, sorted. */
  | { readonly kind: 'capabilities'; readonly value: readonly string[] }
  /** What of outside is mounted into the workload, `source:destination:options`, sorted. */
  | { readonly kind: 'mounts'; readonly value: readonly string[] }
  /** Closes the launch: nothing may follow. */
  | { readonly kind: 'separator' }

export const LAUNCH_NETWORKS = ['none', 'host'] as const
export type LaunchNetwork = (typeof LAUNCH_NETWORKS)[number]
export const LAUNCH_OUTPUTS = ['closed', 'log'] as const
export type LaunchOutput = (typeof LAUNCH_OUTPUTS)[number]
export const LAUNCH_RESTARTS = ['never', 'on-failure', 'always'] as const
export type LaunchRestart = (typeof LAUNCH_RESTARTS)[number]
export const LAUNCH_ISOLATIONS = ['runc', 'runc-rootless', 'platform'] as const
export type LaunchIsolation = (typeof LAUNCH_ISOLATIONS)[number]

/** The byte that stands for each kind. Measured for ever: add freely, never renumber. */
const TYPES = {
  agreement: 0,
  image: 1,
  'image-reference': 2,
  args: 3,
  env: 4,
  debug: 5,
  network: 6,
  output: 7,
  restart: 8,
  isolation: 9,
  capabilities: 10,
  mounts: 11,
  separator: 255,
} as const satisfies Record<LaunchEvent['kind'], number>

const KINDS = new Map<number, LaunchEvent['kind']>(
  Object.entries(TYPES).map(([kind, type]) => [type, kind as LaunchEvent['kind']]),
)

const DIGEST = /^sha256:[0-9a-f]{64}$/
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

/**
 * The value of a content TLV of type `CEL_CONTENT.launch`: a type byte, a 32-bit length, the value. Texts are UTF-8; a
 * list is its elements, each after its 32-bit length; a variable is the list of its name and value.
 *
 * @throws {TpmError} `input.malformed` for a value that `decodeLaunchEvent` would not give back.
 */
export function encodeLaunchEvent(event: LaunchEvent): Uint8Array<ArrayBuffer> {
  assertLaunchEvent(event)
  return new ByteWriter('big').u8('type', TYPES[event.kind]).sized32('value', valueOf(event)).finish()
}

/**
 * Reads the value of a content TLV of type `CEL_CONTENT.launch`.
 *
 * @throws {TpmError} `input.malformed` for an unknown kind and for every value that is not exactly of its kind's form.
 */
export function decodeLaunchEvent(bytes: Uint8Array): LaunchEvent {
  const r = new ByteReader('launch event', bytes, 'big')
  const type = r.u8('type')
  const kind = KINDS.get(type)
  if (kind === undefined) throw r.malformed('type', `${type} is no kind of launch event`)
  const value = r.part('value', r.u32('length'), `launch event ${kind}`)
  r.end()
  const event = eventOf(kind, value)
  value.end()
  assertLaunchEvent(event)
  return event
}

function valueOf(event: LaunchEvent): Uint8Array {
  switch (event.kind) {
    case 'args':
    case 'capabilities':
    case 'mounts':
      return list(event.value)
    case 'env':
      return list([event.name, event.value])
    case 'debug':
      return Uint8Array.of(event.value ? 1 : 0)
    case 'separator':
      return new Uint8Array()
    case 'agreement':
    case 'image':
    case 'image-reference':
    case 'network':
    case 'output':
    case 'restart':
    case 'isolation':
      return utf8(event.value)
  }
}

function eventOf(kind: LaunchEvent['kind'], r: ByteReader): LaunchEvent {
  switch (kind) {
    case 'args':
    case 'capabilities':
    case 'mounts':
      return { kind, value: readList(r) }
    case 'env': {
      const [name, value, ...more] = readList(r)
      if (name === undefined || value === undefined || more.length > 0) throw r.malformed('value', 'not name and value')
      return { kind, name, value }
    }
    case 'debug':
      return { kind, value: r.yesNo('value') }
    case 'separator':
      return { kind }
    case 'network':
      return { kind, value: oneOf(r, LAUNCH_NETWORKS) }
    case 'output':
      return { kind, value: oneOf(r, LAUNCH_OUTPUTS) }
    case 'restart':
      return { kind, value: oneOf(r, LAUNCH_RESTARTS) }
    case 'isolation':
      return { kind, value: oneOf(r, LAUNCH_ISOLATIONS) }
    case 'agreement':
    case 'image':
    case 'image-reference':
      return { kind, value: text(r, r.rest()) }
  }
}

/** What the types do not say. Writing and reading hold to the same, so that one launch has one encoding. */
function assertLaunchEvent(event: LaunchEvent): void {
  switch (event.kind) {
    case 'agreement':
    case 'image':
      if (!DIGEST.test(event.value)) throw malformed(event.kind, 'not sha256: and 64 lower-case hexadecimal digits')
      return
    case 'image-reference':
      if (event.value === '') throw malformed(event.kind, 'empty')
      noNul(event.kind, [event.value])
      return
    case 'args':
      noNul(event.kind, event.value)
      return
    case 'env':
      if (!ENV_NAME.test(event.name)) throw malformed(event.kind, `${JSON.stringify(event.name)} is no variable name`)
      noNul(event.kind, [event.value])
      return
    case 'capabilities':
    case 'mounts':
      noNul(event.kind, event.value)
      if (event.value.some((element, i) => i > 0 && element <= (event.value[i - 1] ?? '')))
        throw malformed(event.kind, 'not sorted, or with repeats')
      return
    case 'debug':
    case 'network':
    case 'output':
    case 'restart':
    case 'isolation':
    case 'separator':
      return
  }
}

function noNul(kind: string, texts: readonly string[]): void {
  if (texts.some((t) => t.includes('\0'))) throw malformed(kind, 'holds a NUL, at which the kernel would end it')
}

function oneOf<const T extends string>(r: ByteReader, values: readonly T[]): T {
  const found = text(r, r.rest())
  const value = values.find((v) => v === found)
  if (value === undefined) throw r.malformed('value', `${JSON.stringify(found)} is none of ${values.join(', ')}`)
  return value
}

function list(texts: readonly string[]): Uint8Array {
  const w = new ByteWriter('big')
  for (const t of texts) w.sized32('element', utf8(t))
  return w.finish()
}

function readList(r: ByteReader): readonly string[] {
  const texts: string[] = []
  while (r.remaining > 0) texts.push(text(r, r.sized32('element', r.remaining)))
  return texts
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function utf8(value: string): Uint8Array {
  if (!value.isWellFormed()) throw malformed('text', 'has a lone surrogate, which UTF-8 cannot hold')
  return encoder.encode(value)
}

function text(r: ByteReader, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new TpmError('input.malformed', `${r.what}: not UTF-8`, { cause })
  }
}

function malformed(what: string, why: string): TpmError {
  return new TpmError('input.malformed', `launch event ${what}: ${why}`)
}
