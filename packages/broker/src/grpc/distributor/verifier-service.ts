import { createPublicKey, randomUUID } from 'node:crypto'
import type { ConnectRouter } from '@connectrpc/connect'
import { type P256Jwk, VouchsafeError, p256JwkSchema, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { encodeTpmSignature } from '@vouchsafe/tpm/codec'
import { Verifier } from '@vouchsafe/client/distributor'
import type { Distributor } from '../../distributor/context.ts'
import {
  type Activation,
  QUOTED_REGISTERS,
  activate,
  beginAttestation,
  offerQuote,
  takeQuote,
  takeSigningKey,
} from '../../distributor/verifier.ts'
import { answering } from './call.ts'

/** `Verifier`: everything by which a client shows its TPM. Nothing is released here. */
export function verifierService(router: ConnectRouter, distributor: Distributor): void {
  router.service(Verifier, {
    makeCredential: (request, context) =>
      answering(distributor, 'MakeCredential', context, async (client, at) => {
        const offered = {
          akName: request.akName,
          ekPublic: own(request.ekPub),
          akPublic: own(request.akPub),
          akSpki: request.akPubCert.length === 0 ? null : spkiOf(request.akPubCert, 'akPubCert'),
          ekCertificate: orNull(request.ekCertificate),
          intermediates: request.intermediates.map(own),
          sealKey: jwkOf(request.sealKey),
        }
        const made = await beginAttestation(distributor, client, offered, at)
        return {
          ...answerTo(request),
          pcr: made.register,
          credBlob: made.credentialBlob,
          encryptedSecret: made.encryptedSecret,
          nonce: made.nonce,
        }
      }),
    activateCredential: (request, context) =>
      answering(distributor, 'ActivateCredential', context, async (client, at) => {
        const answer: Activation =
          request.proof.length > 0
            ? { kind: 'proof', proof: own(request.proof) }
            : {
                kind: 'secret',
                secret: request.secret,
                attest: own(request.attestation),
                signature: rsaSignature(request.signature),
              }
        await activate(distributor, client, answer, at)
        return { ...answerTo(request), verified: true }
      }),
    offerQuote: (request, context) =>
      answering(distributor, 'OfferQuote', context, (client, at) => {
        const platformKey =
          request.platformAkPub.length === 0
            ? null
            : { akPublic: own(request.platformAkPub), sealKey: jwkOf(request.sealKey) }
        const { nonce, register } = offerQuote(distributor, client, platformKey, at)
        return { ...answerTo(request), pcr: register, nonce, pcrs: [...QUOTED_REGISTERS] }
      }),
    provideQuote: (request, context) =>
      answering(distributor, 'ProvideQuote', context, async (client, at) => {
        const values = Object.entries(request.registers)
        const ours = values.length > 0
        const shown = {
          attest: own(request.attestation),
          signature: ours ? own(request.signature) : rsaSignature(request.signature),
          registers: ours ? new Map(values.map(([n, value]) => [Number(n), own(value)])) : null,
          bootLog: orNull(request.bootLog),
        }
        return { ...answerTo(request), verified: await takeQuote(distributor, client, shown, at) }
      }),
    provideSigningKey: (request, context) =>
      answering(distributor, 'ProvideSigningKey', context, async (client, at) => {
        if (request.signingPublic.length === 0)
          throw new VouchsafeError('evidence.key', 'signingPublic is needed: a name cannot be checked without it')
        const shown = {
          signingPublic: own(request.signingPublic),
          spki: spkiOf(request.signingkey, 'signingkey'),
          attest: own(request.attestation),
          signature: own(request.signature),
        }
        await takeSigningKey(distributor, client, shown, at)
        return { ...answerTo(request), verified: true }
      }),
  })
}

function answerTo({ requestId }: { readonly requestId: string }) {
  return { responseID: randomUUID(), inResponseTo: requestId }
}

/** Clients of the original send the bare RSA signature; TPMT_SIGNATURE is what it came in. */
function rsaSignature(signature: Uint8Array): Uint8Array {
  return encodeTpmSignature({ scheme: 'rsassa', hash: 'sha256', signature: own(signature) })
}

/** Text of a public key, as PEM; told apart from anything else by whether it is one. */
function spkiOf(pem: Uint8Array, what: string): Uint8Array {
  try {
    return new Uint8Array(createPublicKey(Buffer.from(pem)).export({ format: 'der', type: 'spki' }))
  } catch (cause) {
    throw new VouchsafeError('input.malformed', `${what}: not a PEM public key`, { cause })
  }
}

function jwkOf(bytes: Uint8Array): P256Jwk | null {
  return bytes.length === 0 ? null : parseSchema(p256JwkSchema, parseStrictJson(bytes, { maxBytes: 1024 }), 'sealKey')
}

function orNull(bytes: Uint8Array): Uint8Array | null {
  return bytes.length === 0 ? null : own(bytes)
}

/** A private copy: messages share the buffer that they were read from. */
function own(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
