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
          throw unavailable(`${config.file}: ${(cause as Error).message}`, cause)
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
  /** Why the last attempt gave nothing; null once one succeeded. */
  #failure: unknown = null

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
    const found = this.#keys.filter((k) => k.kid === kid)
    // keys that are known serve through an outage of their issuer, for a while; of others nothing can be said in one
    if (now - this.#fetchedAt >= 2 * FRESH_MS || (found.length === 0 && this.#failure !== null))
      throw unavailable('the issuer’s keys could not be fetched', this.#failure)
    return found
  }

  async #fetch(now: number): Promise<void> {
    try {
      this.#keys = readKeys(await fetchBytes(this.#url, { authority: this.#authority }))
      this.#fetchedAt = now
      this.#failure = null
    } catch (error) {
      this.#failure = error
    }
  }
}

/**
 * Keys that we know how to use; an issuer may publish others beside them.
 *
 * @throws {VouchsafeError} `endorsement.malformed` for one that says it is such a key and is none; `input.malformed`
 */
export function readKeys(bytes: Uint8Array): readonly IdentityKey[] {
  const { keys } = parseSchema(jwksSchema, parseStrictJson(bytes, { maxBytes: MAX_JWKS_BYTES }), 'JWKS')
  return keys.flatMap((jwk) => {
    const alg = jwk.kty === 'RSA' ? 'RS256' : jwk.kty === 'EC' && jwk.crv === 'P-256' ? 'ES256' : null
    if (alg === null || jwk.kid === undefined || (jwk.alg ?? alg) !== alg || (jwk.use ?? 'sig') !== 'sig') return []
    return [{ kid: jwk.kid, alg, spki: toBase64(spkiOf(jwk as JsonWebKey, jwk.kid)) } as const]
  })
}

function spkiOf(jwk: JsonWebKey, kid: string): Uint8Array {
  try {
    return new Uint8Array(createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'spki' }))
  } catch (cause) {
    throw new VouchsafeError('endorsement.malformed', `identity keys: ${JSON.stringify(kid)} is no key`, { cause })
  }
}

function unavailable(why: string, cause: unknown): VouchsafeError {
  return new VouchsafeError('endorsement.unavailable', `identity keys: ${why}`, { cause })
}
