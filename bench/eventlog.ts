import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import type { HeapProfiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { parseTpmPublic, parseTpmSignature } from '@vouchsafe/tpm/codec'
import { parseTcgLog, readBootReport, replayTcgLog, writeTcgLog } from '@vouchsafe/tpm/eventlog'
import { machineState, machineStateJson, pcrValues, readGotpm, verifyGotpmAttestation } from '@vouchsafe/tpm/gotpm'
import { ALL_PCRS, spkiOfTpmPublic, verifyTpmQuote } from '@vouchsafe/tpm/verify'
import { nodeCrypto } from '@vouchsafe/core/node'
import { readVector, vectorsRoot } from '@vouchsafe/testkit'

/**
 * How fast quotes are verified and boot logs replayed, and a recorded attestation verified whole, against go-tpm-tools on
 * the same bytes in one run. `npm run bench -- eventlog`
 */

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 15)
const SLICE_MS = 200
const VECTOR = 'gce/tpm/attestations/gce-cos-85-nonce9009.pb'
const NONCE = '9009'

const bytes = readVector(VECTOR)
const attestation = readGotpm('attestation', bytes, 'binarypb')
const { quote: attest, rawSig: signature, pcrs } = attestation.quotes[1]!
const akPublic = attestation.akPub
const spki = spkiOfTpmPublic(parseTpmPublic(akPublic))
const log = parseTcgLog(attestation.eventLog)
const efi = { applicationMayPrecedeBootOption: false, mayEndBeforeExit: false }
const options = {
  anchor: { kind: 'trusted-keys', spkis: [spki] },
  nonce: new Uint8Array(Buffer.from(NONCE, 'hex')),
  banks: ['sha256'],
  mayBeUnexplained: [10],
  logMayBeMissing: false,
  ...efi,
} as const

/** What go-tpm-tools does in one call: from the message to the machine state. */
async function wholeAttestation(crypto: typeof nodeCrypto = nodeCrypto) {
  const message = readGotpm('attestation', bytes, 'binarypb')
  return machineState(await verifyGotpmAttestation(message, options, crypto), crypto)
}

const registers = pcrValues(pcrs)
const quote = (crypto: typeof nodeCrypto = nodeCrypto) =>
  verifyTpmQuote(
    {
      attest,
      signature,
      akPublic,
      pcrs: registers,
      expectedExtraData: options.nonce,
      allowedBanks: ['sha256'],
      requiredPcrs: ALL_PCRS,
    },
    crypto,
  )

/** Keys are remembered by the port they were imported with: to a new one, every key is new. */
const strangers = () => ({ ...nodeCrypto })

const parsedSignature = parseTpmSignature(signature)
if (parsedSignature.scheme !== 'rsassa') throw new Error('another recording than expected')
const rawLog = writeTcgLog(log)
const publicKey = nodeCrypto.importPublicKey(spki)
/** As many pieces as the replay hashes, of their size. */
const pairs = log.events.map((_, i) => new Uint8Array(64).fill(i))

const NAMES = {
  ours: 'ours: attestation to machine state',
  oursNew: 'ours: the same, of a key not seen before',
  go: 'go-tpm-tools 0.4.10: attestation to machine state',
  quote: 'ours: quote, RSA-2048',
  quoteNew: 'ours: the same, of a key not seen before',
  signature: 'limit: one RSA-2048 signature',
  read: 'ours: boot log, 45 events, read and replayed',
  hashes: 'limit: its 44 hashes',
  report: 'ours: what the boot log proves',
} as const

const peer = await goPeer()
await assertSameState(peer)
/** Microseconds that one takes: on the clock, half of the time; and of processor time in all threads, on the average. */
interface Slice {
  readonly median: number
  readonly processor: number
}
type Name = keyof typeof NAMES
type Round = Readonly<Record<Name, Slice>>

const contestants: Readonly<Record<Name, (ms: number) => Promise<Slice>>> = {
  ours: inProcess(() => wholeAttestation()),
  oursNew: inProcess(() => wholeAttestation(strangers())),
  go: async (ms) => (await peer.ask(`verify ${ms}`)) as Slice,
  quote: inProcess(() => quote()),
  quoteNew: inProcess(() => quote(strangers())),
  signature: inProcess(() =>
    nodeCrypto.verify(publicKey, { kind: 'rsa-pkcs1', hash: 'sha256' }, attest, parsedSignature.signature),
  ),
  read: inProcess(() => replayTcgLog(parseTcgLog(rawLog), 'sha256', nodeCrypto)),
  hashes: inProcess(() => pairs.map((pair) => nodeCrypto.digest('sha256', pair))),
  report: inProcess(() => readBootReport(log, 'sha256', nodeCrypto, efi)),
}
const rounds = await race()
peer.close()

