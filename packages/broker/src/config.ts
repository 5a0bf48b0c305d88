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
  /** Where the collateral of CPUs' vendors comes from and is kept. Left out: evidence of CPUs is refused. */
  collateral: z
    .strictObject({
      /** Where it is kept. Need not be trusted: everything is verified again when it is read. */
      folder: z.string().min(1),
      /** AMD’s key distribution service and Intel’s provisioning service unless told: mirrors and caches do as well. */
      amdUrl: z.url().exactOptional(),
      intelUrl: z.url().exactOptional(),
      intelRootCrlUrl: z.url().exactOptional(),
      /** Only what the folder holds: see `vouchsafe evidence bundle`. */
      offline: z.boolean().exactOptional(),
      /** PEM files with ASK and ASVK of roots that are not AMD’s own. */
      intermediates: z.array(z.string().min(1)).max(8).exactOptional(),
    })
    .exactOptional(),
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
