import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { dataRecipient, encryptDataFile, generateDataKey, openResult, verifyMaker } from '@vouchsafe/client'
import {
  type Agreement,
  VouchsafeError,
  checkLedger,
  parseLogKey,
  parseStrictJson,
  replayRecord,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { SimulatorManufacturer } from '@vouchsafe/simulator'
import { agentEvent, enrolAgent } from './agent-process.ts'
import type { DrillContext } from './drills/drill.ts'
import { type Answer, type Clinic as Patients, twoClinics } from './patients.ts'
import { type Clinic, type World, approve, resourceOf, writeAgreement } from './world.ts'
import { WORKLOAD_ARGS, buildWorkloadImage } from './workload-image.ts'

const AGENT_MS = 60_000

/** Runs one step and tells it, with the time that it took. */
export type Step = <T>(
  id: string,
  title: string,
  run: () => Promise<readonly [T, Readonly<Record<string, unknown>>]>,
) => Promise<T>

export interface StoryEnd {
  readonly answer: Answer
  readonly ledgers: readonly { readonly owner: string; readonly entries: number; readonly ok: boolean }[]
  readonly drills: DrillContext
}

/** From two clinics that know nothing of each other's patients to one number that both may know. */
export async function tellStory(world: World, step: Step, seed: string): Promise<StoryEnd> {
  const patients = twoClinics(seed)
  world.agentProgram().catch(() => {}) // begun now, awaited where an agent starts
  const manufacturer = SimulatorManufacturer.create()
  const guest = await step('guest', 'The operator boots a guest with a software TPM', async () => {
    const started = await world.startGuest({ manufacturer })
    return [started, { tpm: started.machine.tpm }]
  })
  const [a, b] = await step('brokers', 'Each clinic starts a broker of its own', async () => {
    const clinics = await Promise.all([
      world.startClinic('clinic-a', 'Clinic A', manufacturer.certificate),
      world.startClinic('clinic-b', 'Clinic B', manufacturer.certificate),
    ])
    return [clinics, Object.fromEntries(clinics.map((c) => [c.id, c.pin.url]))]
  })
  const layout = world.file('image')
  const image = await step('image', 'The workload’s image is built, the same bytes for everybody', async () => {
    const digest = await buildWorkloadImage(layout)
    return [digest, { digest }]
  })
  const agreement = await step(
    'agreement',
    'The clinics file one agreement: image, launch, boot state, grants, recipients',
    async () => {
      const written = writeAgreement(world, [a, b], image, WORKLOAD_ARGS, guest.pins())
      for (const { owner } of [a, b]) await owner.proposeAgreement(written.bytes)
      return [written, { digest: written.digest }]
    },
  )
  const data = await step(
    'encrypt',
    'Each clinic encrypts its patients, and gives the key to its own broker',
    async () => {
      const files = Object.fromEntries(
        await Promise.all([encryptPatients(world, a, patients.a), encryptPatients(world, b, patients.b)]),
      )
      return [files, { 'clinic-a': `${patients.a.rows} patients`, 'clinic-b': `${patients.b.rows} patients` }]
    },
  )
  await step('approve-a', 'Clinic A approves', async () => [await approve(a, agreement, [a, b]), {}])
  const agent = await step('enrol', 'The guest enrols its TPM with both brokers', async () => {
    return [await enrolAgent(world, [a, b], { name: 'guest', guest, layout, data }), {}]
  })
  const run = agent.run()
  await step('denied', 'The guest launches, attests and asks: not yet', async () => {
    const waiting = await run.line((line) => agentEvent(line, 'release.waiting'), AGENT_MS)
    const decision = String(waiting['decision'])
    const owner = waiting['owner'] === a.id ? a : b
    const why = await explainWaiting(owner, decision)
    if (waiting['code'] !== 'agreement.waiting')
      throw new VouchsafeError('internal', `the guest was told ${String(waiting['code'])}`)
    return [undefined, { 'the guest sees': `${String(waiting['code'])} ${decision}`, [`${owner.name}’s why`]: why }]
  })
  await step('approve-b', 'Clinic B approves', async () => [await approve(b, agreement, [a, b]), {}])
  await step('released', 'The guest attests again; each broker releases its own key', async () => {
    const decisions: Record<string, unknown> = {}
    for (const { id } of [a, b])
      decisions[id] = (await run.line((line) => agentEvent(line, 'release.granted', id), AGENT_MS))['decision']
    return [undefined, decisions]
  })
  const answer = await step(
    'answer',
    'The workload runs in its container, and seals its answer to the recipient',
    async () => {
      await run.line((line) => agentEvent(line, 'result.sealed'), AGENT_MS)
      await run.exited()
      const got = await readAnswer(world, agent.results, agreement, a)
      if (JSON.stringify(got) !== JSON.stringify(patients.answer))
        throw new VouchsafeError(
          'internal',
          `the answer is ${JSON.stringify(got)}, wanted ${JSON.stringify(patients.answer)}`,
        )
      return [got, { 'patients of both': got.count, 'mean systolic pressure': got.mean }]
    },
  )
  const ledgers = await step('audit', 'An auditor checks both ledgers offline', async () => {
    const checked = await Promise.all([a, b].map((clinic) => audit(world, clinic)))
    return [
      checked,
      Object.fromEntries(
        checked.map((l) => [l.owner, `${l.entries} entries, ${l.ok ? 'consistent' : 'NOT consistent'}`]),
      ),
    ]
  })
  return { answer, ledgers, drills: { world, a, b, agreement, manufacturer, layout, data } }
}

async function encryptPatients(world: World, clinic: Clinic, patients: Patients): Promise<readonly [string, string]> {
  const key = await generateDataKey()
  const plain = new Blob([patients.csv]).stream()
  const encrypted = await encryptDataFile(plain as ReadableStream<Uint8Array>, await dataRecipient(key))
  const file = world.file(`${clinic.id}-patients.age`)
  writeFileSync(
    file,
    new Uint8Array(await new Response(encrypted as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer()),
  )
  await clinic.owner.putResource(resourceOf(clinic), key.expose(), 0)
  world.canaries.push(key)
  return [`${clinic.id}/${resourceOf(clinic)}`, file]
}

/** What the owner's `why` says, computed again from the record. */
async function explainWaiting(clinic: Clinic, decision: string): Promise<string> {
  const { record } = await clinic.owner.decision(decision)
  const { verdict, reproduced, signed } = await replayRecord(record, clinic.pin.decisions, nodeCrypto)
  if (!reproduced || signed !== true) throw new VouchsafeError('internal', 'the recorded decision does not replay')
  return verdict.reasons[0]?.actual ?? verdict.kind
}

/**
 * Opens the answer as its recipient, clinic A, would: it must be signed by the very key that A's own broker recorded as
 * attested when it released A's patients.
 */
async function readAnswer(world: World, results: string, agreement: Agreement, recipient: Clinic): Promise<Answer> {
  const [file] = readdirSync(results)
  if (file === undefined) throw new VouchsafeError('internal', 'the agent left no result')
  const sealed = readFileSync(path.join(results, file), 'utf8').trim()
  const opened = await openResult(
    sealed,
    { agreement: agreement.digest, recipient: recipient.id },
    world.recipient.privateKey,
  )
  const { record } = await recipient.owner.decision(opened.decisions[recipient.id] ?? '')
  await verifyMaker(opened, record, recipient.pin.decisions)
  return parseStrictJson(opened.text, { maxBytes: 65_536 }) as unknown as Answer
}

/** The auditor has the exported file and the log's key from the agreement, and nothing else. */
async function audit(world: World, clinic: Clinic) {
  const file = world.file(`${clinic.id}.ledger.jsonl`)
  writeFileSync(file, await clinic.owner.exportLedger())
  const check = await checkLedger(readFileSync(file, 'utf8').trimEnd().split('\n'), {
    logKey: parseLogKey(clinic.pin.log, nodeCrypto),
    crypto: nodeCrypto,
  })
  return { owner: clinic.id, entries: check.entries, ok: check.ok }
}
