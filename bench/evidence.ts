import { GO_PEERS, goPeers } from './evidence/go-peers.ts'
import { makeInputs } from './evidence/inputs.ts'
import { LIMIT, limits } from './evidence/limit.ts'
import { race, type Result } from './evidence/measure.ts'
import { NODE_PEERS, nodePeers } from './evidence/node-peers.ts'
import { OURS, ours } from './evidence/ours.ts'

/**
 * How fast hardware evidence is verified: ours, the JavaScript and Go verifiers, and the bare signatures in OpenSSL.
 * One run, same inputs, in turns. `npm run bench -- evidence`
 */

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 40)
const SLICE_MS = 60

const inputs = makeInputs(64)
if (inputs.snp === undefined) console.error('no recorded vectors here: SNP is not measured')
const go = goPeers(inputs)
const contestants = [...(await ours(inputs)), ...(await limits(inputs)), ...(await nodePeers(inputs)), ...go.list]
const results = await race(contestants, ROUNDS, SLICE_MS)
go.close()

console.log(
  'verifications per second: in the least disturbed round, by which goals are judged, and in the median one; p99 of one',
)
for (const r of results) {
  const [best, median] = [r.best, r.median].map((n) => n.toFixed(0).padStart(6))
  console.log(`${r.name.padEnd(48)} ${best}/s  median ${median}/s  p99 ${(r.p99 / 1000).toFixed(2).padStart(7)} ms`)
}

/** Who must be at least so many times as fast as whom. */
const GOALS: readonly (readonly [faster: string, atLeast: number, slower: string])[] = [
  [OURS.tdxNew, 7, NODE_PEERS.phala],
  [OURS.snpNew, 4, NODE_PEERS.tinfoil],
  [OURS.tdxNew, 1, GO_PEERS.tdx],
  [OURS.snpNew, 1, GO_PEERS.sev],
  [OURS.tdxNew, 1 / 1.4, LIMIT.tdxNew],
  [OURS.snpNew, 1 / 1.4, LIMIT.snpNew],
  [OURS.tdxAgain, 1 / 1.1, LIMIT.tdxAgain],
  [OURS.snpAgain, 1 / 1.1, LIMIT.snpAgain],
]
const measured = new Map(results.map((r): [string, Result] => [r.name, r]))
let [passed, failed] = [0, 0]
console.log('\ngoals')
for (const [faster, atLeast, slower] of GOALS) {
  const [a, b] = [measured.get(faster), measured.get(slower)]
  if (a === undefined || b === undefined) continue
  const ratio = a.best / b.best
  const met = ratio >= atLeast
  if (met) passed++
  else failed++
  console.log(
    `${met ? 'met   ' : 'missed'} ${ratio.toFixed(2)} times, wanted ${atLeast.toFixed(2)}: ${faster} over ${slower}`,
  )
}
console.log(`\n${passed} passed, ${failed} failed`)
if (failed > 0) process.exitCode = 1
