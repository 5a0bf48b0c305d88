import { mkdir, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { GuestClient, sealResult } from '@vouchsafe/client'
import { type Agreement, VouchsafeError, parseAgreement, toBase64Url } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Launch } from '@vouchsafe/tpm/eventlog'
import { Attester } from './attester/attester.ts'
import { enrol } from './attester/enrol.ts'
import { HardwareAttester, refuseEnrolment } from './attester/hardware-attester.ts'
import { PlatformAttester } from './attester/platform-attester.ts'
import { type Config, read, readTickets } from './config.ts'
import { kernelTsm } from './devices/configfs-tsm.ts'
import { AgentError } from './errors.ts'
import type { Emit } from './events.ts'
import { measureLaunch } from './launch/measure-launch.ts'
import { planLaunch } from './launch/plan-launch.ts'
import { BrokerSession } from './session/broker-session.ts'
import { Checkpoints } from './session/checkpoints.ts'
import { type OwnersRelease, discard, gatherReleases, resourcesOf } from './session/gather.ts'
import { Container } from './workload/container.ts'
import { MemoryFile, layOut } from './workload/handover.ts'
import { type ReleasedInput, prepareInputs } from './workload/inputs.ts'
import { ownProcessName } from './workload/own-process.ts'
import { readResult } from './workload/result.ts'
import { findTools } from './workload/tools.ts'
import { WorkloadImage } from './workload/workload-image.ts'
import { type Workspace, newWorkspace, removeLeftovers } from './workload/workspace.ts'

const MAX_AGREEMENT_FILE = 256 * 1024

/** Enrols this machine with every broker of the agreement for which there is a ticket. */
export async function enrolMachine(
  config: Config,
  ticketsFile: string,
  emit: Emit,
  signal: AbortSignal,
): Promise<void> {
  if (config.evidence !== 'tpm') refuseEnrolment(config.evidence)
  const agreement = await readAgreement(config)
  const tickets = await readTickets(ticketsFile)
  const stranger = [...tickets.keys()].find((owner) => !agreement.body.owners.some((o) => o.id === owner))
  if (stranger !== undefined)
    throw new AgentError('config.malformed', `tickets: ${stranger} is no party to the agreement`)
  const attester = new Attester(config)
  const checkpoints = await openCheckpoints(config)
  for (const { id, broker } of agreement.body.owners) {
    const ticket = tickets.get(id)
    if (ticket === undefined) continue
    signal.throwIfAborted()
    const client = new GuestClient(broker, { timeoutMs: config.timeoutSeconds * 1000 })
    using _hangUp = onAbort(signal, () => client.close())
    try {
      const enrolled = await enrol(attester, client, ticket)
      await checkpoints.advance(broker, { checkpoint: enrolled.checkpoint, consistency: [] })
      emit({ event: 'enrolled', owner: id, machine: enrolled.machine, class: enrolled.class })
    } finally {
      client.close()
      ticket.wipe()
    }
  }
}

/**
 * Runs the agreement's workload once: unpack and verify the image, measure the launch, attest to every broker, collect
 * everything, run, seal the result. Each step ends the run when it fails, and nothing that was released outlives it.
 */
export async function runWorkload(config: Config, emit: Emit, signal: AbortSignal): Promise<void> {
  const agreement = await readAgreement(config)
  assertDataIsGranted(config, agreement)
  const tools = findTools()
  for (const container of await removeLeftovers(config.workspace, tools)) emit({ event: 'leftover.removed', container })
  const isolation = process.getuid?.() === 0 ? 'runc' : 'runc-rootless'
  const launch = planLaunch(agreement, config.overrides, isolation)
  const workspace = await newWorkspace(config.workspace)
  try {
    // what can be refused without asking anybody is refused first; some images need their owners
    using image = await WorkloadImage.open({ config, agreement, launch, emit, signal }, workspace.bundle)
    const { machine, collect } = await prepareEvidence(config, launch)
    emit({ event: 'launch.measured', agreement: agreement.digest, image: launch.image, isolation })
    const checkpoints = await openCheckpoints(config)
    const sessions = agreement.body.owners
      .filter((owner) => resourcesOf(agreement, owner.id).length > 0)
      .map(
        (owner) =>
          new BrokerSession({
            owner,
            client: new GuestClient(owner.broker, { timeoutMs: config.timeoutSeconds * 1000 }),
            agreement,
            machine,
            collect,
            checkpoints,
            signal,
          }),
      )
    using _hangUp = onAbort(signal, () => sessions.forEach((session) => session.close()))
    try {
      const waitMs = config.waitSeconds * 1000
      const releases = await gatherReleases({ agreement, sessions, machine, waitMs, emit, signal })
      await compute({ config, agreement, launch, machine, image, workspace, emit, signal }, releases)
    } finally {
      for (const session of sessions) session.close()
    }
  } finally {
    await workspace.remove()
  }
}

/** Measures or states the launch, and gives what every request is answered with from then on. */
async function prepareEvidence(config: Config, launch: Launch) {
  if (config.evidence === 'cpu') {
    const cpu = new HardwareAttester(kernelTsm(config.tsm), config.ccel)
    const launchLog = cpu.launchLog(launch)
    return { machine: await cpu.machine(), collect: (binding: Uint8Array) => cpu.collect(binding, launchLog) }
  }
  if (config.evidence !== 'tpm') {
    const vtpm = new PlatformAttester(config, { cloud: config.evidence, tsm: kernelTsm(config.tsm) })
    const launchLog = await vtpm.withTpm((tpm) => measureLaunch(tpm, launch))
    return { machine: await vtpm.machine(), collect: (binding: Uint8Array) => vtpm.collect(binding, launchLog) }
  }
  const attester = new Attester(config)
  const { machine } = await attester.identity()
  const launchLog = await attester.withTpm((tpm) => measureLaunch(tpm, launch))
  return { machine, collect: (binding: Uint8Array) => attester.collect(binding, launchLog) }
}

