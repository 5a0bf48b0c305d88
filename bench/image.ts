import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buildImage, type Compression, ImageLayout, unpackImage } from '@vouchsafe/image'
import { bundleProgram } from '../packages/agent/bin/bundle.ts'
import { type Spread, spread } from './stores/measure.ts'

/*
 * `npm run bench -- image`: unpacking, on tmpfs where there is one. Peers: umoci, and `tar -x` of the bare archive. The
 * limit is what has to be done in any case by tools that do nothing else: `tar -x` and one `sha256sum` of the archive,
 * side by side. Everything runs in turn, so that the machine's noise falls on all alike; ratios are per turn.
 */
const ROUNDS = Number(process.env['ROUNDS'] ?? 7)
/** `small` or `large`, for a try; without it both, and the result is kept. */
const ONLY = process.env['ONLY']
const MEBIBYTE = 2 ** 20
/** What issue 6 asks. */
const GOALS = { umoci: 4, limit: 1.3, memory: 200 * MEBIBYTE }

const directory = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'vouchsafe-bench-'))
const at = (name: string) => path.join(directory, name)
const clear = (name: string) => rmSync(at(name), { recursive: true, force: true })

/** Text-like: half of it compresses. */
function portion(seed: number, size: number): Uint8Array {
  const bytes = randomBytes(size)
  const hash = createHash('sha256').update(String(seed)).digest()
  for (let i = 0; i < size; i += 64) bytes.set(hash, i)
  return bytes
}

function smallFiles(root: string): void {
  for (let i = 0; i < 11_000; i++) {
    const place = path.join(root, `d${i % 300}`, `s${i % 7}`)
    mkdirSync(place, { recursive: true })
    writeFileSync(path.join(place, `f${i}`), portion(i, [120, 1_000, 4_000, 9_000][i % 4] ?? 0))
  }
}

function largeFiles(root: string): void {
  mkdirSync(root, { recursive: true })
  for (let i = 0; i < 4; i++) {
    const file = openSync(path.join(root, `large${i}`), 'w')
    for (let n = 0; n < 125; n++) writeSync(file, portion(i * 1000 + n, 1_000_000))
    closeSync(file)
  }
}

async function build(name: string, tree: string, compression: Compression): Promise<void> {
  await buildImage(
    { layers: [{ kind: 'directory', directory: at(tree) }], config: {}, name: 'v1', compression },
    at(name),
  )
}

/** Seconds on the clock, and of all processors together. */
interface Took {
  readonly wall: number
  readonly cpu: number
}

async function ours(layout: string): Promise<Took> {
  const [start, used] = [performance.now(), process.cpuUsage()]
  const source = await ImageLayout.open(at(layout))
  await unpackImage(source, source.find('v1').digest, at('ours'))
  const { user, system } = process.cpuUsage(used)
  return { wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 }
}

function shell(command: string): Took {
  const start = performance.now()
  const timed = `set -e; TIMEFORMAT='CPU %U %S'; time { ${command}; wait; }`
  const out = execFileSync('bash', ['-c', `{ ${timed}; } 2>&1`], { cwd: directory, encoding: 'utf8' })
  const wall = (performance.now() - start) / 1000
  const [, user = 'NaN', system = 'NaN'] = /CPU ([0-9.]+) ([0-9.]+)/.exec(out) ?? []
  return { wall, cpu: Number(user) + Number(system) }
}

const show = ({ median, low, high }: Spread, digits = 2): string =>
  `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`
let passed = 0
let failed = 0
function judge(what: string, good: boolean): void {
  console.log(`${good ? 'ok' : 'MISSED'}  ${what}`)
  if (good) passed++
  else failed++
}

const THINGS = ['ours', 'umoci', 'tar', 'limit'] as const

interface Row {
  readonly image: string
  readonly wall: Readonly<Record<(typeof THINGS)[number], Spread>>
  readonly cpu: Readonly<Record<(typeof THINGS)[number], Spread>>
  readonly umociOverOurs: Spread
  readonly oursOverLimit: Spread
  readonly umociOverOursCpu: Spread
  readonly peakBytes: number
  readonly startBytes: number
}