console.log('microseconds for one: processor time (lowest to highest of the rounds), and on the clock')
for (const [key, name] of Object.entries(NAMES) as [Name, string][]) {
  const processor = rounds.map((round) => round[key].processor).toSorted((a, b) => a - b)
  const median = middle(rounds.map((round) => round[key].median).toSorted((a, b) => a - b))
  const spread = `(${processor[0]!.toFixed(0)} to ${processor.at(-1)!.toFixed(0)})`
  const perSecond = `${(1e6 / middle(processor)).toFixed(0)}/s`
  console.log(
    `${name.padEnd(52)} ${middle(processor).toFixed(0).padStart(5)} ${spread.padEnd(16)} clock ${median.toFixed(0).padStart(5)}  ${perSecond}`,
  )
}
console.log(
  `allocated for one quote ${await allocated(() => quote())} KiB, for one attestation ${await allocated(() => wholeAttestation())} KiB\n`,
)

/** Who must be at least so many times as fast as whom, within the same round. */
const GOALS = [
  ['ours', 1, 'go'],
  ['oursNew', 1, 'go'],
  ['quote', 1 / 3, 'signature'],
  ['read', 1 / 3, 'hashes'],
] as const
let failed = 0
for (const [faster, wanted, slower] of GOALS) {
  const ratios = rounds.map((round) => round[slower].processor / round[faster].processor).toSorted((a, b) => a - b)
  const ratio = middle(ratios)
  const spread = `${ratios[0]!.toFixed(2)} to ${ratios.at(-1)!.toFixed(2)}`
  if (ratio < wanted) failed++
  const verdict = ratio < wanted ? 'missed' : 'met   '
  console.log(
    `${verdict} ${ratio.toFixed(2)} times (${spread}), wanted ${wanted.toFixed(2)}: ${NAMES[faster]} over ${NAMES[slower]}`,
  )
}
console.log(`${GOALS.length - failed} passed, ${failed} failed`)
if (failed > 0) process.exitCode = 1

/**
 * All in turn, many times: whatever else the machine does in a round slows all of them, and ratios stay. They are taken of
 * processor time: on a busy machine, the clock tells how often one was interrupted.
 */
async function race(): Promise<readonly Round[]> {
  const measured: Round[] = []
  for (let round = -3; round < ROUNDS; round++) {
    const times = {} as Record<Name, Slice>
    for (const key of Object.keys(NAMES) as Name[]) times[key] = await contestants[key](SLICE_MS)
    if (round >= 0) measured.push(times) // the first ones warm
  }
  return measured
}

function inProcess(run: () => unknown): (ms: number) => Promise<Slice> {
  return async (ms) => {
    const micros: number[] = []
    const used = process.cpuUsage()
    const end = performance.now() + ms
    for (let before = performance.now(); before < end;) {
      await run()
      const after = performance.now()
      micros.push((after - before) * 1000)
      before = after
    }
    const { user, system } = process.cpuUsage(used)
    return { median: middle(micros.toSorted((a, b) => a - b)), processor: (user + system) / micros.length }
  }
}

function middle(sorted: readonly number[]): number {
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** The same work must give the same answer. */
async function assertSameState({ ask }: Peer): Promise<void> {
  const { state } = (await ask('state')) as { state: string }
  const ours = await wholeAttestation()
  const theirs = readGotpm('machine-state', Buffer.from(state, 'base64'), 'binarypb')
  for (const each of [ours, theirs]) {
    // go-tpm-tools leaves authorities out wherever one of them lacks an owner, as here
    if (each.secureBoot !== undefined) delete each.secureBoot.authority
  }
  const [mine, other] = [ours, theirs].map((each) => JSON.stringify(machineStateJson(each)))
  if (mine !== other) throw new Error(`machine states differ:\n${mine}\n${other}`)
  console.log(
    `same machine state as go-tpm-tools: ${ours.rawEvents.length} events, ${ours.grub?.commands.length} GRUB commands`,
  )
}

interface Peer {
  readonly ask: (line: string) => Promise<unknown>
  readonly close: () => void
}

/** go-tpm-tools in a process of its own that runs when it is told to. Needs a Go toolchain. */
async function goPeer(): Promise<Peer> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'vouchsafe-bench-'))
  const binary = path.join(folder, 'peer')
  const cwd = path.resolve(import.meta.dirname, 'peers/gotpm-verify')
  execFileSync('go', ['build', '-o', binary, '.'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  const child = spawn(binary, [path.join(vectorsRoot, VECTOR), NONCE], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    ask: async (line) => {
      child.stdin.write(`${line}\n`)
      const { value } = await answers.next()
      if (value === undefined) throw new Error('go-tpm-tools ended')
      return JSON.parse(value)
    },
    close: () => {
      child.stdin.end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** KiB on the JavaScript heap for one run, by sampling. */
async function allocated(run: () => unknown): Promise<string> {
  const runs = 500
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 4096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
  for (let i = 0; i < runs; i++) await run()
  const { profile } = await session.post('HeapProfiler.stopSampling')
  session.disconnect()
  const bytesIn = (node: HeapProfiler.SamplingHeapProfileNode): number =>
    node.children.reduce((sum, child) => sum + bytesIn(child), node.selfSize)
  const total = bytesIn(profile.head)
  return (total / runs / 1024).toFixed(1)
}
