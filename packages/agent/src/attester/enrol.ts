import { createHash } from 'node:crypto'
import { enrolmentProof, enrolmentTranscript, fromBase64, toBase64 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { GuestClient } from '@vouchsafe/client'
import type { Secret } from '@vouchsafe/core'
import type { Attester } from './attester.ts'

/**
 * Enrols this machine with one broker. The activated credential never leaves: what is sent is an HMAC over a transcript
 * that names the broker, the tenant and this exchange, so whoever relays the exchange gains nothing (decision 5).
 *
 * @param ticket - One-time, from owner or operator.
 * @throws {BrokerRefusal} `enrolment.*`, `endorsement.*`
 */
export async function enrol(attester: Attester, client: GuestClient, ticket: Secret) {
  const identity = await attester.identity()
  const begun = await client.beginEnrolment({
    ticket: Buffer.from(ticket.expose()).toString('utf8'),
    ekCertificate: toBase64(identity.ekCertificate),
    intermediates: [],
    ekPublic: toBase64(identity.ekPublic),
    akPublic: toBase64(identity.akPublic),
  })
  const secret = await attester.activate({
    credentialBlob: fromBase64(begun.credential, 'credential'),
    encryptedSecret: fromBase64(begun.secret, 'secret'),
  })
  const subject = {
    brokerId: client.pin.id,
    tenant: client.pin.tenant,
    akName: identity.akName,
    ekCertificateDigest: new Uint8Array(createHash('sha256').update(identity.ekCertificate).digest()),
    nonce: begun.nonce,
  }
  const { quote, registers } = await attester.quote(enrolmentTranscript(subject, nodeCrypto))
  return client.finishEnrolment({
    handle: begun.handle,
    proof: toBase64(enrolmentProof(secret, subject, nodeCrypto)),
    quote: { attest: toBase64(quote.attest), signature: toBase64(quote.signature) },
    registers,
  })
}
