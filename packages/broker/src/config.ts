import { readFileSync } from 'node:fs'
import { VouchsafeError, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { z } from 'zod'

/** A broker's configuration file. Unknown members stop the start (J12). Paths are relative to the file. */
export const configSchema = z.strictObject({
  listen: z.strictObject({ host: z.string().min(1), port: z.number().int().min(0).max(65_535) }),
  /** Where clients reach it; goes into the pins that agreements carry. With port 0 the bound port is put in. */
  publicUrl: z.url({ protocol: /^https$/ }),
  store: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('sqlite'), file: z.string().min(1) }),
    z.strictObject({ kind: z.literal('postgres'), url: z.string().min(1) }),
  ]),
  custody: z.strictObject({
    file: z.string().min(1),
    /** A file that holds the passphrase: a credential file of the service manager, or one only the broker can read. */
    passphraseFile: z.string().min(1),
  }),
  identity: z.string().min(1),
  /** The newest log heads, kept apart from the store, so that a store put back is noticed (G14). */
  headGuard: z.string().min(1),
  /** Policies on trial: evaluated beside the agreements’ own and recorded where they differ, without effect. */
  shadows: z.string().min(1).optional(),
})
export type BrokerConfig = Readonly<z.output<typeof configSchema>>

/** @throws {VouchsafeError} `input.malformed`, `input.unknown-member` */
export function readConfig(file: string): BrokerConfig {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    throw new VouchsafeError('input.malformed', `configuration ${file}: cannot be read`, { cause })
  }
  return Object.freeze(parseSchema(configSchema, parseStrictJson(bytes, { maxBytes: 65_536 }), `configuration ${file}`))
}
