import { ByteReader } from '../codec/byte-reader.ts'
import { TpmError } from '../codec/errors.ts'
import type { HashName, VerifyCrypto } from '../verify/crypto.ts'
import { CEL_CONTENT } from './cel-record.ts'
import type { CelLog, CelRecord } from './cel-record.ts'
import { LAUNCH_REGISTER } from './launch.ts'
import { contentDigest } from './replay-cel.ts'

/** What Google's Confidential Space launcher measured before it started a container. */
export interface ConfidentialSpaceLaunch {
  readonly imageReference: string
  /** `sha256:…` of the manifest, or of the index that the reference named. */
  readonly imageDigest: string
  /** `sha256:…` of the image's configuration; absent when the launcher could not read it. */
  readonly imageId?: string
  readonly restartPolicy: 'Always' | 'OnFailure' | 'Never'
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** The arguments that the operator gave in place of the image's. */
  readonly overriddenArgs: readonly string[]
  /** Those of `env` that the operator set. */
  readonly overriddenEnv: Readonly<Record<string, string>>
  readonly memoryMonitoring?: boolean
  readonly gpuCcMode?: 'ON' | 'OFF' | 'DEVTOOLS'
  /** Serialized NvidiaAttestationReport. */
  readonly gpuAttestation?: Uint8Array
}

/** Events of the launcher, by their type. */
export const CONFIDENTIAL_SPACE_EVENTS = [
  'ImageRef',
  'ImageDigest',
  'RestartPolicy',
  'ImageID',
  'Arg',
  'EnvVar',
  'OverrideArg',
  'OverrideEnv',
  'LaunchSeparator',
  'MemoryMonitor',
  'GpuCCMode',
  'GPUDeviceAttestationBinding',
] as const
type Kind = (typeof CONFIDENTIAL_SPACE_EVENTS)[number]
const REPEATED: readonly Kind[] = ['Arg', 'EnvVar', 'OverrideArg', 'OverrideEnv']

const DIGEST = /^sha256:[0-9a-f]{64}$/
const ENV = /^([a-zA-Z_][a-zA-Z0-9_]*)=([^]*)$/

/**
 * Reads the launch log of a Confidential Space guest (content type 80), more strictly than Google does: every fact but
 * arguments and variables once, a variable's name once, one empty separator and nothing after it.
 *
 * @param log - Replayed and compared with attested registers, or nothing here is authentic.
 * @throws {TpmError} `evidence.log`
 */
export function readConfidentialSpaceLaunch(
  log: CelLog,
  bank: HashName,
  crypto: Pick<VerifyCrypto, 'digest'>,
): ConfidentialSpaceLaunch {
  const values = new Map<Kind, Uint8Array[]>()
  log.forEach((record, i) => {
    if (values.has('LaunchSeparator')) throw refused(`record ${i} comes after the separator`)
    const { kind, value } = eventOf(record, i, bank, crypto)
    const before = values.get(kind) ?? []
    if (before.length > 0 && !REPEATED.includes(kind)) throw refused(`record ${i} measures ${kind} a second time`)
    values.set(kind, [...before, value])
  })
  return launchOf(values)
}

/** What a Google bare-metal host measured of itself (content type 82). */
export interface ConfidentialSpaceHost {
  /** Protected processor inventory number of each CPU, 16 bytes, in order. */
  readonly cpuIds: readonly Uint8Array[]
}

/** Where the host's own launch events go. */
const HOST_REGISTER = 19

/**
 * Reads the launch log of a Google bare-metal host.
 *
 * @throws {TpmError} `evidence.log`
 */
export function readConfidentialSpaceHost(
  log: CelLog,
  bank: HashName,
  crypto: Pick<VerifyCrypto, 'digest'>,
): ConfidentialSpaceHost {
  const cpuIds: Uint8Array[] = []
  let closed = false
  log.forEach((record, i) => {
    if (closed) throw refused(`record ${i} comes after the separator`)
    if (record.space !== 'pcr' || record.register !== HOST_REGISTER)
      throw refused(`record ${i} is of ${record.space} ${record.register}`)
    const { type, value } = nested(record, i, CEL_CONTENT.confidentialSpaceHost, bank, crypto)
    if (type === 1 && value.length === 0) closed = true
    else if (type === 0 && value.length === 16) cpuIds.push(value)
    else throw refused(`record ${i} has an event of type ${type} and ${value.length} bytes`)
  })
  if (!closed) throw refused('no separator')
  return { cpuIds }
}

