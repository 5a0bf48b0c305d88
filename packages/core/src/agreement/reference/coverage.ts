import type { ReferenceEntry } from './reference-set.ts'

/** What a boot consists of, in the order in which it is started. */
export const COMPONENTS = [
  'firmware',
  'firmware configuration',
  'boot loader',
  'kernel',
  'kernel command line',
  'initial RAM disk',
  'root disk',
] as const
export type Component = (typeof COMPONENTS)[number]

/** `unseen`: a value is pinned, but nobody can tell from it whether the component is in it. */
export interface Covered {
  readonly component: Component
  readonly state: 'pinned' | 'free' | 'unseen'
  /** What pins it, or why it is free. */
  readonly by: string
}

/** What a value pins of a boot, and what it leaves to whoever runs the machine (D12, B17). */
export function coverageOf(entry: ReferenceEntry): readonly Covered[] {
  switch (entry.kind) {
    case 'snp':
      return coverageOfSnp(entry)
    case 'tdx':
      return coverageOfTdx(entry)
    case 'tpm':
      return coverageOfTpm(entry)
    case 'component':
      return COMPONENTS.map((component) => ({
        component,
        state: 'free',
        by: 'a component’s digest stands for itself alone: it pins no boot',
      }))
    case 'value':
      return COMPONENTS.map((component) => ({
        component,
        state: 'free',
        by: 'only policies ask for this value: it pins no boot',
      }))
  }
}

type Of<K extends ReferenceEntry['kind']> = Extract<ReferenceEntry, { kind: K }>

/** One register pins, another is left out. */
function pin(component: Component, by: string | undefined, free: string): Covered {
  return by === undefined ? { component, state: 'free', by: free } : { component, state: 'pinned', by }
}

const VERITY = /(?:roothash|usrhash|verity[._-]?(?:root)?hash)=[0-9a-f]{32,}/

function coverageOfSnp({ provenance: { how, inputs } }: Of<'snp'>): readonly Covered[] {
  const measured = (component: Component, input: string): Covered => {
    if (inputs[input] !== undefined) return { component, state: 'pinned', by: `MEASUREMENT, computed from ${input}` }
    if (how === 'computed')
      return { component, state: 'free', by: 'the measurement was computed without it: the firmware boots from a disk' }
    return { component, state: 'unseen', by: 'MEASUREMENT, if the guest is booted directly: compute it to know' }
  }
  const commandLine = inputs['commandLine']
  return [
    { component: 'firmware', state: 'pinned', by: 'MEASUREMENT' },
    {
      component: 'firmware configuration',
      state: 'free',
      by: 'the host gives tables and devices; nothing measures them',
    },
    {
      component: 'boot loader',
      state: how === 'computed' ? measured('kernel', 'kernel').state : 'unseen',
      by: 'as the kernel',
    },
    measured('kernel', 'kernel'),
    measured('kernel command line', 'commandLine'),
    measured('initial RAM disk', 'initrd'),
    rootDisk(commandLine),
  ]
}

function coverageOfTdx(entry: Of<'tdx'>): readonly Covered[] {
  const by = (value: string | undefined, register: string) => (value === undefined ? undefined : register)
  const { provenance, rtmr0, rtmr1, rtmr2 } = entry
  return [
    { component: 'firmware', state: 'pinned', by: 'MRTD' },
    pin('firmware configuration', by(rtmr0, 'RTMR0'), 'RTMR0 is not pinned'),
    pin('boot loader', by(rtmr1, 'RTMR1'), 'RTMR1 is not pinned'),
    pin('kernel', by(rtmr1, 'RTMR1'), 'RTMR1 is not pinned: any kernel runs in this firmware'),
    pin('kernel command line', by(rtmr2, 'RTMR2'), 'RTMR2 is not pinned'),
    pin('initial RAM disk', by(rtmr2, 'RTMR2'), 'RTMR2 is not pinned'),
    rtmr2 === undefined
      ? { component: 'root disk', state: 'free', by: 'whoever chooses the command line chooses the disk' }
      : rootDisk(provenance.inputs['commandLine']),
  ]
}

function coverageOfTpm({ registers, provenance }: Of<'tpm'>): readonly Covered[] {
  const by = (...numbers: readonly number[]) => {
    const pinned = numbers.filter((n) => registers[String(n)] !== undefined)
    return pinned.length === 0 ? undefined : `PCR ${pinned.join(', ')}`
  }
  return [
    pin('firmware', by(0), 'PCR 0 is not pinned'),
    pin('firmware configuration', by(1), 'PCR 1 is not pinned'),
    pin('boot loader', by(4), 'PCR 4 is not pinned'),
    pin('kernel', by(9, 11) ?? by(4), 'neither PCR 4, 9 nor 11 is pinned'),
    pin('kernel command line', by(8, 12) ?? by(9), 'neither PCR 8, 9 nor 12 is pinned'),
    pin('initial RAM disk', by(9, 11), 'neither PCR 9 nor 11 is pinned'),
    rootDisk(provenance.inputs['commandLine']),
  ]
}

/** No register measures a disk: only a command line that names the hash of its tree does. */
function rootDisk(commandLine: string | undefined): Covered {
  const component = 'root disk'
  if (commandLine === undefined)
    return { component, state: 'unseen', by: 'the pinned command line, if it names the hash of the disk (dm-verity)' }
  return VERITY.test(commandLine)
    ? { component, state: 'pinned', by: 'the command line names the hash of its tree' }
    : { component, state: 'free', by: 'the command line names no hash of it (dm-verity)' }
}
