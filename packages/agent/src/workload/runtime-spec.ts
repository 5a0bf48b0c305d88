import type { ExecutionConfig } from '@vouchsafe/image'
import type { Launch } from '@vouchsafe/tpm/eventlog'
import { AgentError } from '../errors.ts'
import type { ImageUser } from './image-user.ts'
import { seccompProfile } from './seccomp.ts'

/** What a workload may use at most. */
export interface WorkloadLimits {
  readonly memoryBytes: number
  readonly processes: number
}

export interface RuntimeSpecOptions {
  readonly launch: Launch
  readonly image: ExecutionConfig
  readonly user: ImageUser
  readonly limits: WorkloadLimits
}

const TMPFS_BYTES = 64 * 1024 * 1024
const NO_CAPABILITIES = { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] }
const HIDDEN = ['exec', 'suid', 'dev'].map((option) => `no${option}`)

/**
 * `config.json` of the bundle: the measured launch, and for all else the least. No capabilities, no new privileges, a
 * read-only root, no devices but the harmless ones, no core dumps, and a network namespace with nothing in it.
 *
 * @throws {AgentError} `workload.image`
 * @source OCI Runtime Specification 1.0
 */
export function runtimeSpec({ launch, image, user, limits }: RuntimeSpecOptions) {
  const cwd = image.workingDir === '' ? '/' : image.workingDir
  if (!cwd.startsWith('/'))
    throw new AgentError('workload.image', `working directory ${JSON.stringify(cwd)} is not absolute`)
  if (launch.args.length === 0) throw new AgentError('workload.image', 'there are no arguments: nothing to run')
  const isRoot = launch.isolation === 'runc'
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user,
      args: launch.args,
      env: environment(image.env, launch.env),
      cwd,
      capabilities: NO_CAPABILITIES,
      rlimits: [
        { type: 'RLIMIT_NOFILE', soft: 4096, hard: 4096 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 }, // a core dump would be full of secrets
      ],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'workload',
    mounts: mounts(isRoot),
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount', ...(launch.network === 'none' ? ['network'] : [])].map((type) => ({
        type,
      })),
      ...(isRoot ? { resources: resources(limits) } : {}),
      ...(launch.debug ? {} : { seccomp: seccompProfile() }),
      maskedPaths: [
        '/proc/acpi',
        '/proc/asound',
        '/proc/kcore',
        '/proc/keys',
        '/proc/latency_stats',
        '/proc/timer_list',
        '/proc/timer_stats',
        '/proc/sched_debug',
        '/proc/scsi',
      ],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  }
}

/** The image's variables, then those of the launch, which replace them. */
function environment(ofImage: readonly string[], ofLaunch: Readonly<Record<string, string>>): readonly string[] {
  const variables = new Map<string, string>()
  for (const line of ofImage) variables.set(line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1))
  for (const [name, value] of Object.entries(ofLaunch)) variables.set(name, value)
  return Array.from(variables, ([name, value]) => `${name}=${value}`)
}

/** Memory file systems and /proc: nothing of the machine, so the measured list of mounts is empty. */
function mounts(isRoot: boolean) {
  const size = `size=${TMPFS_BYTES}`
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: HIDDEN },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'noexec', 'mode=755', 'size=65536'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...(isRoot ? ['gid=5'] : [])],
    },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...HIDDEN, 'mode=1777', size] },
    { destination: '/tmp', type: 'tmpfs', source: 'tmp', options: [...HIDDEN, 'mode=1777', size] },
  ]
}

function resources(limits: WorkloadLimits) {
  return {
    devices: [{ allow: false, access: 'rwm' }],
    memory: { limit: limits.memoryBytes },
    pids: { limit: limits.processes },
  }
}
