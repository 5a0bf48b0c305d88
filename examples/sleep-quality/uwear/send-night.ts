import { readFileSync } from 'node:fs'
import { channelBinding } from '@vouchsafe/client'
import { fromUtf8, LEFT_TO_POLICY, parseSchema, parseStrictJson, verifyPkiToken, type x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Policy } from '@vouchsafe/rego'
import { CHANNEL, CLOSE, MAX_MESSAGE_BYTES, MESSAGE_MS, type Verdict, verdictSchema } from '../protocol.ts'
import { type Connection, dial, hangUp } from './connect.ts'
import { judge, type Judgement } from './judge.ts'

export interface Errand {
  readonly address: { readonly host: string; readonly port: number }
  readonly identity: { readonly cert: string; readonly key: string }
  readonly root: x509.Anchor
  readonly policy: Policy
  /** Opened only after the policy has allowed it. */
  readonly dataFile: string
}

export type Outcome = Judgement & ({ readonly sent: false } | { readonly sent: true; readonly verdict: Verdict })

/**
 * The whole of what UWear does: take USleep’s token, judge it for this very connection, and only then read the night
 * from disk and send it.
 *
 * @throws {VouchsafeError} where there is no answer: no token, a token that is not authentic, no binding. Nothing was
 *   sent in any of these cases.
 */
export async function sendNight(errand: Errand): Promise<Outcome> {
  const connection = await dial(errand.address, errand.identity)
  let goodbye: readonly [number, string] = [CLOSE.failed, 'failed']
  try {
    const judgement = await judgePeer(connection, errand)
    goodbye = judgement.allow ? [CLOSE.done, ''] : [CLOSE.refused, 'refused by policy']
    if (!judgement.allow) return { ...judgement, sent: false }
    return { ...judgement, sent: true, verdict: await exchange(connection, errand.dataFile) }
  } finally {
    hangUp(connection, ...goodbye)
  }
}

async function judgePeer({ tls, inbox }: Connection, { root, policy }: Errand): Promise<Judgement> {
  const nonce = channelBinding(tls, { side: 'client', ...CHANNEL })
  const token = fromUtf8(await inbox.next('text', 'token', MESSAGE_MS), 'token')
  // the policy compares issuer, audience and nonce, so that each of them shows as a rule of its own
  const left = { issuer: LEFT_TO_POLICY, audience: LEFT_TO_POLICY, nonce: LEFT_TO_POLICY } as const
  const verified = await verifyPkiToken(token, { root, ...left, at: new Date() }, nodeCrypto)
  return judge(policy, verified, nonce)
}

async function exchange({ webSocket, inbox }: Connection, dataFile: string): Promise<Verdict> {
  webSocket.send(readFileSync(dataFile), { binary: true })
  const answer = await inbox.next('text', 'verdict', MESSAGE_MS)
  return parseSchema(verdictSchema, parseStrictJson(answer, { maxBytes: MAX_MESSAGE_BYTES }), 'verdict')
}
