import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startSwtpm } from '../../testing/swtpm.ts'
import type { RunningSwtpm } from '../../testing/swtpm.ts'
import { Tpm } from '../../tpm/tpm.ts'
import { commandName, COMMANDS } from './index.ts'
import type { AnyCommand } from './command.ts'

/** TPMA_CC */
const commandIndex = (attributes: number) => attributes & 0xffff
const handleCount = (attributes: number) => (attributes >>> 25) & 7
const returnsHandle = (attributes: number) => ((attributes >>> 28) & 1) === 1

describe('the command table', () => {
  let swtpm: RunningSwtpm
  let tpm: Tpm
  beforeAll(async () => {
    swtpm = await startSwtpm()
    tpm = await Tpm.open(swtpm.address)
  })
  afterAll(async () => {
    await tpm.close()
    await swtpm.stop()
  })

  test('has the handles that a TPM states for each command', async () => {
    const implemented = await tpm.getCapability('commands')
    const compared = implemented.flatMap((attributes) => {
      const name = commandName(commandIndex(attributes))
      if (name === undefined) return []
      const row: AnyCommand = COMMANDS[name]
      const ours = [name, Object.keys(row.handles).length, row.newHandle !== undefined]
      const theirs = [name, handleCount(attributes), returnsHandle(attributes)]
      return [{ ours, theirs }]
    })
    expect(compared.length).toBeGreaterThan(85)
    expect(compared.map(({ ours }) => ours)).toEqual(compared.map(({ theirs }) => theirs))
  })

  test('names no command that a TPM of this revision lacks', async () => {
    const codes = new Set((await tpm.getCapability('commands')).map(commandIndex))
    const missing = Object.entries(COMMANDS).filter(([, { code }]) => !codes.has(code))
    expect(missing.map(([name]) => name)).toEqual([])
  })

  test('gives every code one name', () => {
    const codes = Object.values(COMMANDS).map(({ code }) => code)
    expect(new Set(codes).size).toBe(codes.length)
  })
})
