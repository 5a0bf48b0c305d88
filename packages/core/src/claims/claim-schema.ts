import { LAUNCH_ISOLATIONS, LAUNCH_NETWORKS, LAUNCH_OUTPUTS, LAUNCH_RESTARTS } from '@vouchsafe/tpm/eventlog'
import { ASSURANCE_CLASSES, type Claims, EVIDENCE_FORMATS, PLATFORM_VENDORS } from './claims.ts'

/**
 * What a claim is good for. A `fact` was measured or vouched for. A `name` only tells things apart: whoever runs the
 * machine chooses it, so it may narrow a condition and never carries one alone (F18).
 */
export type ClaimWeight = 'fact' | 'name'

interface Described {
  readonly meaning: string
}
interface Leaf extends Described {
  readonly weight: ClaimWeight
}
export interface TextClaim extends Leaf {
  readonly kind: 'text'
  /** All values that there are; left out where any text may stand. */
  readonly values?: readonly string[]
}
export interface FlagClaim extends Leaf {
  readonly kind: 'flag'
}
export interface IntegerClaim extends Leaf {
  readonly kind: 'integer'
}
export interface ListClaim extends Leaf {
  readonly kind: 'list'
  readonly of: TextClaim
}
export interface MapClaim extends Leaf {
  readonly kind: 'map'
  /** The keys that are always there. Empty where each may be missing. */
  readonly keys: readonly string[]
  readonly of: TextClaim
}
export interface ObjectClaim extends Described {
  readonly kind: 'object'
  readonly members: Readonly<Record<string, ClaimType>>
}
export type ClaimType = TextClaim | FlagClaim | IntegerClaim | ListClaim | MapClaim | ObjectClaim

/** The description that fits a type: a claim that is added to `Claims` and not described here does not compile. */
type DescriptionOf<T> = [T] extends [string]
  ? TextClaim & ([string] extends [T] ? unknown : { readonly values: readonly T[] })
  : [T] extends [boolean]
    ? FlagClaim
    : [T] extends [number]
      ? IntegerClaim
      : [T] extends [readonly string[]]
        ? ListClaim
        : string extends keyof T
          ? MapClaim
          : Described & {
              readonly kind: 'object'
              readonly members: { readonly [K in keyof T]-?: DescriptionOf<T[K]> }
            }

const text = (weight: ClaimWeight, meaning: string): TextClaim => ({ kind: 'text', weight, meaning })
const oneOf = <const V extends readonly string[]>(values: V, meaning: string) =>
  ({ kind: 'text', weight: 'fact', values, meaning }) as const
const flag = (meaning: string): FlagClaim => ({ kind: 'flag', weight: 'fact', meaning })
const integer = (meaning: string): IntegerClaim => ({ kind: 'integer', weight: 'fact', meaning })
const list = (meaning: string): ListClaim => ({
  kind: 'list',
  weight: 'fact',
  meaning,
  of: text('fact', 'one of them'),
})
const object = <const M extends Record<string, object>>(meaning: string, members: M) =>
  ({ kind: 'object', meaning, members }) as const

/**
 * Every claim that policies can name, with its type and what it means. The one source: policies are checked against it
 * before they are accepted, claims before policies read them, and `docs/reference/claims.md` is made from it.
 */
