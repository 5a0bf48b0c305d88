import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runExample } from '../run-example.fixture.ts'
import { blobsOf, existing, identityOf } from './existing.ts'
import { buildUsleepImage } from './usleep/build-image.ts'

describe('the example, as its one command runs it', () => {
  let end: Awaited<ReturnType<typeof runExample>>
  let there: { readonly digest: string; readonly sender: string; readonly blobs: readonly string[] }
  const folder = mkdtempSync(path.join(tmpdir(), 'sq-'))
  const [layout, identities] = [path.join(folder, 'layout'), path.join(folder, 'identities')]
  const temporary = mkdtempSync(path.join(tmpdir(), 'sq-t-'))
  beforeAll(async () => {
    const senders = [await identityOf('UWear', identities), await identityOf('load balancer', identities)]
    const { digest } = await buildUsleepImage({ audience: 'uwear', senders: senders.map((s) => s.sha256) }, layout)
    there = { digest, sender: senders[0]?.sha256 ?? '', blobs: blobsOf(layout) }
    const variables = { SLEEP_QUALITY_LAYOUT: layout, SLEEP_QUALITY_IDENTITIES: identities, TMPDIR: temporary }
    end = await runExample('sleep-quality', variables)
  }, 240_000)
  afterAll(() => {
    for (const f of [folder, temporary]) rmSync(f, { recursive: true, force: true })
  })

  const falseRules = (step: number) =>
    end.ran.steps[step]?.answers.flatMap((a) => a.rules ?? []).flatMap((r) => (r.holds ? [] : [r.rule]))

  test('HD-12 ends well, with processes of their own on both sides', () => {
    expect(end.ran.steps.flatMap((step) => step.checks).filter((check) => !check.ok)).toEqual([])
    expect(end.ran.passed).toBeGreaterThan(10)
    expect(end.lastLine).toBe(`${end.ran.passed} passed, 0 failed`)
    expect(end.status).toBe(0)
    expect(falseRules(1)).toEqual([])
  })

  test('HD-13 the unapproved workload fails exactly image_digest and audience', () => {
    expect(falseRules(2)).toEqual(['image_digest_verified', 'audience_verified'])
  })

  test('A13 behind a load balancer exactly the nonce fails', () => {
    expect(falseRules(3)).toEqual(['nonce_verified'])
  })

  test('HD-10 HD-11 UWear is a measured workload itself, and where USleep is it learns at launch by the one variable allowed', () => {
    const checks = end.ran.steps[5]?.checks.map((check) => [check.name, check.ok])
    expect(checks).toContainEqual(['the night was sent', true])
    expect(checks).toContainEqual(['an auditor sees which program that was, and what was told to it at launch', true])
    expect(checks).toContainEqual(['another variable is refused: appraisal.launch-environment', true])
  })

  test('HD-16 the log of a machine is there when the machine is gone', () => {
    const checks = end.ran.steps[5]?.checks.map((check) => [check.name, check.ok])
    expect(checks).toContainEqual(['its machine is gone', true])
    expect(checks).toContainEqual(['its log is not, and tells the verdict', true])
  })

  test('DEF-32 HD-15 nothing that any process printed holds the night, a token or a key', () => {
    expect(end.output).not.toMatch(/Amy|\b270\b|\b135\b|\b105\b|eyJ|PRIVATE KEY/)
  })
  test('HD-14 what variables name is used again and stays as it was; all else, files and processes, is gone', () => {
    const [prepared] = end.ran.steps[0]?.answers ?? []
    expect(prepared).toEqual({ approved: there.digest, found: true, sender: there.sender })
    expect(blobsOf(layout)).toEqual(there.blobs)
    expect(readdirSync(identities)).toHaveLength(4)
    expect(readdirSync(temporary)).toEqual([])
    const commands = readdirSync('/proc').flatMap((pid) => (/^[0-9]+$/.test(pid) ? [commandOf(pid)] : []))
    expect(commands.filter((command) => command.includes(temporary))).toEqual([])
  })
})

/** Empty when the process ended meanwhile. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

test('HD-14 a variable that names nothing is refused, and none at all means a folder of the run’s own', () => {
  expect(() => existing({ SLEEP_QUALITY_LAYOUT: '' })).toThrow(expect.objectContaining({ code: 'input.malformed' }))
  expect(existing({})).toEqual({ layout: null, identities: null })
})
