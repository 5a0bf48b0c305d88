import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { type Digest, ImageLayout, unpackImage } from '@vouchsafe/image'
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
}

export interface Machine {
  /** Its lines are its log, which the machine's operator reads. */
  readonly workload: JsonProcess
  readonly stop: () => Promise<void>
}

/**
 * A simulated machine of USleep’s operator: it unpacks an image, which verifies it against the digest, starts its
 * entrypoint as a process, and vouches for that digest on a socket that only this process is told of. On real hardware
 * the launcher measures the image and the attestation service believes the measurement; here the simulator’s authority
 * believes this function, which is why everything under its root is class `simulated`.
 */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { directory, layout, digest, authority, instance, accounts } = options
  mkdirSync(directory, { mode: 0o700 })
  const root = path.join(directory, 'root')
  const { image } = await unpackImage(await ImageLayout.open(layout), digest, root)
  const { entrypoint, args } = image.config.execution
  const vouchedFor: SimulatedWorkload = {
    instance,
    accounts,
    image: { reference: `usleep@${digest}`, digest },
    args: [...entrypoint, ...args],
    env: {},
    overrides: { args: [], env: {} },
    debug: false,
  }
  const tokens = await startTokenSocket(authority, vouchedFor, path.join(directory, 'token.sock'))
  const program = [...entrypoint, ...args].map((name) => path.join(root, name))
  const workload = new JsonProcess(program, { cwd: root, env: { TOKEN_SOCKET: tokens.address } })
  const stop = async () => {
    await workload.stop()
    await tokens.close()
  }
  return { workload, stop }
}
