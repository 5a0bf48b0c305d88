import { readFileSync } from 'node:fs'
import { BrokerRefusal, GuestClient } from '@vouchsafe/client'
import { type BrokerPin, VouchsafeError, signProof, toBase64Url, utf8, wire } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import { newP256 } from './raw-guest.ts'

/**
 * A hostile party: a process of its own, with keys of its own and what it captured from others. Its one line of output
 * says how the broker answered. It has no more of the honest guest than the file it is given.
 */
export interface Captured {
  readonly pin: BrokerPin
  readonly attack: 'replay' | 'relay' | 'forward'
  /** An attestation request as it went over the wire. */
  readonly body: z.input<typeof wire.attestRequest>
  /** The token that came back, where the attack uses one. */
  readonly token: string
  readonly resources: readonly string[]
}

/** How an attack went: `refused` with code and decision, or not. */
export type HostileOutcome =
  | { readonly refused: true; readonly code: string; readonly decision: string | null }
  | { readonly refused: false; readonly got: string }

async function run(captured: Captured): Promise<string> {
  const client = new GuestClient(captured.pin, { timeoutMs: 10_000 })
  try {
    switch (captured.attack) {
      case 'replay': // the same bytes once more
        return (await client.attest(captured.body)).id
      case 'relay': {
        // the honest guest's evidence, with the thief's keys beside it
        const own = { sealKey: newP256().jwk, proofKey: newP256().jwk }
        return (await client.attest({ ...captured.body, ...own })).id
      }
      case 'forward': {
        // somebody else's token, with a proof by the thief's own key: the honest one's is not to be had
        const own = newP256()
        const nonce = await client.nonce('release', captured.body.session)
        const body = utf8(JSON.stringify({ resources: captured.resources, requestId: toBase64Url(randomBytes(16)) }))
        const subject = { method: 'POST', path: client.releasePath, body, token: captured.token, nonce }
        const proof = await signProof(subject, own.jwk, own.privateKey as never, nodeCrypto)
        return (await client.release(body, captured.token, proof)).decision
      }
    }
  } finally {
    client.close()
  }
}

const captured = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Captured
const outcome: HostileOutcome = await run(captured).then(
  (got) => ({ refused: false, got }),
  (error: unknown) => {
    if (error instanceof BrokerRefusal) return { refused: true, code: error.code, decision: error.decision }
    if (error instanceof VouchsafeError) return { refused: true, code: error.code, decision: null }
    throw error
  },
)
process.stdout.write(`${JSON.stringify(outcome)}\n`)
