import { ImageError } from '../errors.ts'
import type { ExecutionConfig } from '../oci/config.ts'
import { sortedRecord } from '../oci/descriptor.ts'

/** How the container starts. What is left out is inherited from the base, or empty. */
export interface BuildConfig {
  readonly entrypoint?: readonly string[]
  /** Arguments after the entrypoint. Setting an entrypoint without arguments drops the base's arguments. */
  readonly args?: readonly string[]
  /** Added to the base's; a name given here replaces the base's value. */
  readonly env?: Readonly<Record<string, string>>
  /** Added to the base's, likewise. */
  readonly labels?: Readonly<Record<string, string>>
  readonly user?: string
  readonly workingDir?: string
  /** `8080/tcp`. */
  readonly exposedPorts?: readonly string[]
  readonly volumes?: readonly string[]
  readonly stopSignal?: string
}

const KNOWN = new Set([
  'entrypoint',
  'args',
  'env',
  'labels',
  'user',
  'workingDir',
  'exposedPorts',
  'volumes',
  'stopSignal',
])

/** @throws {ImageError} `build.input` on unknown members and on values that no runtime could use. */
export function mergeConfig(own: BuildConfig, base: ExecutionConfig | undefined): ExecutionConfig {
  for (const name of Object.keys(own))
    if (!KNOWN.has(name)) throw new ImageError('build.input', `config.${name} is not a member of the configuration`)
  const stopSignal = own.stopSignal ?? base?.stopSignal
  return {
    entrypoint: own.entrypoint ?? base?.entrypoint ?? [],
    args: own.args ?? (own.entrypoint === undefined ? base?.args : undefined) ?? [],
    env: mergeEnv(base?.env ?? [], own.env ?? {}),
    labels: new Map([...(base?.labels ?? []), ...Object.entries(own.labels ?? {})]),
    user: own.user ?? base?.user ?? '',
    workingDir: absolute(own.workingDir ?? base?.workingDir ?? '', 'workingDir'),
    exposedPorts: ports([...(base?.exposedPorts ?? []), ...(own.exposedPorts ?? [])]),
    volumes: [...new Set([...(base?.volumes ?? []), ...(own.volumes ?? [])])].map((v) => absolute(v, 'volumes')).sort(),
    ...(stopSignal === undefined ? {} : { stopSignal }),
  }
}

/** The `config` member as the image specification spells it; empty members are left out. */
export function executionJson(config: ExecutionConfig): Record<string, unknown> {
  const names = (list: readonly string[]) => Object.fromEntries(list.map((name) => [name, {}]))
  return {
    ...(config.user === '' ? {} : { User: config.user }),
    ...(config.exposedPorts.length === 0 ? {} : { ExposedPorts: names(config.exposedPorts) }),
    ...(config.env.length === 0 ? {} : { Env: config.env }),
    ...(config.entrypoint.length === 0 ? {} : { Entrypoint: config.entrypoint }),
    ...(config.args.length === 0 ? {} : { Cmd: config.args }),
    ...(config.volumes.length === 0 ? {} : { Volumes: names(config.volumes) }),
    ...(config.workingDir === '' ? {} : { WorkingDir: config.workingDir }),
    ...(config.labels.size === 0 ? {} : { Labels: sortedRecord(config.labels) }),
    ...(config.stopSignal === undefined ? {} : { StopSignal: config.stopSignal }),
  }
}

/** The base's variables in their order, then new ones sorted by name. */
function mergeEnv(base: readonly string[], own: Readonly<Record<string, string>>): readonly string[] {
  for (const [name, value] of Object.entries(own))
    if (!/^[^=\0]+$/.test(name) || value.includes('\0'))
      throw new ImageError('build.input', `config.env: ${JSON.stringify(name)} is not a variable`)
  const lines = new Map(Object.entries(own).map(([name, value]) => [name, `${name}=${value}`]))
  const nameOf = (line: string) => line.slice(0, line.indexOf('='))
  const kept = base.map((line) => lines.get(nameOf(line)) ?? line)
  const inBase = new Set(base.map(nameOf))
  const added = [...lines].filter(([name]) => !inBase.has(name)).map(([, line]) => line)
  return [...kept, ...added.sort()]
}

function absolute(directory: string, what: string): string {
  if (directory !== '' && !directory.startsWith('/'))
    throw new ImageError('build.input', `config.${what}: ${JSON.stringify(directory)} is not absolute`)
  return directory
}

function ports(list: readonly string[]): readonly string[] {
  for (const port of list)
    if (!/^[1-9][0-9]{0,4}(\/(tcp|udp|sctp))?$/.test(port) || Number.parseInt(port, 10) > 65_535)
      throw new ImageError('build.input', `config.exposedPorts: ${JSON.stringify(port)} is not like 8080/tcp`)
  return [...new Set(list)].sort()
}
