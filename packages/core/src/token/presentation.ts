import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { fromBase64 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { p256JwkSchema } from '../base/keys.ts'
import { verifyProof } from './proof.ts'
import { type TokenPayload, verifyToken } from './verify.ts'

/** The token and proof with which a release was asked for, and what they had to match. */
export const presentationSchema = z.strictObject({
  at: z.iso.datetime(),
  token: z.string().max(65_536),
  proof: z.string().max(65_536),
  method: z.string().max(16),
  path: z.string().max(512),
  body: z.string().max(262_144),
  nonce: z.string().min(1).max(512),
  nonceState: z.enum(['fresh', 'unissued', 'expired', 'used']),
  issuer: z.string(),
  audience: z.string(),
  keys: z.record(z.string(), p256JwkSchema),
})
export type Presentation = z.infer<typeof presentationSchema>

/**
 * The whole of what a caller shows to be served: a token of ours for this audience, and a proof of its key over this
 * very request with a nonce of ours.
 *
 * @throws {VouchsafeError} the codes of `verifyToken` and `verifyProof`, and `token.replayed` for a nonce that is not
 *   fresh. That a nonce is used once is settled later, in the store's transaction.
 */
export async function verifyPresentation(p: Presentation, crypto: CryptoPort): Promise<TokenPayload> {
  const token = await verifyToken(p.token, {
    issuer: p.issuer,
    audience: p.audience,
    keys: new Map(Object.entries(p.keys)),
    at: new Date(p.at),
  })
  const subject = { method: p.method, path: p.path, body: fromBase64(p.body, 'body'), token: p.token, nonce: p.nonce }
  await verifyProof(p.proof, subject, token.cnf.jkt, crypto)
  if (p.nonceState !== 'fresh') throw new VouchsafeError('token.replayed', `the proof’s nonce is ${p.nonceState}`)
  return token
}
