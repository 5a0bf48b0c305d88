import { parseSchema } from '@vouchsafe/core'
import { z } from 'zod'

/** Signature algorithms with the key that each takes. No symmetric one: a published key would be the secret (E02). */
export const OIDC_ALGORITHMS = {
  RS256: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
} as const
export type OidcAlgorithm = keyof typeof OIDC_ALGORITHMS

/** SHA-256 at its full length, in hexadecimal: a shorter one, or SHA-1, pins nothing (E18). */
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 has 64 lower-case hexadecimal digits')
const sha256Url = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'a SHA-256 thumbprint has 43 characters of base64url')
const scalar = z.union([z.string(), z.number(), z.boolean()])

const issuerUrl = z
  .url({ protocol: /^https$/ })
  .refine(
    (url) => new URL(url).search === '' && !url.includes('#') && !url.includes('@'),
    'without query, fragment and user',
  )

const host = z.string().regex(/^[a-z0-9.-]+(?::\d{1,5})?$/, 'a host name, with its port unless that is 443')

const claimSchema = z.union([z.array(scalar).min(1), z.strictObject({ includes: z.array(z.string()).min(1) })])
/** A claim must be one of these; or, with `includes`, a list that has all of them. Nothing accepts a claim that is missing. */
export type ClaimExpectation = z.infer<typeof claimSchema>

const issuerSchema = z.strictObject({
  /** Exactly as tokens have it, also where it ends in a slash. */
  issuer: issuerUrl,
  /** The one audience that tokens for this server have. Never a default one that others use, too. */
  audience: z.string().min(1),
  /** What this issuer signs with. A token does not choose. */
  algorithm: z.enum(Object.keys(OIDC_ALGORITHMS) as [OidcAlgorithm, ...OidcAlgorithm[]]),
  /** By path, `submods.gce.project_id`. At least one: every customer of a cloud has genuine tokens (DEF-39). */
  claims: z
    .record(z.string().min(1), claimSchema)
    .refine((claims) => Object.keys(claims).length > 0, 'no claim is expected'),
  /** Where the issuer publishes its keys. Default: on its own host. */
  keysHost: host.optional(),
  /** Longest life of a token. Default one hour. */
  maxLifetimeSeconds: z.number().int().min(1).max(86_400).default(3600),
  /** PEM. The only authorities whose TLS certificates count. Default: the system's. */
  certificateAuthorities: z.string().min(1).optional(),
  /** SHA-256 of the public keys that the servers may have, SubjectPublicKeyInfo. Default: any that their authority vouches for. */
  serverKeysSha256: z.array(sha256).min(1).optional(),
  /** RFC 7638 thumbprints of the signing keys that count. Default: all that the issuer publishes, so that it can rotate. */
  signingKeysSha256: z.array(sha256Url).min(1).optional(),
})

/** One issuer of tokens, and what its tokens must say. */
export type OidcIssuer = z.output<typeof issuerSchema>
export type OidcIssuerInput = z.input<typeof issuerSchema>

/** @throws {VouchsafeError} `input.malformed`, `input.unknown-member` */
export function parseOidcIssuer(input: unknown): OidcIssuer {
  return parseSchema(issuerSchema, input, 'OIDC issuer')
}
