import { cpSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { agentEvent, enrolAgent } from '../agent-process.ts'
import type { RefusalCard } from '../reporter.ts'
import { buildWorkloadImage } from '../workload-image.ts'
import { type Drill, type DrillContext, cardOf } from './drill.ts'

/** Launches on a fresh guest, otherwise than agreed, with the product's own agent; the brokers see what was measured. */
async function launchOtherwise(
  context: DrillContext,
  name: string,
  layout: string,
  overrides: Readonly<Record<string, unknown>>,
): Promise<RefusalCard> {
  const { world, a, b, manufacturer, data } = context
  const guest = await world.startGuest({ manufacturer })
  const agent = await enrolAgent(world, [a, b], { name, guest, layout, data, overrides })
  const run = agent.run()
  const refused = await run.line(
    (line) => agentEvent(line, 'attest.refused') ?? agentEvent(line, 'refused') ?? agentEvent(line, 'workload.started'),
    60_000,
  )
  await run.exited()
  await guest.stop()
  if (refused['event'] !== 'attest.refused')
    return {
      code: 'none',
      check: 'none',
      expected: 'a refusal by the broker',
      actual: JSON.stringify(refused),
      advice: '',
    }
  const owner = refused['owner'] === a.id ? a : b
  return cardOf(owner, typeof refused['decision'] === 'string' ? refused['decision'] : null)
}

/**
 * Two halves. A blob is changed and keeps its name: the agent, which checks every byte by digest, refuses to unpack it.
 * Then the changed image gets an honest digest of its own: the agent measures that, and the brokers refuse.
 */
export const imageByte: Drill = {
  id: 'image-byte',
  title: 'One byte of the image is changed',
  mustRefuseWith: 'appraisal.image',
  run: async (context) => {
    const kept = await changedUnderKeptDigest(context)
    const { world } = context
    const layout = world.file('changed-image')
    const image = await buildWorkloadImage(layout, (script) => script.replace('let count = 0', 'let count = 1'))
    const card = await launchOtherwise(context, 'changed-image-guest', layout, { image })
    return kept === null ? card : { ...card, code: 'none', actual: kept }
  },
}

/** Null when the agent refused as it must; else what happened instead. */
async function changedUnderKeptDigest(context: DrillContext): Promise<string | null> {
  const { world, a, b, manufacturer, data } = context
  const layout = world.file('flipped-image')
  cpSync(context.layout, layout, { recursive: true })
  flipOneByte(largestBlob(path.join(layout, 'blobs/sha256')))
  const guest = await world.startGuest({ manufacturer })
  const agent = await enrolAgent(world, [a, b], { name: 'flipped-image-guest', guest, layout, data })
  const run = agent.run()
  const event = await run.line(
    (line) =>
      agentEvent(line, 'refused') ?? agentEvent(line, 'attest.accepted') ?? agentEvent(line, 'workload.started'),
    60_000,
  )
  await run.exited()
  await guest.stop()
  const { code } = event
  return event['event'] === 'refused' && typeof code === 'string' && code.includes('digest')
    ? null
    : `the agent took the changed blob: ${JSON.stringify(event)}`
}

function largestBlob(directory: string): string {
  const blobs = readdirSync(directory).map((name) => path.join(directory, name))
  return blobs.toSorted((x, y) => statSync(y).size - statSync(x).size)[0] ?? directory
}

function flipOneByte(file: string): void {
  const bytes = readFileSync(file)
  const at = Math.floor(bytes.length / 2)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(file, bytes)
}

export const envOverride: Drill = {
  id: 'env-override',
  title: 'The operator overrides the environment',
  mustRefuseWith: 'appraisal.launch-environment',
  run: (context) =>
    launchOtherwise(context, 'env-override-guest', context.layout, { env: { OVERLAP_DEBUG: 'print-patients' } }),
}

export const debugLaunch: Drill = {
  id: 'debug-launch',
  title: 'The operator launches in debug mode',
  mustRefuseWith: 'appraisal.launch-debug',
  run: (context) => launchOtherwise(context, 'debug-guest', context.layout, { debug: true }),
}
