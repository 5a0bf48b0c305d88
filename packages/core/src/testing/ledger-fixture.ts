import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Digest } from '../base/digest.ts'
import { type CheckpointSigner, formatCheckpoint } from '../ledger/checkpoint.ts'
import { type ExportedEntry, formatExportedEntry } from '../ledger/check-ledger.ts'
import { type EntryContent, encodeEntry } from '../ledger/entry.ts'
import { type LogKey, logKeyOf } from '../ledger/log-key.ts'
import {
  EMPTY_FRONTIER,
  type Frontier,
  type NodeRef,
  appendLeaf,
  leafHash,
  lastLeafOf,
  rootOf,
} from '../ledger/merkle.ts'

export const ORIGIN = 'vouchsafe/simulated/broker:test/clinic'
export const DIGEST = `sha256:${'ab'.repeat(32)}` as Digest

/** A log key of the test's own, with the signer that belongs to it. */
export function logKeyPair(
  origin = ORIGIN,
  privateKey = generateKeyPairSync('ed25519').privateKey,
): { readonly key: LogKey; readonly signer: CheckpointSigner } {
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  const key = logKeyOf(origin, new Uint8Array(Buffer.from(x, 'base64url')), nodeCrypto)
  const signer = {
    name: origin,
    keyHash: key.keyHash,
    sign: (bytes: Uint8Array) => new Uint8Array(sign(null, bytes, privateKey)),
  }
  return { key, signer }
}

/** A log in memory that appends, remembers every node and state, and exports. */
export class MemoryLog {
  readonly key: LogKey
  readonly signer: CheckpointSigner
  readonly exported: ExportedEntry[] = []
  readonly roots: Uint8Array[] = [rootOf(EMPTY_FRONTIER, nodeCrypto)]
  readonly #nodes: (readonly Uint8Array[])[] = []
  #frontier: Frontier = EMPTY_FRONTIER

  constructor(pair = logKeyPair()) {
    this.key = pair.key
    this.signer = pair.signer
  }

  /** A log of `entries`, the first of them genesis. */
  static of(entries: number): MemoryLog {
    const log = new MemoryLog()
    for (let seq = 0; seq < entries; seq++) log.append()
    return log
  }

  append(over: Partial<EntryContent> & { seq?: number; tenant?: string; time?: string } = {}): void {
    const seq = this.exported.length
    const genesis = { profile: 'simulated', broker: 'broker:test', origin: ORIGIN }
    const entry = encodeEntry({
      seq,
      tenant: 'clinic',
      time: new Date(Date.UTC(2026, 0, 1) + seq * 1000).toISOString(),
      kind: seq === 0 ? 'genesis' : 'decision',
      subject: `decision-${seq}`,
      digest: DIGEST,
      facts: seq === 0 ? genesis : { outcome: 'deny' },
      ...over,
    })
    this.appendBytes(entry)
  }

  appendBytes(entry: Uint8Array): void {
    const { frontier, completed } = appendLeaf(this.#frontier, leafHash(entry, nodeCrypto), nodeCrypto)
    this.#frontier = frontier
    this.#nodes.push(completed)
    const root = rootOf(frontier, nodeCrypto)
    this.roots.push(root)
    const checkpoint = formatCheckpoint({ origin: this.signer.name, size: frontier.size, root }, this.signer)
    this.exported.push({ entry, checkpoint })
  }

  lines(): string[] {
    return this.exported.map(formatExportedEntry)
  }

  state(size: number): { readonly size: number; readonly root: Uint8Array } {
    return { size, root: this.roots[size]! }
  }

  node = (ref: NodeRef): Uint8Array => this.#nodes[lastLeafOf(ref)]![ref.level]!
}