function eventOf(record: CelRecord, i: number, bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>) {
  if (record.register !== LAUNCH_REGISTER[record.space])
    throw refused(`record ${i} is of ${record.space} ${record.register}`)
  const { type, value } = nested(record, i, CEL_CONTENT.confidentialSpace, bank, crypto)
  const kind = CONFIDENTIAL_SPACE_EVENTS[type]
  if (kind === undefined) throw refused(`record ${i} has an event of type ${type}`)
  return { kind, value }
}

function nested(record: CelRecord, i: number, type: number, bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>) {
  if (record.content.type !== type) throw refused(`record ${i} has a content of type ${record.content.type}`)
  contentDigest(record, i, bank, crypto)
  try {
    return nestedEvent(record.content.value, `record ${i}`)
  } catch (cause) {
    throw new TpmError('evidence.log', `Confidential Space log: ${(cause as Error).message}`, { cause })
  }
}

/** An event as the launcher puts it into a record's content: a type, then a sized value. @throws {TpmError} `input.malformed` */
export function nestedEvent(content: Uint8Array, what: string): { readonly type: number; readonly value: Uint8Array } {
  const r = new ByteReader(what, content, 'big')
  const event = { type: r.u8('type'), value: r.sized32('value', content.length) }
  r.end()
  return event
}

function launchOf(values: ReadonlyMap<Kind, readonly Uint8Array[]>): ConfidentialSpaceLaunch {
  const [separator] = values.get('LaunchSeparator') ?? []
  if (separator === undefined) throw refused('no separator: nothing was launched yet')
  if (separator.length > 0) throw refused('the separator tells of a failed launch')
  const texts = (kind: Kind) => (values.get(kind) ?? []).map((value) => text(kind, value))
  const optional = (kind: Kind) => texts(kind)[0]
  const required = (kind: Kind) => {
    const value = optional(kind)
    if (value === undefined) throw refused(`no ${kind}`)
    return value
  }
  const env = variables('EnvVar', texts('EnvVar'))
  const overriddenEnv = variables('OverrideEnv', texts('OverrideEnv'))
  for (const [name, value] of Object.entries(overriddenEnv))
    if (env[name] !== value) throw refused(`OverrideEnv ${name} is not what EnvVar says`)
  const imageId = digest('ImageID', optional('ImageID'))
  const monitor = values.get('MemoryMonitor')?.[0]
  const gpuCcMode = optional('GpuCCMode')
  const gpuAttestation = values.get('GPUDeviceAttestationBinding')?.[0]
  return {
    imageReference: required('ImageRef'),
    imageDigest: digest('ImageDigest', required('ImageDigest')),
    ...(imageId !== undefined && { imageId }),
    restartPolicy: oneOf('RestartPolicy', required('RestartPolicy'), ['Always', 'OnFailure', 'Never']),
    args: texts('Arg'),
    env,
    overriddenArgs: texts('OverrideArg'),
    overriddenEnv,
    ...(monitor !== undefined && { memoryMonitoring: yesNo('MemoryMonitor', monitor) }),
    ...(gpuCcMode !== undefined && { gpuCcMode: oneOf('GpuCCMode', gpuCcMode, ['ON', 'OFF', 'DEVTOOLS']) }),
    ...(gpuAttestation !== undefined && { gpuAttestation }),
  }
}

function variables(kind: Kind, texts: readonly string[]): Readonly<Record<string, string>> {
  const entries = new Map<string, string>()
  for (const t of texts) {
    const [, name, value] = ENV.exec(t) ?? []
    if (name === undefined || value === undefined) throw refused(`${kind} ${JSON.stringify(t)} is not NAME=value`)
    if (entries.has(name)) throw refused(`${kind} ${name} is measured a second time`)
    entries.set(name, value)
  }
  return Object.fromEntries(entries)
}

function digest<T extends string | undefined>(kind: Kind, value: T): T {
  if (value !== undefined && !DIGEST.test(value)) throw refused(`${kind} ${JSON.stringify(value)} is no SHA-256 digest`)
  return value
}

function oneOf<const T extends string>(kind: Kind, found: string, values: readonly T[]): T {
  const value = values.find((v) => v === found)
  if (value === undefined) throw refused(`${kind} ${JSON.stringify(found)} is none of ${values.join(', ')}`)
  return value
}

function yesNo(kind: Kind, value: Uint8Array): boolean {
  const [byte] = value
  if (value.length !== 1 || (byte !== 0 && byte !== 1)) throw refused(`${kind} is neither yes nor no`)
  return byte === 1
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function text(kind: Kind, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new TpmError('evidence.log', `Confidential Space log: ${kind} is not UTF-8`, { cause })
  }
}

function refused(why: string): TpmError {
  return new TpmError('evidence.log', `Confidential Space log: ${why}`)
}
