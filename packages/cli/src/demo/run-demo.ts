import { VouchsafeError } from '@vouchsafe/core'
import { EXIT } from '../output.ts'
import { findLeaks } from './canary.ts'
import { DRILLS } from './drills/index.ts'
import type { DrillResult, Reporter } from './reporter.ts'
import { type Step, type StoryEnd, tellStory } from './story.ts'
import { World } from './world.ts'

/**
 * Runs the demo: the story, then the drills. Everything it starts is ended and everything it writes is removed, also on
 * Ctrl-C; two may run at once.
 *
 * @returns The exit status: 0 only if everything went as it must, refusals included.
 */
export async function runDemo(reporter: Reporter, seed = 'two-clinics'): Promise<number> {
  const world = new World()
  const interrupted = () => {
    void world.cleanup.run().then(() => process.exit(130))
  }
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  const steps: { id: string; ms: number }[] = []
  const drills: DrillResult[] = []
  let end: StoryEnd | null = null
  let failed = false
  const step: Step = async (id, title, run) => {
    const began = performance.now()
    const [value, detail] = await run()
    const ms = Math.round((performance.now() - began) * 10) / 10
    steps.push({ id, ms })
    reporter.step(id, title, ms, detail)
    return value
  }
  reporter.opening()
  try {
    end = await tellStory(world, step, seed)
    for (const drill of DRILLS) {
      const began = performance.now()
      const card = await drill.run(end.drills)
      const result = { id: drill.id, title: drill.title, ok: card.code === drill.mustRefuseWith, ...card }
      drills.push(result)
      reporter.drill(result, Math.round((performance.now() - began) * 10) / 10)
    }
    await step(
      'canary',
      'The data keys are looked for in every file, log, database and process, and found nowhere',
      async () => {
        const { leaks, searched } = findLeaks(world.canaries, world.directory)
        if (world.canaries.length === 0 || leaks.length > 0)
          throw new VouchsafeError('internal', `a data key lies in clear in ${leaks.map((l) => l.where).join(', ')}`)
        return [undefined, { searched }]
      },
    )
  } catch (error) {
    failed = true
    const next = DRILLS[drills.length]?.id
    const where =
      end === null
        ? `after step ${steps.at(-1)?.id ?? 'none'}`
        : next === undefined
          ? 'after the drills'
          : `drill ${next}`
    reporter.failed(where, error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    await world.cleanup.run()
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
  }
  const ledgers = end?.ledgers ?? []
  const ok =
    !failed &&
    drills.length === DRILLS.length &&
    drills.every((d) => d.ok) &&
    ledgers.length === 2 &&
    ledgers.every((l) => l.ok)
  reporter.closing({ ok, answer: end?.answer ?? null, steps, drills, ledgers })
  return ok ? EXIT.yes : EXIT.no
}