interface Run {
  readonly config: Config
  readonly agreement: Agreement
  readonly launch: Launch
  readonly machine: string
  readonly image: WorkloadImage
  readonly workspace: Workspace
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** From everything released to a sealed result. Whatever ends it, secrets are wiped and the container is gone. */
async function compute(run: Run, releases: readonly OwnersRelease[]): Promise<void> {
  const files: MemoryFile[] = []
  const lost = new AbortController()
  for (const { keeper } of releases) void keeper.ended.then((why) => lost.abort(why))
  try {
    // a pull may take longer than a lease, and what is opened or started after it ended had no right to be
    const user = await run.image.unpack(run.workspace.bundle, releases, lost.signal)
    const newFile = () => {
      const file = new MemoryFile(ownProcessName(), user)
      files.push(file)
      return file
    }
    const released = inputsOf(run.config, releases).filter(({ name }) => !run.image.resources.has(name))
    const inputs = await prepareInputs(released, newFile)
    const result = newFile()
    lost.signal.throwIfAborted()
    await runContainer(run, releases, layOut(inputs, result, newFile))
    await sealResults(run, releases, readResult(result, run.agreement.body.result.minimumCount))
  } catch (error) {
    lost.signal.throwIfAborted() // the lease is why it ended, and not what broke off for it
    throw error
  } finally {
    for (const file of files) file.close()
    discard(releases)
  }
}

function inputsOf(config: Config, releases: readonly OwnersRelease[]): readonly ReleasedInput[] {
  return releases.flatMap(({ session, secrets }) =>
    Array.from(secrets, ([resource, secret]) => {
      const name = `${session.owner.id}/${resource}`
      const dataFile = config.data[name]
      return { name, secret, ...(dataFile === undefined ? {} : { dataFile }) }
    }),
  )
}

/** Runs the workload to its end, unless a lease or the operator's patience ends first: then it is killed (decision 12). */
async function runContainer(run: Run, releases: readonly OwnersRelease[], fds: readonly number[]): Promise<void> {
  const { launch, workspace, emit, signal } = run
  const { bundle, stateRoot } = workspace
  const id = path.basename(workspace.directory)
  signal.throwIfAborted()
  const container = await Container.start({ tools: findTools(), id, bundle, stateRoot, launch, fds })
  try {
    const { image, isolation } = launch
    emit({ event: 'workload.started', image, container: id, isolation, limited: isolation === 'runc' })
    const over = await firstOf(container.ended, releases, signal)
    if (typeof over !== 'number') {
      await container.kill()
      emit({ event: 'workload.killed', why: over instanceof VouchsafeError ? over.code : 'interrupted' })
      throw over
    }
    emit({ event: 'workload.ended', status: over })
    if (over !== 0) throw new AgentError('workload.failed', `the workload ended with status ${over}`)
  } finally {
    await container.kill()
    await container.remove()
  }
}

/** Whichever comes first: the workload's status, the end of a lease, or the signal to stop. */
async function firstOf(
  ended: Promise<number>,
  releases: readonly OwnersRelease[],
  signal: AbortSignal,
): Promise<number | Error> {
  const { promise: aborted, resolve } = Promise.withResolvers<Error>()
  using _stop = onAbort(signal, () => resolve(new AgentError('interrupted', 'the agent was told to stop')))
  return await Promise.race([ended, aborted, ...releases.map(({ keeper }) => keeper.ended)])
}

/** Calls `act` when the signal comes, until disposed of. */
function onAbort(signal: AbortSignal, act: () => void): Disposable {
  signal.addEventListener('abort', act, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', act) }
}

/** One file a recipient, and nothing in the clear. */
async function sealResults(run: Run, releases: readonly OwnersRelease[], result: Uint8Array): Promise<void> {
  const { config, agreement, machine, emit } = run
  const decisions = Object.fromEntries(releases.map(({ session, decision }) => [session.owner.id, decision]))
  await mkdir(config.results, { recursive: true, mode: 0o700 })
  for (const { id, key } of agreement.body.result.recipients) {
    // a recipient who is an owner finds this key in their own broker's record of the attestation
    const signer = releases.find(({ session }) => session.owner.id === id) ?? releases[0]
    if (signer === undefined) throw new VouchsafeError('internal', 'a result without a release')
    const content = { agreement: agreement.digest, machine, recipient: id, decisions, result: toBase64Url(result) }
    const sealed = await sealResult(content, key, signer.proofKey)
    const file = path.join(config.results, `${id}.jwe`)
    await writeFile(`${file}.new`, sealed, { mode: 0o600 })
    await rename(`${file}.new`, file)
    emit({ event: 'result.sealed', recipient: id, file })
  }
  result.fill(0)
}

async function readAgreement(config: Config): Promise<Agreement> {
  return parseAgreement(await read(config.agreement, MAX_AGREEMENT_FILE), nodeCrypto)
}

/** A data file that no grant is the key of would silently be left out. */
function assertDataIsGranted(config: Config, agreement: Agreement): void {
  const granted = agreement.body.owners.flatMap(({ id }) => resourcesOf(agreement, id).map((path) => `${id}/${path}`))
  const stray = Object.keys(config.data).find((name) => !granted.includes(name))
  if (stray !== undefined) throw new AgentError('data.missing', `data ${stray}: the agreement grants no such resource`)
}

function openCheckpoints(config: Config): Promise<Checkpoints> {
  return Checkpoints.open(path.join(config.state, 'checkpoints.json'))
}
