import { type JsonWebKey, createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type IdentityKey, VouchsafeError, parseSchema, parseStrictJson, toBase64 } from '@vouchsafe/core'
import { z } from 'zod'
import type { DistributorConfig } from './config.ts'
import type { IdentityKeys } from './context.ts'
import { fetchBytes } from './fetch-bytes.ts'

const MAX_JWKS_BYTES = 256 * 1024
/** Keys are asked for again after this long, and when a kid is not among them, but not more often than the second. */
const FRESH_MS = 3_600_000
const RETRY_MS = 10_000

const jwksSchema = z.looseObject({
  keys: z
    .array(
      z.looseObject({
        kty: z.string(),
        kid: z.string().max(256).optional(),
        alg: z.string().optional(),
        use: z.string().optional(),
        crv: z.string().optional(),
      }),
    )
    .max(64),
})

/** Follows an issuer's key rotation (TD defect 25): a file is read anew, an address is asked again when a kid is new. */
export function openIdentityKeys(config: DistributorConfig['identity']['keys']): IdentityKeys {
  if (config.kind === 'file')
    return {
      find: async (kid) => {
        try {
          return readKeys(readFileSync(config.file)).filter((k) => k.kid === kid)
        } catch (cause) {
          throw new VouchsafeError(
            'endorsement.unavailable',
            `identity keys: ${config.file}: ${(cause as Error).message}`,
            {
              cause,
            },
          )
        }
      },
    }
  return new FetchedKeys(config.url, config.authority)
}

class FetchedKeys implements IdentityKeys {
  readonly #url: string
  readonly #authority: string | undefined
  #keys: readonly IdentityKey[] = []
  #fetchedAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  #running: Promise<void> | null = null

  constructor(url: string, authority: string | undefined) {
    this.#url = url
    this.#authority = authority
  }

  async find(kid: string, at: Date): Promise<readonly IdentityKey[]> {
    const now = at.getTime()
    const stale = now - this.#fetchedAt >= FRESH_MS
    const unknown = !this.#keys.some((k) => k.kid === kid)
    if ((stale || unknown) && now - this.#askedAt >= RETRY_MS) {
      this.#askedAt = now
      // one call at a time, however many clients ask
      this.#running ??= this.#fetch(now).finally(() => (this.#running = null))
    }
    if (this.#running !== null) await this.#running
    if (now - this.#fetchedAt >= 2 * FRESH_MS)
      throw new VouchsafeError('endorsement.unavailable', 'identity keys: the issuer’s keys could not be fetched')
    return this.#keys.filter((k) => k.kid === kid)
  }

  async #fetch(now: number): Promise<void> {
    this.#keys = readKeys(await fetchBytes(this.#url, { authority: this.#authority }))
    this.#fetchedAt = now
  }
}

/** Keys that we know how to use; an issuer may publish others beside them. */
export function readKeys(bytes: Uint8Array): readonly IdentityKey[] {
  const { keys } = parseSchema(jwksSchema, parseStrictJson(bytes, { maxBytes: MAX_JWKS_BYTES }), 'JWKS')
  return keys.flatMap((jwk) => {
    const alg = jwk.kty === 'RSA' ? 'RS256' : jwk.kty === 'EC' && jwk.crv === 'P-256' ? 'ES256' : null
    if (alg === null || jwk.kid === undefined || (jwk.alg ?? alg) !== alg || (jwk.use ?? 'sig') !== 'sig') return []
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    return [{ kid: jwk.kid, alg, spki: toBase64(new Uint8Array(key.export({ format: 'der', type: 'spki' }))) } as const]
  })
}
