import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { verdictOf } from './verdict.ts'

const night = (light: number, deep: number, rem: number) => ({
  name: 'somebody',
  age: 30,
  sleep: { light: { minutes: light }, deep: { minutes: deep }, rem: { minutes: rem } },
})

test.each([
  [240, 120, 119, 'total sleep time is less than 8 hours'],
  [240, 120, 120, 'great sleep!'],
  [270, 135, 105, 'great sleep!'],
  [239, 121, 120, 'light sleep time is less than 50% of total sleep time'],
  [300, 95, 105, 'deep sleep time is less than 20% of total sleep time'],
  [300, 105, 95, 'rem sleep time is less than 20% of total sleep time'],
  [0, 0, 0, 'total sleep time is less than 8 hours'],
])('DEF-37 a night of %i, %i and %i minutes is judged by what the sentence says', (light, deep, rem, verdict) => {
  expect(verdictOf(night(light, deep, rem)).verdict).toBe(verdict)
})

describe.skipIf(missingVectors())('the codelab’s nights', () => {
  interface Case {
    readonly light: number
    readonly deep: number
    readonly rem: number
    readonly seedText: string
  }
  const read = () => (JSON.parse(readVectorText('seed-systems/opa/sleep-cases.json')) as { cases: Case[] }).cases

  test('HD-12 are worded as the codelab’s own program words them', () => {
    expect(read().length).toBeGreaterThan(4)
    for (const { light, deep, rem, seedText } of read())
      expect(verdictOf(night(light, deep, rem)).asCodelab).toBe(seedText)
  })

  test('DEF-37 are beside that judged right: four of them are short, and the long one is not', () => {
    const right = read().map(({ light, deep, rem }) => verdictOf(night(light, deep, rem)).verdict)
    expect(right).toEqual(['great sleep!', ...Array.from({ length: 4 }, () => 'total sleep time is less than 8 hours')])
  })
})
