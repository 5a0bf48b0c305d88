import { pinPkiRoot, toHex, verifyPkiToken } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { SIMULATED_ISSUER } from '@vouchsafe/simulator'
import { z } from 'zod'
import type { Machine } from './start-machine.ts'

const AUDIENCE = 'auditor'
const NONCE = 'chosen-by-the-auditor'

const claimsSchema = z.object({
  submods: z.object({
    container: z.object({ image_digest: z.string(), env_override: z.record(z.string(), z.string()).optional() }),
  }),
})

/** Asks a machine what runs there, as an auditor does who knows the root: which program, and what was told to it at launch. */
export async function audit(vouch: Machine['vouch'], root: Uint8Array<ArrayBuffer>) {
  const sha256 = toHex(nodeCrypto.digest('sha256', root))
  const anchor = pinPkiRoot(root, { sha256, class: 'simulated', name: 'pinned' }, nodeCrypto)
  const asked = { root: anchor, issuer: SIMULATED_ISSUER, audience: AUDIENCE, nonce: NONCE, at: new Date() }
  const { claims } = await verifyPkiToken(await vouch(AUDIENCE, NONCE), asked, nodeCrypto)
  return claimsSchema.parse(claims).submods.container
}
