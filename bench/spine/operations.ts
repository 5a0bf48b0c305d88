import { randomBytes } from 'node:crypto'
import type { GuestClient } from '@vouchsafe/client'
import { enrolmentProof, enrolmentTranscript, fromBase64, toBase64, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { TEMPLATES, Tpm } from '@vouchsafe/tpm'
import { encodeTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { type RawAttestation, releaseRequest } from 'vouchsafe/attack/raw-guest'
import { type Clinic, RESOURCE } from './clinic.ts'

/*
 * Each operation in two parts. First the guest makes it ready: keys, a nonce, the quote of its TPM, the signed request.
 * What is left is one request or two that wait only for the broker: its speed apart from the TPM's, on real evidence.
 */

/** Sends what was made ready; rejects unless the answer is yes. */
export type Send = () => Promise<unknown>

const EK_CERTIFICATE = 0x01c0000a
/** A token lives for minutes; a new one is fetched well before its end. */
const TOKEN_AGE_MS = 60_000

/** Fresh keys, a nonce of the broker, and a quote over both. */
export async function attestation({ client, guest, machine, agreement }: Clinic): Promise<Send> {
  const { body } = await guest.attestBody(client, machine, agreement)
  return () => client.attest(body)
}

const attested = new WeakMap<Clinic, { readonly by: RawAttestation; readonly at: number }>()

/** A token, and a fresh proof over a nonce of the broker. No TPM takes part. */
export async function release(clinic: Clinic): Promise<Send> {
  const { client, guest, machine, agreement } = clinic
  let last = attested.get(clinic)
  if (last === undefined || Date.now() - last.at > TOKEN_AGE_MS) {
    last = { by: await guest.attest(client, machine, agreement), at: Date.now() }
    attested.set(clinic, last)
  }
  return (await releaseRequest(client, last.by, [RESOURCE])).send
}

/** An enrolment: two requests, between which the TPM activates what the first one gave. */
export interface Enrolment {
  readonly begin: Send
  /** @returns The second request. */
  activate(): Promise<Send>
}

/** A machine that was never enrolled: an attestation key of its own, under the guest's one endorsement key. */
export async function enrolment({ client, owner, guest }: Clinic): Promise<Enrolment> {
  // the TPM makes the same key from the same template: none needs to stay loaded meanwhile
  const template = { ...TEMPLATES.akEccP256, x: new Uint8Array(randomBytes(32)) }
  const keys = async <T>(use: (tpm: Tpm, ek: Key, ak: Key) => Promise<T>): Promise<T> => {
    await using tpm = await Tpm.open(guest.machine.tpm)
    await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template })
    return await use(tpm, ek, ak)
  }
  const { ekCertificate, ekPublic, akPublic } = await keys(async (tpm, ek, ak) => ({
    ekCertificate: await tpm.nvRead(EK_CERTIFICATE),
    ekPublic: toBase64(encodeTpmPublic(ek.public)),
    akPublic: toBase64(encodeTpmPublic(ak.public)),
  }))
  const { ticket } = await owner.issueTicket('guest', 600)
  let begun: Awaited<ReturnType<GuestClient['beginEnrolment']>> | undefined
  const request = { ticket, ekCertificate: toBase64(ekCertificate), intermediates: [], ekPublic, akPublic }
  return {
    begin: async () => (begun = await client.beginEnrolment(request)),
    activate: () =>
      keys(async (tpm, ek, ak) => {
        if (begun === undefined) throw new Error('an enrolment goes on before it has begun')
        const { handle, nonce } = begun
        const challenge = { credentialBlob: fromBase64(begun.credential), encryptedSecret: fromBase64(begun.secret) }
        const secret = await tpm.activateCredential({ object: ak, endorsementKey: ek, challenge })
        const subject = {
          brokerId: client.pin.id,
          tenant: client.pin.tenant,
          akName: tpmName(ak.public, nodeCrypto.digest),
          ekCertificateDigest: nodeCrypto.digest('sha256', ekCertificate),
          nonce,
        }
        const quote = await tpm.quote({ key: ak, bank: 'sha256', extraData: enrolmentTranscript(subject, nodeCrypto) })
        const body = {
          handle,
          proof: toBase64(enrolmentProof(secret, subject, nodeCrypto)),
          quote: { attest: toBase64(quote.attest), signature: toBase64(quote.signature) },
          registers: Object.fromEntries([...quote.pcrs.values].map(([n, value]) => [String(n), toHex(value)])),
        }
        return () => client.finishEnrolment(body)
      }),
  }
}

type Key = Awaited<ReturnType<Tpm['createPrimary']>>
