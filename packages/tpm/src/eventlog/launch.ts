import { TpmError } from '../codec/errors.ts'
import type { HashName, VerifyCrypto } from '../verify/crypto.ts'
import { CEL_CONTENT } from './cel-record.ts'
import type { CelLog, CelRecord } from './cel-record.ts'
import { decodeLaunchEvent, encodeLaunchEvent } from './launch-event.ts'
import type { LaunchEvent, LaunchIsolation, LaunchNetwork, LaunchOutput, LaunchRestart } from './launch-event.ts'
import { contentDigest } from './replay-cel.ts'
import type { RegisterSpace } from './tcg-log.ts'
import { celRecord } from './write-cel.ts'

/** Where launch events go: PCR 13, or RTMR3 of a confidential guest without TPM. */
export const LAUNCH_REGISTER = { pcr: 13, ccmr: 4 } as const satisfies Record<RegisterSpace, number>

/** What was launched. Every member was measured: there is no default for one that is missing. */
export interface Launch {
  /** `sha256:…` of the agreement under which it runs. */
  readonly agreement: string
  /** `sha256:…` of the image's manifest. */
  readonly image: string
  /** The name the image was asked for by. */
  readonly imageReference: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly debug: boolean
  readonly network: LaunchNetwork
  readonly output: LaunchOutput
  readonly restart: LaunchRestart
  readonly isolation: LaunchIsolation
  readonly capabilities: readonly string[]
  readonly mounts: readonly string[]
}

/**
 * Reads what was launched from a log whose replay was compared with attested registers. Checks that each record was
 * measured as it stands, is of the launch register and of our content type; that each fact is there exactly once; and that
 * exactly one separator closes the log.
 *
 * @param bank - The bank that was attested: contents are proved by its digests.
 * @throws {TpmError} `evidence.log` naming the record and what is wrong with it, or the fact that is missing.
 */
export function readLaunch(log: CelLog, bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>): Launch {
  const facts = new Map<string, LaunchEvent>()
  log.forEach((record, i) => {
    if (facts.has('separator')) throw refused(`record ${i} comes after the separator`)
    contentDigest(record, i, bank, crypto)
    const event = launchEventOf(record, i)
    const key = event.kind === 'env' ? `env ${event.name}` : event.kind
    if (facts.has(key)) throw refused(`record ${i} measures ${key} a second time`)
    facts.set(key, event)
  })
  return launchOf(facts)
}

/** The events of a launch in the order in which they are measured, the separator last. */
export function launchEvents(launch: Launch): readonly LaunchEvent[] {
  const { agreement, image, imageReference, args, env, debug, network, output, restart, isolation } = launch
  return [
    { kind: 'agreement', value: agreement },
    { kind: 'image', value: image },
    { kind: 'image-reference', value: imageReference },
    { kind: 'args', value: args },
    // sorted: the order of a record's members is no fact of the launch, and the register must not depend on it
    ...Object.entries(env)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]): LaunchEvent => ({ kind: 'env', name, value })),
    { kind: 'debug', value: debug },
    { kind: 'network', value: network },
    { kind: 'output', value: output },
    { kind: 'restart', value: restart },
    { kind: 'isolation', value: isolation },
    { kind: 'capabilities', value: launch.capabilities },
    { kind: 'mounts', value: launch.mounts },
    { kind: 'separator' },
  ]
}

/** The record of one launch event: its digests extend the launch register, then it is appended to the log. */
export function launchRecord(
  event: LaunchEvent,
  space: RegisterSpace,
  banks: readonly HashName[],
  crypto: Pick<VerifyCrypto, 'digest'>,
): CelRecord {
  const content = { type: CEL_CONTENT.launch, value: encodeLaunchEvent(event) }
  return celRecord({ space, register: LAUNCH_REGISTER[space] }, content, banks, crypto)
}

function launchEventOf({ space, register, content }: CelRecord, i: number): LaunchEvent {
  if (register !== LAUNCH_REGISTER[space]) throw refused(`record ${i} is of ${space} ${register}`)
  if (content.type !== CEL_CONTENT.launch) throw refused(`record ${i} has a content of type ${content.type}`)
  try {
    return decodeLaunchEvent(content.value)
  } catch (cause) {
    throw new TpmError('evidence.log', `launch log: record ${i}: ${(cause as Error).message}`, { cause })
  }
}

function launchOf(facts: ReadonlyMap<string, LaunchEvent>): Launch {
  const fact = <K extends LaunchEvent['kind']>(kind: K) => {
    const event = facts.get(kind)
    if (event === undefined) throw refused(`no record measures ${kind}`)
    return event as Extract<LaunchEvent, { kind: K }>
  }
  fact('separator')
  const env = [...facts.values()].filter((event) => event.kind === 'env')
  return {
    agreement: fact('agreement').value,
    image: fact('image').value,
    imageReference: fact('image-reference').value,
    args: fact('args').value,
    env: Object.fromEntries(env.map(({ name, value }) => [name, value])),
    debug: fact('debug').value,
    network: fact('network').value,
    output: fact('output').value,
    restart: fact('restart').value,
    isolation: fact('isolation').value,
    capabilities: fact('capabilities').value,
    mounts: fact('mounts').value,
  }
}

function refused(why: string): TpmError {
  return new TpmError('evidence.log', `launch log: ${why}`)
}