async function measure(image: string, layout: string, archive: string, unpackArchive: string): Promise<Row> {
  const tar = `mkdir tar; ${unpackArchive} | tar -C tar -xf -`
  const run: Readonly<Record<(typeof THINGS)[number], () => Took | Promise<Took>>> = {
    ours: () => ours(layout),
    umoci: () => shell(`umoci unpack --image ${layout}:v1 umoci >/dev/null`),
    tar: () => shell(tar),
    limit: () => shell(`sha256sum ${archive} >/dev/null & ${tar}`),
  }
  const took = { ours: [], umoci: [], tar: [], limit: [] } as Record<(typeof THINGS)[number], Took[]>
  for (let round = 0; round < ROUNDS; round++)
    for (const thing of THINGS) {
      for (const name of ['ours', 'umoci', 'tar']) clear(name)
      took[thing].push(await run[thing]())
    }
  for (const name of ['ours', 'umoci', 'tar']) clear(name)
  const all = (what: keyof Took) =>
    Object.fromEntries(THINGS.map((thing) => [thing, spread(took[thing].map((t) => t[what]))])) as Row['wall']
  const ratio = (a: (typeof THINGS)[number], b: (typeof THINGS)[number], what: keyof Took) =>
    spread(took[a].map((t, i) => t[what] / (took[b][i]?.[what] ?? Number.NaN)))
  // as it is shipped, in one file: stripping types alone takes as much memory as the unpacking
  const worker = at('peak-memory.mjs')
  await bundleProgram(path.join(import.meta.dirname, 'image/peak-memory.ts'), worker)
  const memory = execFileSync(process.execPath, [worker, at(layout), at('memory')], { encoding: 'utf8' })
  const { before, peak } = JSON.parse(memory) as { before: number; peak: number }
  clear('memory')
  return {
    image,
    wall: all('wall'),
    cpu: all('cpu'),
    umociOverOurs: ratio('umoci', 'ours', 'wall'),
    oursOverLimit: ratio('ours', 'limit', 'wall'),
    umociOverOursCpu: ratio('umoci', 'ours', 'cpu'),
    peakBytes: peak,
    startBytes: before,
  }
}

/** The archive of a layout's one layer, as a file for `tar`. */
async function extractArchive(layout: string, name: string): Promise<string> {
  const source = await ImageLayout.open(at(layout))
  const { bytes } = await source.readManifest(source.find('v1').digest, MEBIBYTE)
  const { layers } = JSON.parse(new TextDecoder().decode(bytes)) as { layers: { digest: string }[] }
  const hex = layers[0]?.digest.slice('sha256:'.length) ?? ''
  const file = path.join(layout, 'blobs/sha256', hex)
  execFileSync('ln', ['-sf', file, name], { cwd: directory })
  for await (const _ of createReadStream(at(name))) void _ // into the page cache, for all alike
  return name
}

const rows: Row[] = []
try {
  if (ONLY !== 'large') smallFiles(at('small'))
  if (ONLY !== 'small') largeFiles(at('large'))
  for (const [tree, title] of [
    ['small', '11,000 small files, 39 MB'],
    ['large', '4 large files, 500 MB'],
  ] as const) {
    if (ONLY !== undefined && ONLY !== tree) continue
    for (const compression of ['none', 'gzip'] as const) {
      const layout = `${tree}-${compression}`
      await build(layout, tree, compression)
      const archive = await extractArchive(layout, `${layout}.blob`)
      const row = await measure(
        `${title}, ${compression}`,
        layout,
        archive,
        compression === 'none' ? `cat ${archive}` : `gzip -dc < ${archive}`,
      )
      rows.push(row)
      const list = (of: Row['wall']) => THINGS.map((thing) => `${thing} ${show(of[thing])}`).join(', ')
      console.log(`${row.image}`)
      console.log(`    seconds: ${list(row.wall)}`)
      console.log(`    processor seconds: ${list(row.cpu)}; umoci needs ${show(row.umociOverOursCpu, 1)} times ours`)
      console.log(
        `    peak ${(row.peakBytes / MEBIBYTE).toFixed(0)} MiB, ${(row.startBytes / MEBIBYTE).toFixed(0)} before the unpacking`,
      )
      const faster = `${row.image}: ${show(row.umociOverOurs, 1)} times as fast as umoci`
      if (tree === 'small') judge(`${faster}, at least ${GOALS.umoci}`, row.umociOverOurs.median >= GOALS.umoci)
      else console.log(`    ${faster}`)
      judge(
        `${row.image}: ${show(row.oursOverLimit)} times the limit, at most ${GOALS.limit}`,
        row.oursOverLimit.median <= GOALS.limit,
      )
      judge(`${row.image}: peak memory below ${GOALS.memory / MEBIBYTE} MiB`, row.peakBytes < GOALS.memory)
      clear(layout)
    }
  }
  const out = path.join(import.meta.dirname, 'results/image.json')
  mkdirSync(path.dirname(out), { recursive: true })
  if (ONLY === undefined)
    writeFileSync(out, `${JSON.stringify({ bench: 'image', unit: 'seconds', rounds: ROUNDS, rows }, null, 1)}\n`)
} finally {
  rmSync(directory, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
