import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { benchCases, type Case } from './rego/cases.ts'
import type { Contestant, Slice } from './rego/contestant.ts'
import { goPeer } from './rego/go.ts'
import { growth } from './rego/growth.ts'
import { ours } from './rego/ours.ts'
import { regorusPeer } from './rego/regorus.ts'
import { wasmPeer } from './rego/wasm.ts'

/*
 * `npm run bench -- rego`: the policies of the vectors with our engine (both back ends), OPA's npm package over its WebAssembly,
 * OPA's Go library, and regorus where it is built. All from a parsed input, warm, strictly in turn, so that the machine's noise
 * falls on all alike. Per engine the median of the round that was disturbed least. Peers of OPA need a Go toolchain; a peer that
 * is not there is left out, and said so.
 */
const ROUNDS = Number(process.env['ROUNDS'] ?? 7)
const ROUND_MS = Number(process.env['ROUND_MS'] ?? 150)
const WARM_MS = 400

type Measured = { readonly contestant: Contestant; readonly best: number; readonly p99: number }

let passed = 0
let failed = 0
function expect(what: string, ok: boolean): void {
  if (ok) passed++
  else failed++
  console.log(`${ok ? '  ok    ' : '  MISSED'} ${what}`)
}

function peer<P>(what: string, start: () => P): P | undefined {
  try {
    return start()
  } catch (e) {
    console.log(`left out: ${what} (${e instanceof Error ? e.message.split('\n')[0] : String(e)})`)
    return undefined
  }
}

/** A message in one line, without the lines that it shows of the policy. */
function withoutExcerpt(message: string): string {
  const lines = message.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '' && !/^\d*\s*\|/.test(line)).join(' ')
}

async function race(contestants: readonly Contestant[]): Promise<Measured[]> {
  const slices = contestants.map(() => [] as Slice[])
  for (const c of contestants) await c.run(WARM_MS)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, c] of contestants.entries()) slices[i]?.push(await c.run(ROUND_MS))
  }
  return contestants.map((contestant, i) => {
    const mine = (slices[i] ?? []).toSorted((a, b) => a.median - b.median)
    return { contestant, best: mine[0]?.median ?? Number.NaN, p99: mine[0]?.p99 ?? Number.NaN }
  })
}

function row(c: Case, m: Measured, go: Measured | undefined): string {
  const { contestant, best, p99 } = m
  const cells = [
    `${c.policy.slice(0, 2)} ${c.name}`.padEnd(28),
    contestant.engine.padEnd(32),
    best.toFixed(1).padStart(10),
    p99.toFixed(1).padStart(10),
    Math.round(1e6 / best)
      .toLocaleString('en')
      .padStart(11),
    contestant.prepareMs.toFixed(1).padStart(9),
    (contestant.heapMiB === undefined ? '-' : contestant.heapMiB.toFixed(2)).padStart(8),
    (go === undefined ? '-' : (go.best / best).toFixed(1)).padStart(7),
  ]
  return cells.join(' ')
}

const only = process.argv[2]
const cases = benchCases().filter((c) => only === undefined || `${c.policy}/${c.name}`.includes(only))
const go = peer('OPA Go', goPeer)
const wasm = peer('opa-wasm', wasmPeer)
const rust = [peer('regorus', () => regorusPeer('engine')), peer('regorus, compiled', () => regorusPeer('vm'))]
const results: unknown[] = []
console.log(
  'case                         engine                               µs       p99        per s   prepare     heap   vs Go',
)
for (const c of cases) {
  const contestants = [ours(c, 'generated'), ours(c, 'generated', true), ours(c, 'closures')]
  if (wasm !== undefined) contestants.push(await wasm.contestant(c))
  if (go !== undefined) contestants.push(await go.contestant(c))
  for (const other of rust) {
    try {
      if (other !== undefined) contestants.push(await other.contestant(c))
    } catch (e) {
      console.log(`left out of ${c.name}: ${e instanceof Error ? withoutExcerpt(e.message) : String(e)}`)
    }
  }
  const measured = await race(contestants)
  const by = (engine: string): Measured | undefined => measured.find((m) => m.contestant.engine === engine)
  const mine = by('vouchsafe generated')
  const opa = by('OPA Go')
  const module = by('opa-wasm')
  for (const m of measured) console.log(row(c, m, opa))
  if (mine === undefined) continue
  for (const { contestant } of measured) {
    if (contestant.answer === mine.contestant.answer) continue
    // OPA says what is right; where another engine differs from it and from us, that is a fact about that engine
    if (contestant.engine.startsWith('regorus'))
      console.log(`  note   ${c.name}: ${contestant.engine} decides otherwise`)
    else expect(`${c.name}: ${contestant.engine} decides the same`, false)
  }
  if (opa !== undefined && c.goal > 0) {
    const times = opa.best / mine.best
    expect(`${c.name}: ${times.toFixed(1)} × faster than OPA Go (goal ${c.goal})`, times >= c.goal)
  }
  if (module !== undefined) {
    const times = module.best / mine.best
    expect(`${c.name}: ${times.toFixed(1)} × faster than opa-wasm (goal 1)`, times >= 1)
  }
  results.push({
    policy: c.policy,
    case: c.name,
    engines: measured.map(({ contestant, best, p99 }) => ({
      engine: contestant.engine,
      micros: best,
      p99,
      prepareMs: contestant.prepareMs,
      heapMiB: contestant.heapMiB,
    })),
  })
}
go?.close()
wasm?.close()
for (const other of rust) other?.close()
const grown = growth()
for (const { events, ms } of grown)
  console.log(`event log of ${events} events: ${ms.toFixed(2)} ms, ${((ms * 1000) / events).toFixed(2)} µs an event`)
const [small, , large] = grown
if (small !== undefined && large !== undefined) {
  const times = large.ms / small.ms / (large.events / small.events)
  expect(`a hundred times the events cost ${times.toFixed(2)} times as much each (goal: below 1.5)`, times < 1.5)
}
if (only === undefined) {
  const file = path.join(import.meta.dirname, 'results/rego.json')
  writeFileSync(file, `${JSON.stringify({ node: process.version, results, growth: grown }, undefined, 2)}\n`)
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
