import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Turns } from './turns.ts'

test('tasks run one at a time and in order, also when some fail or take long', async () => {
  const turns = new Turns()
  const log: string[] = []
  const task = (name: string, pause: number, fails = false) =>
    turns.take(async () => {
      log.push(`${name} starts`)
      await setTimeout(pause)
      log.push(`${name} ends`)
      if (fails) throw new Error(name)
      return name
    })
  const outcomes = await Promise.allSettled([task('a', 10), task('b', 1, true), task('c', 5), task('d', 0)])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  expect(log).toEqual(['a', 'b', 'c', 'd'].flatMap((name) => [`${name} starts`, `${name} ends`]))
})

test('a task that finds nobody before it starts at once, and one that throws is a rejection', async () => {
  const turns = new Turns()
  let started = false
  const first = turns.take(async () => {
    started = true
    await setTimeout(1)
  })
  expect(started).toBe(true)
  await first
  const throwing = turns.take(() => {
    throw new Error('at once')
  })
  await expect(throwing).rejects.toThrow('at once')
  expect(await turns.take(() => Promise.resolve(7))).toBe(7)
})
