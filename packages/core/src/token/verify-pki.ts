import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { fromBase64, fromBase64Url, utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import type { Json } from '../base/strict-json.ts'
import { SIMULATOR_OID } from '../evidence/tpm/enrolment.ts'
import { markVerified, type Verified } from '../evidence/verified.ts'
import {
  type Anchor,
  type AnchorClass,
  type Certificate,
  parseCertificate,
  sameBytes,
  verifyChain,
} from '../x509/index.ts'
import { readJws } from './jws.ts'
import { checkTimes, seconds } from './times.ts'

/** Says that a policy judges this claim instead. Only right where a policy really does. */
export const LEFT_TO_POLICY = Symbol('left to policy')

/** What the relying party expects. All of it is required: what is not compared here is named as left to a policy. */
export interface PkiTokenExpectation {
  /** Made by `pinPkiRoot`. The token's own root must be this very certificate. */
  readonly root: Anchor
  readonly issuer: string | typeof LEFT_TO_POLICY
  readonly audience: string | typeof LEFT_TO_POLICY
  /** The one nonce that the token must carry, for example a channel binding. */
  readonly nonce: string | typeof LEFT_TO_POLICY
  readonly at: Date
}

/** A self-contained token whose signature, chain and times were checked. */
export interface PkiToken {
  /** Everything the issuer said, its own names kept: what policies read. */
  readonly claims: { readonly [claim: string]: Json }
  /** What the root proves; nothing in the token can raise it (decision 9). */
  readonly class: AnchorClass
  /** The claim `eat_nonce`, which issuers write as a string when it is one and as an array when there are several. */
  readonly nonces: readonly string[]
  readonly issuedAt: Date
  readonly expiresAt: Date
}

/** Such tokens are made for an hour. */
const MAX_LIFETIME_SECONDS = 3600
const MAX_NONCES = 6

const nonce = z.string().min(1).max(128)
/** Only what is checked here; the rest is the issuer's vocabulary and goes to policies as it came. */
const payloadSchema = z.looseObject({
  iss: z.string().min(1),
  aud: z.string().min(1), // one exact audience: arrays are refused (E09)
  iat: seconds,
  nbf: seconds,
  exp: seconds,
  eat_nonce: z.union([nonce, z.array(nonce).min(1).max(MAX_NONCES)]),
})

/**
 * Verifies a token that carries its own certificate chain (`x5c`: leaf, intermediate, root), so that no key has to be
 * fetched and no key rotation can cut anybody off. The chain's own root counts for nothing: it must be the pinned one.
 *
 * @returns Claims that are authentic. Whether they are acceptable is for a policy: see `LEFT_TO_POLICY`.
 * @throws {VouchsafeError} `token.malformed`, `token.signature`, `token.issuer`, `token.audience`, `token.nonce`,
 *   `token.expired`; `endorsement.untrusted` for another root or a chain of another shape, and the other codes of
 *   `verifyChain`; `evidence.algorithm` for a key or certificate signature other than RSA with SHA-256.
 * @source RFC 7515 section 4.1.6; RFC 5280 section 6.1. Revocation is not looked at: issuers publish no list, and leaves
 *   are young.
 */
export async function verifyPkiToken(
  token: string,
  expected: PkiTokenExpectation,
  crypto: CryptoPort,
): Promise<Verified<PkiToken>> {
  const { header, payload } = readJws(token, 'JWT', ['x5c', 'kid'], 'RS256')
  const leaf = await verifyX5c(header['x5c'], expected, crypto)
  await verifySignature(token, leaf, crypto)
  const parsed = payloadSchema.safeParse(payload)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new VouchsafeError('token.malformed', `payload ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const { iss, aud, iat, nbf, exp, eat_nonce } = parsed.data
  const nonces = typeof eat_nonce === 'string' ? [eat_nonce] : eat_nonce
  if (expected.issuer !== LEFT_TO_POLICY && iss !== expected.issuer)
    throw new VouchsafeError('token.issuer', `issuer ${iss}, wanted ${expected.issuer}`)
  if (expected.audience !== LEFT_TO_POLICY && aud !== expected.audience)
    throw new VouchsafeError('token.audience', `audience ${aud}, wanted ${expected.audience}`)
  // every nonce must be the one asked for: with "any of them" a token could serve two exchanges (E19)
  if (expected.nonce !== LEFT_TO_POLICY && (nonces.length !== 1 || nonces[0] !== expected.nonce))
    throw new VouchsafeError(
      'token.nonce',
      nonces.length === 1 ? 'the token’s nonce is another one' : `${nonces.length} nonces, wanted exactly one`,
    )
  checkTimes({ iat, nbf, exp }, MAX_LIFETIME_SECONDS, expected.at)
  return markVerified<PkiToken>({
    claims: payload,
    class: expected.root.class,
    nonces,
    issuedAt: new Date(iat * 1000),
    expiresAt: new Date(exp * 1000),
  })
}

/** @returns The leaf, whose chain holds. */
async function verifyX5c(x5c: Json | undefined, { root, at }: PkiTokenExpectation, crypto: CryptoPort) {
  if (!Array.isArray(x5c) || !x5c.every((entry) => typeof entry === 'string'))
    throw new VouchsafeError('token.malformed', 'header x5c: not a list of certificates')
  if (x5c.length !== 3)
    throw new VouchsafeError(
      'token.malformed',
      `header x5c: ${x5c.length} certificates, wanted leaf, intermediate and root`,
    )
  const [leaf, intermediate, top] = x5c.map((entry, i) => readCertificate(entry, i)) as [
    Certificate,
    Certificate,
    Certificate,
  ]
  if (!sameBytes(top.der, root.certificate.der))
    throw new VouchsafeError(
      'endorsement.untrusted',
      `header x5c: its root ${top.label} is not the pinned one, ${root.name}`,
    )
  for (const certificate of [leaf, intermediate]) {
    if (certificate.extensions.has(SIMULATOR_OID) && root.class !== 'simulated')
      throw new VouchsafeError(
        'endorsement.untrusted',
        `certificate ${certificate.label}: a simulator’s, under a root of class ${root.class}`,
      )
  }
  const { scheme } = leaf.signatureAlgorithm
  if (scheme?.kind !== 'rsa-pkcs1' || scheme.hash !== 'sha256')
    throw new VouchsafeError(
      'evidence.algorithm',
      `certificate ${leaf.label}: signatureAlgorithm: not RSA with SHA-256`,
    )
  if (leaf.basicConstraints?.ca === true)
    throw new VouchsafeError('endorsement.mismatch', `certificate ${leaf.label}: an authority, wanted a token signer`)
  const { path } = await verifyChain({
    leaf,
    intermediates: [intermediate],
    anchors: [root],
    at,
    crypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: 'any',
    revocation: 'not-checked',
  })
  if (path.length !== 2)
    throw new VouchsafeError('endorsement.untrusted', 'header x5c: the intermediate is not part of the chain')
  return leaf
}

function readCertificate(entry: string, index: number): Certificate {
  try {
    return parseCertificate(fromBase64(entry, `x5c[${index}]`))
  } catch (cause) {
    throw new VouchsafeError(
      'token.malformed',
      `header x5c[${index}]: ${cause instanceof Error ? cause.message : 'unreadable'}`,
      { cause },
    )
  }
}

/** The algorithm is ours, never the token's; RSA keys under 2048 bits do not import (E01, E02, E08). */
async function verifySignature(token: string, leaf: Certificate, crypto: CryptoPort): Promise<void> {
  const key = await crypto.importPublicKey(leaf.spki)
  if (key.algorithm.kind !== 'rsa')
    throw new VouchsafeError('evidence.algorithm', `certificate ${leaf.label}: key: ${key.algorithm.kind}, wanted RSA`)
  const end = token.lastIndexOf('.')
  const signature = fromBase64Url(token.slice(end + 1), 'signature')
  if (!(await crypto.verify(key, { kind: 'rsa-pkcs1', hash: 'sha256' }, utf8(token.slice(0, end)), signature)))
    throw new VouchsafeError('token.signature', `the signature does not verify under the key of ${leaf.label}`)
}
