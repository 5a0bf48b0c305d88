import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { dataRecipient, encryptDataFile, generateDataKey, OwnerClient, PrincipalKey } from '@vouchsafe/client'
import {
  type Agreement,
  type BrokerPin,
  brokerPinSchema,
  checkLedger,
  parseLogKey,
  parseSchema,
  replayRecord,
  signStatement,
  toBase64,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'
import type { JsonProcess } from '../json-process.ts'
import { startProgram } from './programs.ts'

const madeSchema = z.looseObject({ config: z.string(), pins: z.array(brokerPinSchema).length(1) })

/** An owner: a key, a broker of their own as a process, and the client to talk to it. */
export class Clinic {
  readonly id: string
  readonly key: PrincipalKey
  /** What everybody else must know of this clinic's broker; it goes into agreements. */
  readonly pin: BrokerPin
  readonly owner: OwnerClient
  readonly #directory: string
  readonly #broker: JsonProcess

  private constructor(id: string, key: PrincipalKey, pin: BrokerPin, directory: string, broker: JsonProcess) {
    this.id = id
    this.key = key
    this.pin = pin
    this.owner = new OwnerClient(pin, key, { timeoutMs: 20_000 })
    this.#directory = directory
    this.#broker = broker
  }

  /**
   * Makes a broker and starts it.
   *
   * @param manufacturer - DER: the maker whose TPMs count. It is a simulator's, so the store is of profile `simulated`
   *   and says so in all that it ever signs; on real hardware this is where the real makers' roots go.
   */
  static async start(id: string, directory: string, manufacturer: Uint8Array, codeCache: string): Promise<Clinic> {
    mkdirSync(directory, { mode: 0o700 })
    const key = PrincipalKey.generate()
    const anchor = { name: 'simulated maker', class: 'simulated', certificate: toBase64(manufacturer) }
    const request = {
      directory: path.join(directory, 'broker'),
      profile: 'simulated',
      listen: { host: '127.0.0.1', port: 0 },
      publicUrl: 'https://127.0.0.1:0',
      tenants: [{ id, owner: id, ownerKey: key.key, anchors: [anchor] }],
    }
    const requestFile = path.join(directory, 'init.json')
    writeFileSync(requestFile, JSON.stringify(request), { mode: 0o600 })
    const init = startProgram('broker', ['init', requestFile], codeCache)
    const { config, pins } = parseSchema(madeSchema, await init.line({}), 'broker init')
    const broker = startProgram('broker', ['serve', config], codeCache)
    const { url } = await broker.line({ event: 'broker.ready' })
    return new Clinic(id, key, { ...(pins[0] as BrokerPin), url: String(url) }, directory, broker)
  }

  /** Encrypts a table and gives the key to the broker. @returns The encrypted file, which anybody may have. */
  async encrypt(resource: string, table: string): Promise<string> {
    const key = await generateDataKey()
    const plain = new Blob([table]).stream() as ReadableStream<Uint8Array>
    const encrypted = await encryptDataFile(plain, await dataRecipient(key))
    const file = path.join(this.#directory, `${resource.replaceAll('/', '-')}.age`)
    const bytes = await new Response(encrypted as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer()
    writeFileSync(file, new Uint8Array(bytes))
    await this.owner.putResource(resource, key.expose(), 0)
    return file
  }

  /** Signs the agreement's exact bytes, and brings the signature to every broker: each verifies it alone. */
  async approve(agreement: Agreement, clinics: readonly Clinic[]): Promise<void> {
    const now = Date.now()
    const { signatures, ...envelope } = signStatement(
      {
        says: 'approve',
        agreement: agreement.digest,
        owner: this.id,
        key: this.key.key,
        purpose: agreement.body.purpose,
        issued: new Date(now - 1_000).toISOString(),
        expires: new Date(now + 3_600_000).toISOString(),
      },
      (bytes) => this.key.sign(bytes),
    )
    const statement = { ...envelope, signatures: signatures.map((signature) => ({ ...signature })) }
    for (const { owner } of clinics) await owner.bringStatement(statement)
  }

  /** Why this clinic's broker decided as it did: computed again here, from what it recorded, and not taken from its word. */
  async why(decision: string): Promise<readonly string[]> {
    const { record } = await this.owner.decision(decision)
    const { verdict, reproduced, signed } = await replayRecord(record, this.pin.decisions, nodeCrypto)
    if (!reproduced || signed !== true) throw new Error(`${decision} does not replay`)
    return verdict.reasons.map((r) => `${r.code}: ${r.actual}, wanted ${r.expected}`)
  }

  /** Exports the ledger and checks it with nothing but the key in the pin. */
  async audit(): Promise<{ readonly ok: boolean; readonly entries: number }> {
    const lines = (await this.owner.exportLedger()).trimEnd().split('\n')
    const logKey = parseLogKey(this.pin.log, nodeCrypto)
    const { ok, entries } = await checkLedger(lines, { logKey, crypto: nodeCrypto })
    return { ok, entries }
  }

  async stop(): Promise<void> {
    this.owner.close()
    await this.#broker.stop()
  }
}
