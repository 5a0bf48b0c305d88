import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  type BrokerPin,
  fromBase64,
  parseLogKey,
  parseSchema,
  parseStrictJson,
  verifyCheckpoint,
  verifyConsistency,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'

/** A broker's proof that its log only grew since the checkpoint that the agent kept. */
export interface Growth {
  readonly checkpoint: string
  readonly consistency: readonly string[]
}

const fileSchema = z.record(z.string().max(512), z.string().max(16_384))
const MAX_FILE_BYTES = 1 << 20

/**
 * The last checkpoint of each broker's log (decision 16). A broker that shows a log which does not continue the kept one
 * is refused, and every broker is shown those of the others. The file is no secret and is not trusted: what is read from
 * it counts only with the log's signature.
 */
export class Checkpoints {
  readonly #file: string
  readonly #kept: Map<string, string>

  private constructor(file: string, kept: ReadonlyMap<string, string>) {
    this.#file = file
    this.#kept = new Map(kept)
  }

  /** @param file - Made when it is not there. */
  static async open(file: string): Promise<Checkpoints> {
    const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    const kept =
      bytes === null ? {} : parseSchema(fileSchema, parseStrictJson(bytes, { maxBytes: MAX_FILE_BYTES }), file)
    return new Checkpoints(file, new Map(Object.entries(kept)))
  }

  kept(pin: BrokerPin): string | null {
    return this.#kept.get(logName(pin)) ?? null
  }

  /** Checkpoints of the other brokers of an agreement, to be shown to this one. */
  carriedTo(pin: BrokerPin, pins: readonly BrokerPin[]) {
    return pins
      .filter((other) => logName(other) !== logName(pin))
      .flatMap((other) => {
        const checkpoint = this.kept(other)
        return checkpoint === null ? [] : [{ broker: other.id, tenant: other.tenant, checkpoint }]
      })
  }

  /**
   * Keeps a newer checkpoint, if the log that it is of continues the kept one.
   *
   * @throws {VouchsafeError} `ledger.checkpoint`, `ledger.broken`, `ledger.range`, `input.malformed`
   */
  async advance(pin: BrokerPin, { checkpoint, consistency }: Growth): Promise<void> {
    const key = parseLogKey(pin.log, nodeCrypto)
    const newer = await verifyCheckpoint(checkpoint, key, nodeCrypto)
    const kept = this.kept(pin)
    if (kept !== null) {
      const proof = consistency.map((hash) => fromBase64(hash, 'consistency'))
      verifyConsistency(await verifyCheckpoint(kept, key, nodeCrypto), newer, proof, nodeCrypto)
    }
    this.#kept.set(logName(pin), checkpoint)
    await this.#write()
  }

  async #write(): Promise<void> {
    await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 })
    await writeFile(`${this.#file}.new`, JSON.stringify(Object.fromEntries(this.#kept)), { mode: 0o600 })
    await rename(`${this.#file}.new`, this.#file)
  }
}

/** A log's key names broker, tenant and profile at once. */
function logName(pin: BrokerPin): string {
  return pin.log
}