export const CLAIM_SCHEMA: DescriptionOf<Claims> & ObjectClaim = object('What the verified evidence says.', {
  format: oneOf(EVIDENCE_FORMATS, 'The evidence format.'),
  class: oneOf(ASSURANCE_CLASSES, 'How much the anchor of the evidence lets one conclude, strongest first.'),
  simulated: flag('True exactly when the class is `simulated`.'),
  hostExcluded: flag(
    'Whether the hardware keeps host and hypervisor out of the guest’s memory. A TPM alone never does.',
  ),
  machine: text(
    'name',
    'The machine: `tpm:…` as enrolled, `snp:…` or `tdx:…` by its chip, `azure:…` or `gce:…` by its vTPM’s key and last reset.',
  ),
  anchor: text(
    'name',
    'The trust anchor in which the chain ends, by the name that its broker gave it; of several, the weakest.',
  ),
  anchors: {
    kind: 'list',
    weight: 'name',
    meaning: 'Every trust anchor that the evidence rests on: a cloud’s vTPM may have one beside its CPU’s.',
    of: text('name', 'one of them'),
  },
  boot: object('How the machine was started.', {
    registers: {
      kind: 'map',
      weight: 'fact',
      meaning: 'SHA-256 registers by number, lower-case hexadecimal. Empty texts where there is no TPM.',
      keys: Array.from({ length: 16 }, (_, n) => String(n)),
      of: text('fact', 'a register’s value'),
    },
    resetCount: integer('Times the machine was reset, as the TPM counts them.'),
    restartCount: integer('Times the machine was restarted from sleep, as the TPM counts them.'),
  }),
  platform: object('What a CPU says of itself and of the guest on it. Empty, or the worse, where only a TPM speaks.', {
    vendor: oneOf(PLATFORM_VENDORS, 'Who made the CPU; `none` where only a TPM speaks.'),
    family: text('fact', 'Product line: `Milan`, `Genoa`, `Turin`; FMSPC on Intel.'),
    chip: text('name', 'CHIP_ID or PPID, lower-case hexadecimal; `hidden` where the host hides it.'),
    firmware: text('fact', 'Firmware that runs the guests: `1.55.29` on AMD, TEE_TCB_SVN on Intel.'),
    microcode: integer('Security version of the microcode: MICROCODE on AMD, the first TCB component on Intel.'),
    tcbStatus: text('fact', 'AMD: `committed` or `provisional`. Intel: `UpToDate`, `OutOfDate` and so on.'),
    advisories: list('Advisories that the vendor’s collateral names for this platform.'),
    tcbDate: text('fact', 'When the platform’s TCB was current, by Intel’s collateral; empty where nobody says.'),
    measurement: text('fact', 'Of the guest’s initial memory: MEASUREMENT on SNP, MRTD on TDX.'),
    hostMayInspect: flag('Whether whoever runs the machine can read or change the guest. Always true of a TPM alone.'),
    fields: {
      kind: 'map',
      weight: 'fact',
      meaning: 'What was measured or vouched for, field by field, in the vendor’s spelling: `RTMR1`, `POLICY.SMT`.',
      keys: [],
      of: text('fact', 'a field’s value'),
    },
    hostChosen: {
      kind: 'map',
      weight: 'name',
      meaning:
        'What the host chose, in the vendor’s spelling: `HOST_DATA`, `MRCONFIGID`. It narrows and never carries.',
      keys: [],
      of: text('name', 'a field’s value'),
    },
  }),
  launch: object('What the launcher measured before it started the workload.', {
    agreement: text('fact', 'The agreement under which the workload runs, `sha256:…`.'),
    image: text('fact', 'Digest of the image’s manifest that was unpacked, `sha256:…`.'),
    imageReference: text(
      'name',
      'The name by which the image was asked for. Says nothing of what runs: `launch.image` does.',
    ),
    args: list('The whole argument vector, first word included.'),
    env: {
      kind: 'map',
      weight: 'fact',
      meaning: 'Variables that were set beside those of the image. A variable that is not here was not set.',
      keys: [],
      of: text('fact', 'a variable’s value'),
    },
    debug: flag('Whether the workload runs in debug mode.'),
    network: oneOf(LAUNCH_NETWORKS, 'The workload’s network.'),
    output: oneOf(LAUNCH_OUTPUTS, 'Where standard output and error go.'),
    restart: oneOf(LAUNCH_RESTARTS, 'When the workload is started again.'),
    isolation: oneOf(LAUNCH_ISOLATIONS, 'What keeps the workload apart from the agent.'),
    capabilities: list('Linux capabilities of the workload, sorted.'),
    mounts: list('What of outside is mounted into the workload, `source:destination:options`, sorted.'),
  }),
})
