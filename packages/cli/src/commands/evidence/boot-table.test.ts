import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TpmAttestInputs as AttestInputs, fromBase64, fromUtf8, utf8 } from '@vouchsafe/core'
import { missingVectors, vectorsRoot } from '@vouchsafe/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordAttestations } from '../../policy/testing/recorded-attestations.ts'
import { CommandLine } from '../testing/command-line.ts'
import type { BootEventRow, BootRegisterRow } from './boot-table.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vsbt-'))
let inputs: AttestInputs
let line: CommandLine
beforeAll(async () => {
  line = new CommandLine({ NO_COLOR: '', FORCE_COLOR: '1' })
  const { envelopes } = await recordAttestations(directory, 1, 1)
  inputs = (JSON.parse(fromUtf8(fromBase64(envelopes[0]?.payload ?? ''))) as { inputs: AttestInputs }).inputs
  line.write('inputs.json', JSON.stringify(inputs))
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
  line?.remove()
})

interface Shown {
  readonly boot: readonly BootEventRow[]
  readonly bootRegisters: readonly BootRegisterRow[]
}
const show = (file: string, ...more: readonly string[]) => line.answer<Shown>('evidence', 'show', file, ...more)
const pinsOf = ({ boot }: Shown) => new Set(boot.filter((e) => e.register.startsWith('PCR')).map((e) => e.pin))

describe('B17 D12 evidence show tells which pin covers each event of the boot', () => {
  test('by the agreement that a record holds', async () => {
    const shown = await show('inputs.json')
    expect(shown.boot.length).toBeGreaterThan(3)
    expect(shown.boot[0]).toMatchObject({ register: expect.stringMatching(/^PCR/), sentence: expect.any(String) })
    expect(pinsOf(shown)).toEqual(new Set(['as pinned']))
    expect(shown.bootRegisters.filter((r) => r.log === 'replays').map((r) => r.pin)).toContain('as pinned')
  })

  test('by other pins, which leave a part of it free or ask for another value', async () => {
    const register = inputs.evidence.registers['0'] ?? ''
    line.write('pins.json', JSON.stringify({ registers: { '0': [register] } }))
    const { boot } = await show('inputs.json', '--pins', 'pins.json')
    expect(new Set(boot.filter((e) => e.register === 'PCR 0').map((e) => e.pin))).toEqual(new Set(['as pinned']))
    expect(new Set(boot.filter((e) => e.register === 'PCR 4').map((e) => e.pin))).toEqual(new Set(['unpinned']))
    line.write('other.json', JSON.stringify({ registers: { '0': ['ee'.repeat(32)] } }))
    expect(pinsOf(await show('inputs.json', '--pins', 'other.json'))).toContain('OTHER THAN PINNED')
    line.write('none.json', JSON.stringify({ registers: {} }))
    expect(pinsOf(await show('inputs.json', '--pins', 'none.json'))).toEqual(new Set(['unpinned']))
  })

  test('B09 a register that the log does not explain is told, whatever is pinned', async () => {
    const registers = { ...inputs.evidence.registers, '0': 'ee'.repeat(32) }
    line.write('wrong.json', JSON.stringify({ ...inputs, evidence: { ...inputs.evidence, registers } }))
    const { bootRegisters } = await show('wrong.json')
    expect(bootRegisters.find((r) => r.register === 'PCR 0')).toMatchObject({
      log: 'DOES NOT REPLAY',
      pin: 'OTHER THAN PINNED',
    })
  })

  test('an agreement’s own file will do for pins; what is none is refused', async () => {
    line.write('agreement.json', new Uint8Array(fromBase64(inputs.agreement ?? '')))
    expect(pinsOf(await show('inputs.json', '--pins', 'agreement.json'))).toEqual(new Set(['as pinned']))
    line.write('no-pins.json', utf8('{"registers":{"0":"all"}}'))
    expect(await line.refusal('evidence', 'show', 'inputs.json', '--pins', 'no-pins.json')).toMatchObject({
      code: 'input.malformed',
    })
    expect(await line.refusal('evidence', 'show', 'inputs.json', '--event-log', 'x')).toMatchObject({ code: 'usage' })
  })

  test('in colour on a terminal', { timeout: 90_000 }, () => {
    line.write('other.json', JSON.stringify({ registers: { '0': ['ee'.repeat(32)] } }))
    const { stdout } = line.runProcess(['evidence', 'show', 'inputs.json', '--pins', 'other.json'])
    expect(stdout).toContain('\u001b[31m  ') // the line of an event in red, the whole of it
    expect(stdout.split('\n').find((l) => l.includes('OTHER THAN PINNED'))).toMatch(/^\u001b\[31m.*\u001b\[39m$/)
  })
})

describe.skipIf(missingVectors())('the log of a TD', () => {
  const vector = (name: string) => path.join(vectorsRoot, name)
  const quote = vector('gce/tdx/quote_v4_cos113_zero_reportdata.bin')
  const LOG = ['--event-log', vector('gce/ccel/cos-113-intel-tdx.bin')] as const

  test('D12 replays to its registers, and MRTD alone covers none of its events', async () => {
    const { bootRegisters } = await show(quote, ...LOG)
    const valueOf = (name: string) => bootRegisters.find((r) => r.register.replace(' ', '') === name)?.value ?? ''
    expect(bootRegisters.map(({ log }) => log)).toContain('replays')
    expect(bootRegisters.map(({ log }) => log)).not.toContain('DOES NOT REPLAY')
    const tdx = { mrTd: [valueOf('MRTD')] }
    line.write('mrtd.json', JSON.stringify({ hardware: { chips: 'any-genuine', tdx } }))
    const alone = await show(quote, ...LOG, '--pins', 'mrtd.json')
    expect(new Set(alone.boot.filter((e) => e.register.startsWith('RTMR')).map((e) => e.pin))).toEqual(
      new Set(['unpinned']),
    )
    line.write(
      'rtmr0.json',
      JSON.stringify({ hardware: { chips: 'any-genuine', tdx: { ...tdx, rtmr0: [valueOf('RTMR0')] } } }),
    )
    const more = await show(quote, ...LOG, '--pins', 'rtmr0.json')
    expect(more.boot.find((e) => e.register === 'RTMR 0')?.pin).toBe('as pinned')
    expect(more.boot.find((e) => e.register === 'RTMR 1')?.pin).toBe('unpinned')
  })

  test('of another boot does not replay', async () => {
    const { bootRegisters } = await show(vector('coco/tdx/tdx_quote_4.dat'), ...LOG)
    expect(bootRegisters.map(({ log }) => log)).toContain('DOES NOT REPLAY')
  })

  test('is asked for before pins mean anything', async () => {
    line.write('pins.json', JSON.stringify({ registers: {} }))
    expect(await line.refusal('evidence', 'show', quote, '--pins', 'pins.json')).toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('--event-log'),
    })
  })
})
