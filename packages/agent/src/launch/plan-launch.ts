import type { Agreement } from '@vouchsafe/core'
import { loadsCode } from '@vouchsafe/image'
import type { Launch, LaunchIsolation, LaunchNetwork, LaunchOutput } from '@vouchsafe/tpm/eventlog'
import { AgentError } from '../errors.ts'

/**
 * What an operator may ask to be other than agreed. All of it is measured as it is launched, so the brokers see it and
 * decide; nothing here hides anything from them (H14). Mounts, capabilities and devices cannot be asked for at all.
 */
export interface LaunchOverrides {
  /** Digest of the image's manifest. */
  readonly image?: string
  /** The whole argument vector, in place of the agreed one. */
  readonly args?: readonly string[]
  /** Added to the agreed variables; a name given here replaces the agreed value. */
  readonly env?: Readonly<Record<string, string>>
  /** Without system call filter, and with standard output and error open. */
  readonly debug?: boolean
  readonly network?: LaunchNetwork
  readonly output?: LaunchOutput
}

/**
 * What will be launched: the agreement's word, where the operator does not ask for something else.
 *
 * @throws {AgentError} `launch.override` for a variable whose value is as good as code (H15): the deny list stands above
 *   whatever an agreement might allow.
 */
export function planLaunch(agreement: Agreement, overrides: LaunchOverrides, isolation: LaunchIsolation): Launch {
  const { workload, launch } = agreement.body
  for (const name of Object.keys(overrides.env ?? {})) {
    if (loadsCode(name))
      throw new AgentError(
        'launch.override',
        `variable ${name} can run code or move connections, so it is never passed on`,
      )
  }
  const image = overrides.image ?? workload.image
  return {
    agreement: agreement.digest,
    image,
    imageReference: image, // images are asked for by digest only (G03, H01)
    args: overrides.args ?? launch.args,
    env: { ...launch.env, ...overrides.env },
    debug: overrides.debug ?? launch.debug,
    network: overrides.network ?? launch.network,
    output: overrides.output ?? launch.output,
    restart: 'never',
    isolation,
    capabilities: [],
    mounts: [],
  }
}
