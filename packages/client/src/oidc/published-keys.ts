import { fromBase64Url, parseSchema } from '@vouchsafe/core'
import { calculateJwkThumbprint, type CryptoKey, importJWK } from 'jose'
import { z } from 'zod'
import { fetchJson } from './fetch-json.ts'
import { OIDC_ALGORITHMS, type OidcIssuer } from './issuer.ts'
import { OidcRefusal } from './refusal.ts'

const DISCOVERY = '/.well-known/openid-configuration'
const MAX_KEYS = 64
const MIN_RSA_BYTES = 256

const discoverySchema = z.looseObject({ issuer: z.string(), jwks_uri: z.string() })
const text = z.string().max(4096)
const keySchema = z.looseObject({
  kty: text,
  kid: z.string().min(1).max(256),
  use: text.optional(),
  alg: text.optional(),
  crv: text.optional(),
  n: text.optional(),
  e: text.optional(),
  x: text.optional(),
  y: text.optional(),
})
const jwksSchema = z.looseObject({ keys: z.array(z.unknown()).max(MAX_KEYS) })
type PublishedKey = z.infer<typeof keySchema>

export interface PublishedKeys {
  /** By key id. */
  readonly keys: ReadonlyMap<string, CryptoKey>
  readonly maxAgeSeconds: number | undefined
}

/**
 * The keys that an issuer publishes now, found through its discovery document.
 *
 * @throws {OidcRefusal} `keys-untrusted` when a document is not the issuer's, sends elsewhere, or has no key that can be
 *   used; `keys-unavailable` when there is no answer.
 */
export async function fetchPublishedKeys(issuer: OidcIssuer, timeoutMs: number): Promise<PublishedKeys> {
  const discovery = new URL(`${issuer.issuer.replace(/\/$/, '')}${DISCOVERY}`)
  const found = await fetchJson(discovery, issuer, timeoutMs)
  const { issuer: named, jwks_uri: keysUri } = parsed(discoverySchema, found.json, discovery)
  if (named !== issuer.issuer)
    throw new OidcRefusal('keys-untrusted', `${discovery.href}: is of issuer ${named}, wanted ${issuer.issuer}`)
  const keysUrl = keysUrlOf(keysUri, issuer)
  const { json, maxAgeSeconds } = await fetchJson(keysUrl, issuer, timeoutMs)
  const { keys } = parsed(jwksSchema, json, keysUrl)
  return { keys: await usableKeys(keys, issuer, keysUrl), maxAgeSeconds }
}

function keysUrlOf(text: string, issuer: OidcIssuer): URL {
  const wanted = issuer.keysHost ?? new URL(issuer.issuer).host
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.host !== wanted)
    throw new OidcRefusal(
      'keys-untrusted',
      `${issuer.issuer}: sends to ${text} for its keys, wanted https on ${wanted}`,
    )
  return url
}

async function usableKeys(
  published: readonly unknown[],
  issuer: OidcIssuer,
  url: URL,
): Promise<ReadonlyMap<string, CryptoKey>> {
  const usable = new Map<string, CryptoKey>()
  const seen = new Set<string>()
  for (const entry of published) {
    const key = keySchema.safeParse(entry).data
    if (key === undefined) continue // of a kind we do not know, or without a name: no token can mean it
    if (seen.has(key.kid)) throw new OidcRefusal('keys-untrusted', `${url.href}: two keys are called ${key.kid}`)
    seen.add(key.kid)
    if (!isFor(key, issuer)) continue
    assertStrong(key, url)
    if (!(await isPinned(key, issuer))) continue
    usable.set(key.kid, await imported(key, issuer, url))
  }
  if (usable.size === 0)
    throw new OidcRefusal('keys-untrusted', `${url.href}: no key for ${issuer.algorithm} among ${published.length}`)
  return usable
}

/** Keys for other purposes and algorithms may stand beside. */
function isFor(key: PublishedKey, { algorithm }: OidcIssuer): boolean {
  const wanted: { readonly kty: string; readonly crv?: string } = OIDC_ALGORITHMS[algorithm]
  return (
    key.kty === wanted.kty &&
    key.crv === wanted.crv &&
    (key.use === undefined || key.use === 'sig') &&
    (key.alg === undefined || key.alg === algorithm)
  )
}

function assertStrong(key: PublishedKey, url: URL): void {
  if ('d' in key || 'k' in key) throw new OidcRefusal('keys-untrusted', `${url.href}: ${key.kid} is a private key`)
  if (key.kty !== 'RSA') return
  const [n, e] = [decoded(key.n, key, url), decoded(key.e, key, url)]
  if (n.length < MIN_RSA_BYTES || n[0] === 0)
    throw new OidcRefusal(
      'keys-untrusted',
      `${url.href}: ${key.kid} is RSA of ${n.length * 8} bits, wanted at least 2048`,
    )
  if (Buffer.compare(e, Buffer.of(1, 0, 1)) !== 0)
    throw new OidcRefusal('keys-untrusted', `${url.href}: ${key.kid} has another exponent than 65537`)
}

function decoded(text: string | undefined, { kid }: PublishedKey, url: URL): Uint8Array {
  try {
    return fromBase64Url(text ?? '', kid)
  } catch (cause) {
    throw new OidcRefusal('keys-untrusted', `${url.href}: ${kid} cannot be read`, { cause })
  }
}

async function isPinned(key: PublishedKey, { signingKeysSha256: pins }: OidcIssuer): Promise<boolean> {
  return pins === undefined || pins.includes(await calculateJwkThumbprint(material(key), 'sha256'))
}

async function imported(key: PublishedKey, { algorithm }: OidcIssuer, url: URL): Promise<CryptoKey> {
  try {
    return (await importJWK(material(key), algorithm, { extractable: false })) as CryptoKey
  } catch (cause) {
    throw new OidcRefusal('keys-untrusted', `${url.href}: ${key.kid} is no key for ${algorithm}`, { cause })
  }
}

/** What makes the key, and nothing else that the document says of it. */
function material({ kty, crv, n, e, x, y }: PublishedKey) {
  return Object.fromEntries(Object.entries({ kty, crv, n, e, x, y }).filter(([, value]) => value !== undefined)) as {
    kty: string
  }
}

function parsed<T extends z.ZodType>(schema: T, json: unknown, url: URL): z.output<T> {
  try {
    return parseSchema(schema, json, url.href)
  } catch (cause) {
    throw new OidcRefusal('keys-untrusted', (cause as Error).message, { cause })
  }
}
