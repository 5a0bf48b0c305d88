import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { OwnerClient, PrincipalKey } from '@vouchsafe/client'
import { type BrokerPin, brokerPinSchema, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { z } from 'zod'
import { UsageError } from './output.ts'

const ownerFileSchema = z.strictObject({
  vouchsafe: z.literal('owner/v1'),
  /** Path of the PEM key, relative to this file. */
  key: z.string().min(1),
  broker: brokerPinSchema,
})

/** Who a command acts as: a key, and the broker that is pinned for it. */
export interface OwnerFile {
  readonly key: PrincipalKey
  readonly broker: BrokerPin
}

/** @param file - From `--as`, else `VOUCHSAFE_OWNER`, else `owner.json` here. */
export function readOwner(file: string | undefined): OwnerFile {
  const chosen = file ?? process.env['VOUCHSAFE_OWNER'] ?? 'owner.json'
  let bytes: Uint8Array
  try {
    bytes = readFileSync(chosen)
  } catch (cause) {
    throw new UsageError(
      `no owner file ${chosen}: ${(cause as Error).message}`,
      'make one with: vouchsafe owner init, or name it with --as FILE',
    )
  }
  const parsed = parseSchema(ownerFileSchema, parseStrictJson(bytes, { maxBytes: 65_536 }), chosen)
  const key = PrincipalKey.fromPem(readFileSync(path.resolve(path.dirname(chosen), parsed.key), 'utf8'))
  return { key, broker: parsed.broker }
}

/** Opens the owner's broker, runs, and closes it whatever happens. */
export async function withOwner<T>(
  file: string | undefined,
  run: (client: OwnerClient, owner: OwnerFile) => Promise<T>,
): Promise<T> {
  const owner = readOwner(file)
  const client = new OwnerClient(owner.broker, owner.key, { timeoutMs: 30_000 })
  try {
    return await run(client, owner)
  } finally {
    client.close()
  }
}

/** Writes an owner file beside its key. */
export function writeOwner(file: string, keyFile: string, broker: BrokerPin): void {
  const key = path.relative(path.dirname(path.resolve(file)), path.resolve(keyFile))
  writeFileSync(file, `${JSON.stringify({ vouchsafe: 'owner/v1', key, broker }, null, 2)}\n`, { mode: 0o600 })
}
