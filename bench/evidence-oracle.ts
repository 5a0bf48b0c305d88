import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { evidence, VouchsafeError, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import * as kit from '@vouchsafe/testkit'
import { installNodePeers, phalaCollateral } from './evidence/node-peers.ts'

/**
 * Ours beside two other verifiers on quotes and collateral with something wrong in them: whoever accepts what the other
 * refuses has to be explained. `npm run bench -- evidence-oracle`
 *
 * One of them, Rust in WebAssembly, has Intel's root built in. It gets another one of the same size, so that all of us can
 * accept what is sound.
 */

const CASES = Number(process.env['ORACLE_CASES'] ?? 10_000)

const peers = installNodePeers()
const folder = path.join(peers, 'node_modules/@phala/dcap-qvl-web')
const wasm = readFileSync(path.join(folder, 'dcap-qvl-web_bg.wasm'))
const intelRoot = Buffer.from(evidence.intelSgxRoot().certificate.der)
const authorities = authoritiesOfSize(intelRoot.length)
wasm.set(authorities.root.der, wasm.indexOf(intelRoot))
const rust = (await import(path.join(folder, 'dcap-qvl-web.js'))) as {
  initSync(options: { module: Uint8Array }): void
  js_verify(quote: Uint8Array, collateral: unknown, now: bigint): { status: string }
}
rust.initSync({ module: wasm })

const { QuoteVerifier } = createRequire(path.join(peers, 'package.json'))('@phala/dcap-qvl') as {
  QuoteVerifier: { newWithRootCa(der: Buffer): { verify(quote: Buffer, collateral: unknown, now: number): unknown } }
}
const javascript = QuoteVerifier.newWithRootCa(Buffer.from(authorities.root.der))

/** Each throws when it refuses. */
const ORACLES: Readonly<Record<string, (quote: Uint8Array, collateral: unknown, seconds: number) => unknown>> = {
  'dcap-qvl-web 0.3.3': (quote, collateral, seconds) => rust.js_verify(quote, collateral, BigInt(seconds)),
  'dcap-qvl 0.3.9': (quote, collateral, seconds) => javascript.verify(Buffer.from(quote), collateral, seconds),
}

const at = new Date('2026-06-01T00:00:00Z')
const anchors = [x509.parseAnchor(authorities.root.der, { class: 'simulated', name: 'fake Intel' })]
const platformChain = kit.toPem(authorities.platformCa, authorities.root)
const pck = kit.makePck({ authorities })
const sound = {
  quotes: [
    kit.makeQuote({ authorities, pck }),
    kit.makeQuote({ authorities, pck, version: 4, nulTerminated: true }),
    kit.makeQuote({ authorities, pck, trailing: new Uint8Array(64) }),
  ],
  collateral: kit.makeIntelCollateral({ authorities }),
}

interface Case {
  readonly what: string
  readonly quote: Uint8Array
  readonly collateral: kit.TestCollateral
  readonly platformChain: string
  readonly at: Date
}

/** Who refuses alone, what was changed, what ours says, and why that is so. */
const EXPLAINED: readonly (readonly [who: RegExp, what: RegExp, says: RegExp, why: string])[] = [
  [/^ours/, /^quote/, /bytes other than zero after the quote/, 'the other lets anything follow a quote'],
  [/^ours/, /^quote/, /reserved|qe_vendor_id|body_size/, 'the other does not look at fields without a use'],
  [/^ours/, /^quote/, /certification data of type/, 'the other does not look at the kind of certification data'],
  [/^ours/, /^quote/, /PEM|pck_chain/, 'the other reads a PEM chain more loosely'],
  [/^ours/, /^quote/, /certificate/, 'the other does not look at all of a chain'],
  [
    /^ours/,
    /^(tcbInfo|qeIdentity)/,
    /response is not|not UTF-8/,
    'the frame of the answer is broken, not what it frames',
  ],
  [/^ours/, /^issuerChain/, /./, 'the other does not look at all of a chain'],
  [/^ours/, /^(pckCrl|rootCrl)/, /./, 'the other believes revocation lists more easily'],
  [/^ours.*web/, /^qeIdentity/, /./, 'this version does not look at the identity of the quoting enclave'],
  [/^ours/, /^time/, /thisUpdate|nextUpdate|issued|held until/, 'the other does not look at every date'],
  [/^oracle/, /^issuerChain cut/, /accepts/, 'ours does not need the root to come along: it is pinned'],
  [/^oracle/, /^platformChain/, /accepts/, 'ours has no use for it: the chain in the quote is the one that counts'],
]

const random = generator(20_260_601)
const outcomes = new Map<string, number>()
const note = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
let unexplained = 0
for (let i = 0; i < CASES; i++) {
  const isSound = i < sound.quotes.length
  const one = isSound ? soundCase(i) : change(soundCase(random(sound.quotes.length)))
  const mine = await judge(one)
  let explained = true
  for (const name of Object.keys(ORACLES)) {
    const theirs = ask(name, one)
    if (isSound && !(mine.accepts && theirs.accepts))
      throw new Error(`${name}: sound quote ${i} is refused: ${mine.says} | ${theirs.says}`)
    if (mine.accepts === theirs.accepts) {
      note(`${name}: ${mine.accepts ? 'both accept' : 'both refuse'}`)
      continue
    }
    const who = `${mine.accepts ? 'oracle' : 'ours'} ${name}`
    const why = EXPLAINED.find(([w, what, says]) => w.test(who) && what.test(one.what) && says.test(mine.says))?.[3]
    note(`${name}: only ${mine.accepts ? 'it' : 'ours'} refuses: ${why ?? 'NOT EXPLAINED'}`)
    if (why !== undefined) continue
    explained = false
    if (unexplained < 20) console.log(`not explained: ${one.what}: ours ${mine.says} | ${name} ${theirs.says}`)
  }
  if (!explained) unexplained++
}
for (const [outcome, count] of [...outcomes].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  console.log(`${String(count).padStart(6)} ${outcome}`)
console.log(`\n${CASES - unexplained} passed, ${unexplained} failed`)
if (unexplained > 0) process.exitCode = 1

interface Verdict {
  readonly accepts: boolean
  readonly says: string
}

async function judge({ quote, collateral: c, at: time }: Case): Promise<Verdict> {
  try {
    const input = {
      tcbInfo: evidence.readSignedDocument(c.tcbInfo, 'tcbInfo', c.issuerChain),
      qeIdentity: evidence.readSignedDocument(c.qeIdentity, 'enclaveIdentity', c.issuerChain),
      pckCrl: c.pckCrl,
      rootCrl: c.rootCrl,
    }
    const collateral = await evidence.verifyDcapCollateral(input, { anchors, at: time }, nodeCrypto)
    const expected = { anchors, collateral, at: time, reportData: 'not-checked' } as const
    const { rating } = await evidence.verifyTdxQuote({ quote }, expected, nodeCrypto)
    return { accepts: true, says: `accepts, ${rating === 'not-checked' ? rating : rating.status}` }
  } catch (error) {
    // anything else is a bug, and ends the run
    if (!(error instanceof VouchsafeError) || error.code === 'internal') throw error
    return { accepts: false, says: `${error.code}: ${error.message}` }
  }
}

function ask(oracle: string, { quote, collateral, platformChain: chain, at: time }: Case): Verdict {
  try {
    ORACLES[oracle]?.(quote, phalaCollateral({ collateral, platformChain: chain }), time.getTime() / 1000)
    return { accepts: true, says: 'accepts' }
  } catch (error) {
    return { accepts: false, says: String(error) }
  }
}

function soundCase(n: number): Case {
  const quote = sound.quotes[n] ?? sound.quotes[0]
  if (quote === undefined) throw new Error('no quote')
  return { what: 'nothing', quote, collateral: sound.collateral, platformChain, at }
}

/** One thing wrong, more often in the quote than in what comes with it. */
function change(good: Case): Case {
  const { quote, collateral: c } = good
  const inCollateral = (what: keyof kit.TestCollateral) => {
    const value = c[what]
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
    const { how, changed } = damage(bytes)
    const back = typeof value === 'string' ? new TextDecoder('latin1').decode(changed) : changed
    return { ...good, what: how === 'byte' ? what : `${what} ${how}`, collateral: { ...c, [what]: back } }
  }
  const dice = random(20)
  if (dice < 11) {
    const { how, changed } = damage(quote)
    return { ...good, what: `quote ${how}`, quote: changed }
  }
  if (dice < 13) return inCollateral('tcbInfo')
  if (dice < 14) return inCollateral('qeIdentity')
  if (dice < 15) return inCollateral('issuerChain')
  if (dice < 16) return inCollateral('pckCrl')
  if (dice < 17) return inCollateral('rootCrl')
  if (dice < 18) {
    const { changed } = damage(new TextEncoder().encode(platformChain))
    return { ...good, what: 'platformChain', platformChain: new TextDecoder('latin1').decode(changed) }
  }
  const days = random(80) - 40
  return { ...good, what: `time ${days} days`, at: new Date(at.getTime() + days * 86_400_000 + 1000) }
}

function damage(bytes: Uint8Array): { how: 'byte' | 'cut' | 'longer'; changed: Uint8Array } {
  const dice = random(12)
  if (dice === 0) return { how: 'cut', changed: bytes.subarray(0, random(bytes.length)) }
  if (dice === 1) return { how: 'longer', changed: kit.derWriter.join(bytes, Uint8Array.of(random(256))) }
  const where = random(bytes.length)
  return { how: 'byte', changed: bytes.with(where, (bytes[where] ?? 0) ^ (1 << random(8))) }
}

/** Numbers from 0 up to n, the same in each run. @source Lehmer generator, modulus 2^31 − 1 */
function generator(seed: number): (n: number) => number {
  let state = seed
  return (n) => {
    state = (state * 48_271) % 2_147_483_647
    return state % n
  }
}

/** Signatures differ in size by a byte or two: made again until the root is exactly as large as the one it replaces. */
function authoritiesOfSize(size: number): kit.IntelAuthorities {
  for (let filler = size - kit.makeIntelAuthorities([padding(0)]).root.der.length; ;) {
    const made = kit.makeIntelAuthorities([padding(Math.max(0, filler))])
    if (made.root.der.length === size) return made
    if (Math.abs(made.root.der.length - size) > 2) filler += size - made.root.der.length
  }
}

function padding(length: number): kit.TestExtension {
  return { oid: '1.3.6.1.4.1.99999.1', value: new Uint8Array(length) }
}
