import { afterAll, beforeAll, expect, test } from 'vitest'
import { NOUNS } from './nouns.ts'
import { CommandLine } from './testing/command-line.ts'

let line: CommandLine
beforeAll(() => {
  line = new CommandLine()
})
afterAll(() => line.remove())

test.each(NOUNS)('$name is what its own module says that it is', async ({ name, description, load }) => {
  const command = (await load())(() => undefined)
  expect([command.name(), command.description()]).toEqual([name, description])
})

test('the first page of help names every noun', async () => {
  const { status, stdout } = await line.run('--help')
  expect(status).toBe(0)
  for (const { name } of NOUNS) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
})

test.each([
  ['after it', ['policy', '--help']],
  ['before it', ['help', 'policy']],
  ['on a verb', ['help', 'policy', 'fmt']],
])('help for a noun, asked %s, is that of its verbs', async (_where, args) => {
  const { status, stdout } = await line.run(...args)
  expect(status).toBe(0)
  expect(stdout).toContain('vouchsafe policy')
  expect(stdout).toContain('fmt')
})

test('a noun that is none is wrong usage, with the nearest one', async () => {
  const { status, stderr } = await line.run('polcy', 'fmt')
  expect(status).toBe(2)
  expect(stderr).toContain('Did you mean policy?')
})
