import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { VouchsafeError } from '@vouchsafe/core'
import { type Digest, ImageLayout, loadsCode, unpackImage } from '@vouchsafe/image'
import { JsonProcess } from '../../json-process.ts'
import { type SimulatedTokenAuthority, type SimulatedWorkload, startTokenSocket } from '@vouchsafe/simulator'

export interface MachineOptions {
  /** For the unpacked image and the token socket; made here, with a short path. */
  readonly directory: string
  readonly layout: string
  readonly digest: Digest
  readonly authority: SimulatedTokenAuthority
  /** Where and as whom it runs. What runs is read from the image. */
  readonly instance: SimulatedWorkload['instance']
  readonly accounts: readonly string[]
  /** Variables that the operator sets at launch: only those that the image's author allows. None unless told. */
  readonly variables?: Readonly<Record<string, string>>
  /** Folders of the operator's, by where they are to be seen: only where the author allows. None unless told. */
  readonly mounts?: Readonly<Record<string, string>>
  /** Where the workload's log goes when it ends: it outlives the machine. Nowhere unless told. */
  readonly logFile?: string
}

export interface Machine {
  /** Its lines are its log, which the machine's operator reads. */
  readonly workload: JsonProcess
  /** What the attestation service says of the workload, to whoever asks: a token for that audience. */
  readonly vouch: (audience: string, nonce: string) => Promise<string>
  /** Ends the machine, and leaves nothing of it but the log. */
  readonly stop: () => Promise<void>
}

/**
 * A simulated machine of USleep’s operator: it unpacks an image, which verifies it against the digest, starts its
 * entrypoint as a process, and vouches for that digest on a socket that only this process is told of. On real hardware
 * the launcher measures the image and the attestation service believes the measurement; here the simulator’s authority
 * believes this function, which is why everything under its root is class `simulated`.
 *
 * @throws {VouchsafeError} `appraisal.launch-environment`, `appraisal.launch-privileges` for what the image does not allow
 */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { directory, layout, digest, authority, instance, accounts, variables = {}, mounts = {}, logFile } = options
  mkdirSync(directory, { mode: 0o700 })
  const root = path.join(directory, 'root')
  const { image } = await unpackImage(await ImageLayout.open(layout), digest, root)
  const { entrypoint, args, labels } = image.config.execution
  assertAllowed(labels, variables, mounts)
  for (const [at, folder] of Object.entries(mounts)) symlinkSync(folder, path.join(root, at))
  const vouchedFor: SimulatedWorkload = {
    instance,
    accounts,
    image: { reference: `usleep@${digest}`, digest },
    args: [...entrypoint, ...args],
    env: {},
    overrides: { args: [], env: variables },
    debug: false,
  }
  const tokens = await startTokenSocket(authority, vouchedFor, path.join(directory, 'token.sock'))
  const program = [...entrypoint, ...args].map((name) => (name.startsWith('/') ? path.join(root, name) : name))
  const workload = new JsonProcess(program, { cwd: root, env: { ...variables, TOKEN_SOCKET: tokens.address } })
  const logged = workload.ended().then(() => {
    if (logFile !== undefined) writeFileSync(logFile, `${workload.output.join('\n')}\n`, { mode: 0o600 })
  })
  return {
    workload,
    vouch: (audience, nonce) => authority.mint(vouchedFor, { audience, nonces: [nonce] }),
    stop: async () => {
      await workload.stop()
      await logged
      await tokens.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** The image's author says what an operator may change; what is not named is refused, and so is what is as good as code. */
function assertAllowed(
  labels: ReadonlyMap<string, string>,
  variables: Readonly<Record<string, string>>,
  mounts: Readonly<Record<string, string>>,
): void {
  const listed = (label: string, by: string) => labels.get(`tee.launch_policy.${label}`)?.split(by) ?? []
  const [names, places] = [listed('allow_env_override', ','), listed('allow_mount_destinations', ':')]
  for (const name of Object.keys(variables))
    if (!names.includes(name) || loadsCode(name))
      throw new VouchsafeError('appraisal.launch-environment', `${name} may not be set on this image`)
  for (const place of Object.keys(mounts))
    if (!places.includes(place))
      throw new VouchsafeError('appraisal.launch-privileges', `nothing may be mounted at ${place} on this image`)
}
