import type { Night, Verdict } from '../protocol.ts'

/** The limits; the sentences are made from them, so that the two cannot say different things. */
const LEAST = { totalMinutes: 480, lightPercent: 50, deepPercent: 20, remPercent: 20 } as const

/** What USleep says of a night: the first thing that is wrong with it, or praise. */
export function verdictOf(night: Night): Verdict {
  return { verdict: judge(night), asCodelab: judgeAsCodelab(night) }
}

function judge(night: Night): string {
  const { light, deep, rem, total } = minutesOf(night)
  if (total < LEAST.totalMinutes) return `total sleep time is less than ${LEAST.totalMinutes / 60} hours`
  for (const [stage, minutes, percent] of [
    ['light', light, LEAST.lightPercent],
    ['deep', deep, LEAST.deepPercent],
    ['rem', rem, LEAST.remPercent],
  ] as const)
    if (minutes * 100 < total * percent) return `${stage} sleep time is less than ${percent}% of total sleep time`
  return 'great sleep!'
}

/**
 * The same by the rules of the codelab that this example comes from, for readers who compare. Its first comparison is
 * reversed (it calls more than eight hours less than eight), and two of its sentences say 25 % where it measures 20 %.
 */
function judgeAsCodelab(night: Night): string {
  const { light, deep, rem, total } = minutesOf(night)
  if (total > 480) return 'total sleep time is less than 8 hours'
  if (light / total < 0.5) return 'light sleep time is less than 50% of total sleep time'
  if (deep / total < 0.2) return 'deep sleep time is less than 25% of total sleep time'
  if (rem / total < 0.2) return 'rem sleep time is less than 25% of total sleep time'
  return 'great sleep!'
}

function minutesOf({ sleep }: Night) {
  const [light, deep, rem] = [sleep.light.minutes, sleep.deep.minutes, sleep.rem.minutes]
  return { light, deep, rem, total: light + deep + rem }
}
