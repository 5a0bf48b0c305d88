import { parseStrictJson } from '@vouchsafe/core/base'
import { z } from 'zod'
import { ImageError } from '../errors.ts'
import type { RegistryHost } from './registry-config.ts'

const MAX_REGISTRIES_BYTES = 1024 * 1024
const hostSchema = z.strictObject({
  plainHttp: z.boolean().exactOptional(),
  privateNetwork: z.boolean().exactOptional(),
  certificateAuthorities: z.array(z.string()).exactOptional(),
  clientCertificate: z.strictObject({ certificate: z.string(), key: z.string() }).exactOptional(),
  realmHosts: z.array(z.string()).exactOptional(),
  redirectHosts: z.array(z.string()).exactOptional(),
  mirrors: z.array(z.strictObject({ registry: z.string(), pathPrefix: z.string().exactOptional() })).exactOptional(),
  blocked: z.boolean().exactOptional(),
})
const fileSchema = z.record(z.string(), hostSchema)

/**
 * Reads how registries are reached, by host. Whether names are hosts is checked where a client is made of it.
 *
 * @param what - The file, for messages.
 * @throws {ImageError} `document.malformed`
 */
export function parseRegistries(bytes: Uint8Array, what = 'registries'): Readonly<Record<string, RegistryHost>> {
  let value: unknown
  try {
    value = parseStrictJson(bytes, { maxBytes: MAX_REGISTRIES_BYTES })
  } catch (cause) {
    throw new ImageError('document.malformed', `${what}: ${(cause as Error).message}`, { cause })
  }
  const parsed = fileSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new ImageError('document.malformed', `${what}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`)
}
