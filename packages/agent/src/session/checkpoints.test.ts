import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  type BrokerPin,
  EMPTY_FRONTIER,
  type Frontier,
  appendLeaf,
  assembleProof,
  formatCheckpoint,
  formatLogKey,
  fromBase64Url,
  leafHash,
  logKeyOf,
  planConsistency,
  rootOf,
  toBase64,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Checkpoints } from './checkpoints.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vsa-checkpoints-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const newKeys = () => generateKeyPairSync('ed25519')

/** A broker's log: real trees, signatures and proofs. */
class Log {
  readonly pin: BrokerPin
  readonly #name: string
  readonly #sign: (bytes: Uint8Array) => Uint8Array
  readonly #keyHash: Uint8Array
  readonly #nodes = new Map<string, Uint8Array>()
  readonly #states: Frontier[] = [EMPTY_FRONTIER]

  readonly keys: ReturnType<typeof newKeys>

  constructor(name: string, keys = newKeys()) {
    const { publicKey, privateKey } = keys
    this.keys = keys
    const key = logKeyOf(name, fromBase64Url(publicKey.export({ format: 'jwk' }).x ?? ''), nodeCrypto)
    this.#name = name
    this.#keyHash = key.keyHash
    this.#sign = (bytes) => new Uint8Array(sign(null, bytes, privateKey))
    this.pin = { id: `broker:${name}`, tenant: name, log: formatLogKey(key) } as unknown as BrokerPin
  }

  append(...entries: readonly string[]): this {
    for (const entry of entries) {
      const before = this.#states.at(-1) ?? EMPTY_FRONTIER
      const { frontier, completed } = appendLeaf(before, leafHash(utf8(entry), nodeCrypto), nodeCrypto)
      completed.forEach((hash, level) => this.#nodes.set(`${level}/${frontier.size / 2 ** level - 1}`, hash))
      this.#states.push(frontier)
    }
    return this
  }

  at(size: number): string {
    const root = rootOf(this.#states[size] ?? EMPTY_FRONTIER, nodeCrypto)
    const signer = { name: this.#name, keyHash: this.#keyHash, sign: this.#sign }
    return formatCheckpoint({ origin: this.#name, size, root }, signer)
  }

  growth(from: number, to: number) {
    const lookup = ({ level, index }: { level: number; index: number }) =>
      this.#nodes.get(`${level}/${index}`) ?? new Uint8Array(32)
    const proof = assembleProof(planConsistency(from, to), lookup, nodeCrypto)
    return { checkpoint: this.at(to), consistency: proof.map(toBase64) }
  }
}

let file = ''
let files = 0
beforeEach(() => {
  file = path.join(directory, `${++files}`, 'checkpoints.json')
})
const refusal = (code: string) => expect.objectContaining({ code })
const entries = ['genesis', 'one', 'two', 'three', 'four']

describe('checkpoints', () => {
  test('are kept as the log grows, and still known to the next run', async () => {
    const log = new Log('a').append(...entries)
    const checkpoints = await Checkpoints.open(file)
    expect(checkpoints.kept(log.pin)).toBeNull()
    await checkpoints.advance(log.pin, { checkpoint: log.at(2), consistency: [] })
    await checkpoints.advance(log.pin, log.growth(2, 5))
    expect((await Checkpoints.open(file)).kept(log.pin)).toBe(log.at(5))
  })

  test('of one broker are shown to the others, and not to itself', async () => {
    const [a, b, c] = [new Log('a').append('x'), new Log('b').append('y'), new Log('c')]
    const checkpoints = await Checkpoints.open(file)
    for (const log of [a, b]) await checkpoints.advance(log.pin, { checkpoint: log.at(1), consistency: [] })
    const pins = [a.pin, b.pin, c.pin]
    expect(checkpoints.carriedTo(a.pin, pins)).toEqual([{ broker: b.pin.id, tenant: 'b', checkpoint: b.at(1) }])
    expect(checkpoints.carriedTo(c.pin, pins)).toHaveLength(2)
  })

  test.each<[string, (log: Log) => Promise<{ checkpoint: string; consistency: readonly string[] }>, string]>([
    ['has shrunk', async (log) => ({ checkpoint: log.at(2), consistency: [] }), 'ledger.range'],
    ['grew without proof', async (log) => ({ checkpoint: log.at(5), consistency: [] }), 'ledger.broken'],
    ['proves another growth', async (log) => ({ ...log.growth(2, 5) }), 'ledger.broken'],
    [
      'is signed by a stranger',
      async () => ({ checkpoint: new Log('a').append(...entries).at(5), consistency: [] }),
      'ledger.checkpoint',
    ],
    [
      'is another log',
      async () => ({ checkpoint: new Log('b').append(...entries).at(5), consistency: [] }),
      'ledger.checkpoint',
    ],
    ['is not a checkpoint', async () => ({ checkpoint: 'size 5', consistency: [] }), 'input.malformed'],
  ])('G14 I06 refuse a log that %s, and keep what they had', async (_what, shown, code) => {
    const log = new Log('a').append(...entries)
    const checkpoints = await Checkpoints.open(file)
    await checkpoints.advance(log.pin, { checkpoint: log.at(3), consistency: [] })
    await expect(checkpoints.advance(log.pin, await shown(log))).rejects.toThrow(refusal(code))
    expect(checkpoints.kept(log.pin)).toBe(log.at(3))
  })

  test('I06 refuse a second history of the same length, signed by the very key', async () => {
    const log = new Log('a').append('genesis', 'one')
    const other = new Log('a', log.keys).append('genesis', 'another', 'two')
    const checkpoints = await Checkpoints.open(file)
    await checkpoints.advance(log.pin, { checkpoint: log.at(2), consistency: [] })
    for (const forked of [other.growth(2, 3), other.growth(2, 2)])
      await expect(checkpoints.advance(log.pin, forked)).rejects.toThrow(refusal('ledger.broken'))
  })

  test('that somebody changed on disk do not count', async () => {
    const log = new Log('a').append(...entries)
    const checkpoints = await Checkpoints.open(file)
    await checkpoints.advance(log.pin, { checkpoint: log.at(5), consistency: [] })
    writeFileSync(file, readFileSync(file, 'utf8').replace('\\n5\\n', '\\n2\\n'))
    await expect((await Checkpoints.open(file)).advance(log.pin, log.growth(2, 5))).rejects.toThrow(
      refusal('ledger.checkpoint'),
    )
  })
})
