import { randomBytes } from 'node:crypto'
import {
  type ClientExchange,
  VouchsafeError,
  channelNonce,
  clientActivationProof,
  fromBase64,
  jwkThumbprint,
  signingKeyBinding,
  toBase64Url,
  toHex,
  translated,
  utf8,
  verifyClientTpm,
} from '@vouchsafe/core'
import type { P256Jwk } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { makeCredential } from '@vouchsafe/tpm'
import { parseTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import {
  ALL_PCRS,
  importAttestationKey,
  spkiOfTpmPublic,
  verifyTpmCertify,
  verifyTpmQuote,
} from '@vouchsafe/tpm/verify'
import { parsedAnchorsOf } from '../services/anchors.ts'
import type { KnownClient } from './authenticate.ts'
import { certifySigningKey } from './certify-key.ts'
import type { Distributor } from './context.ts'
import { type AttestationSession, shownEvidence } from './sessions.ts'

const NONCE_LIFETIME_MS = 60_000
/** The credential travels as text in the original protocol, so it is text: 24 random bytes, 32 characters. */
const CREDENTIAL_BYTES = 24

/** What MakeCredential brings. */
export interface OfferedKeys {
  readonly akName: string
  readonly ekPublic: Uint8Array
  readonly akPublic: Uint8Array
  /** SubjectPublicKeyInfo of the attestation key, as some clients send it beside; must be the same key. */
  readonly akSpki: Uint8Array | null
  readonly ekCertificate: Uint8Array | null
  readonly intermediates: readonly Uint8Array[]
  readonly sealKey: P256Jwk | null
}

/**
 * Makes a credential that only the approved TPM can open, and only for this attestation key.
 *
 * @throws {VouchsafeError} `endorsement.mismatch`, `evidence.key`, `evidence.mismatch`, `policy.delivery`
 */
export async function beginAttestation(distributor: Distributor, client: KnownClient, offered: OfferedKeys, at: Date) {
  const { terms, call } = client
  if (terms.body.tpm.kind !== 'required')
    throw new VouchsafeError('evidence.unsupported', 'this client is exempt from TPM checks: nothing is verified of it')
  const approved = fromBase64(terms.body.tpm.endorsementKey, 'endorsementKey')
  const { ekPublic, akPublic } = offered
  return translated(async () => {
    const endorsementKey = parseTpmPublic(ekPublic)
    if (!nodeCrypto.equal(spkiOfTpmPublic(endorsementKey), approved))
      throw new VouchsafeError('endorsement.mismatch', 'ekPub is not the endorsement key that the owner approved')
    const { fixedTPM, fixedParent, restricted, decrypt, sign } = endorsementKey.attributes
    if (!fixedTPM || !fixedParent || !restricted || !decrypt || sign)
      throw new VouchsafeError('evidence.key', 'ekPub is not a restricted decryption key that is fixed to its TPM')
    await importAttestationKey(akPublic, nodeCrypto)
    const area = parseTpmPublic(akPublic)
    const akName = tpmName(area, nodeCrypto.digest)
    if (offered.akName !== toHex(akName))
      throw new VouchsafeError('evidence.mismatch', 'akName is not the name of akPub')
    if (offered.akSpki !== null && !nodeCrypto.equal(offered.akSpki, spkiOfTpmPublic(area)))
      throw new VouchsafeError('evidence.mismatch', 'akPubCert is another key than akPub')
    const credential = utf8(toBase64Url(randomBytes(CREDENTIAL_BYTES)))
    const nonce = newNonce()
    const made = makeCredential({ endorsementKey, objectName: akName, credential })
    const session: AttestationSession = {
      ekPublic,
      ekCertificate: offered.ekCertificate,
      intermediates: offered.intermediates,
      akPublic,
      sealKey: offered.sealKey,
      challenge: { credential, nonce, expiresAt: new Date(at.getTime() + NONCE_LIFETIME_MS) },
      activation: 'not-activated',
      quoteNonce: null,
      signingNonce: null,
      quote: null,
    }
    distributor.sessions.begin(client.address.instance, call.channel.certificate, session, at)
    return { ...made, nonce, register: firstRegister(client) }
  })
}

/** How a client shows that it opened the credential: the text itself with a quote over it, or a keyed hash of the exchange. */
export type Activation =
  | { readonly kind: 'secret'; readonly secret: string; readonly attest: Uint8Array; readonly signature: Uint8Array }
  | { readonly kind: 'proof'; readonly proof: Uint8Array }

/** @throws {VouchsafeError} `enrolment.credential`; the challenge is used up whatever comes of it */
export async function activate(
  distributor: Distributor,
  client: KnownClient,
  answer: Activation,
  at: Date,
): Promise<void> {
  const session = sessionOf(distributor, client, at)
  const { challenge } = session
  session.challenge = null
  if (challenge === null || challenge.expiresAt <= at)
    throw new VouchsafeError('enrolment.credential', 'no credential was made for this client, or it has expired')
  const akName = tpmName(parseTpmPublic(session.akPublic), nodeCrypto.digest)
  const sealKey = session.sealKey === null ? '' : jwkThumbprint(session.sealKey, nodeCrypto)
  const { credential, nonce } = challenge
  const expected =
    answer.kind === 'proof'
      ? clientActivationProof(credential, exchangeOf(distributor, client), { nonce, akName, sealKey }, nodeCrypto)
      : credential
  const shown = answer.kind === 'proof' ? answer.proof : utf8(answer.secret)
  if (!nodeCrypto.equal(shown, expected))
    throw new VouchsafeError('enrolment.credential', 'the credential was not opened by the approved TPM')
  if (answer.kind === 'secret') {
    const { attest, signature } = answer
    await verifyPinnedRegister(client, { attest, signature, akPublic: session.akPublic, extraData: credential })
  }
  session.activation = 'activated'
}

/** Gives a nonce for the next quote. A client may ask again and again; each nonce serves once (TD-20). */
export function offerQuote(
  distributor: Distributor,
  client: KnownClient,
  platformKey: { readonly akPublic: Uint8Array; readonly sealKey: P256Jwk | null } | null,
  at: Date,
): { readonly nonce: string; readonly register: number } {
  if (platformKey !== null) {
    const session: AttestationSession = {
      ekPublic: null,
      ekCertificate: null,
      intermediates: [],
      akPublic: platformKey.akPublic,
      sealKey: platformKey.sealKey,
      challenge: null,
      activation: 'platform-key',
      quoteNonce: null,
      signingNonce: null,
      quote: null,
    }
    distributor.sessions.begin(client.address.instance, client.call.channel.certificate, session, at)
  }
  const session = sessionOf(distributor, client, at)
  if (session.activation === 'not-activated')
    throw new VouchsafeError('evidence.unenrolled', 'activate the attestation key first')
  const value = newNonce()
  session.quoteNonce = { value, expiresAt: new Date(at.getTime() + NONCE_LIFETIME_MS) }
  session.signingNonce = session.quoteNonce
  const certificate = client.call.channel.certificate ?? ''
  const nonce =
    session.sealKey === null
      ? channelNonce(exchangeOf(distributor, client), { random: value, certificate }, nodeCrypto)
      : value
  return { nonce, register: firstRegister(client) }
}

/** What ProvideQuote brings. */
export interface ShownQuote {
  readonly attest: Uint8Array
  readonly signature: Uint8Array
  readonly registers: ReadonlyMap<number, Uint8Array> | null
  readonly bootLog: Uint8Array | null
}

/**
 * Keeps a quote for the next decision, and says whether it would stand: by the approved TPM, over the nonce, with registers
 * that the owner pins. A bad one is kept as well, so that the decision can tell its owner what was wrong with it.
 */
export async function takeQuote(
  distributor: Distributor,
  client: KnownClient,
  shown: ShownQuote,
  at: Date,
): Promise<boolean> {
  const session = sessionOf(distributor, client, at)
  const { quoteNonce } = session
  session.quoteNonce = null
  if (quoteNonce === null || session.activation === 'not-activated')
    throw new VouchsafeError('evidence.stale', 'no nonce was offered for this quote, or it was used up')
  session.quote = {
    nonce: quoteNonce,
    quote: { attest: toBase64Url(shown.attest), signature: toBase64Url(shown.signature) },
    registers:
      shown.registers === null ? null : Object.fromEntries([...shown.registers].map(([n, v]) => [String(n), toHex(v)])),
    bootLog: shown.bootLog === null ? null : toBase64Url(shown.bootLog),
  }
  return stands(distributor, client, session, at)
}

async function stands(
  distributor: Distributor,
  client: KnownClient,
  session: AttestationSession,
  at: Date,
): Promise<boolean> {
  const { terms, call, address } = client
  const evidence = shownEvidence(session, at)
  if (evidence === null || terms.body.tpm.kind !== 'required') return false
  const { endorsementKey, registers: pinned } = terms.body.tpm
  const platformKey =
    session.activation === 'platform-key' ? (await distributor.instances.read(address, at)).tpm.attestationKey : null
  try {
    const { registers } = await verifyClientTpm(
      evidence,
      {
        exchange: exchangeOf(distributor, client),
        certificate: call.channel.certificate ?? '',
        endorsementKey: fromBase64(endorsementKey, 'endorsementKey'),
        platformKey: platformKey === null ? null : fromBase64(platformKey, 'attestationKey'),
        pinned,
        anchors: await parsedAnchorsOf(distributor.services.store, distributor.context.tenant.id),
        at,
      },
      nodeCrypto,
    )
    return Object.entries(pinned).every(([n, values]) => values.includes(registers[n] ?? ''))
  } catch (error) {
    if (error instanceof VouchsafeError && error.code !== 'internal') return false
    throw error
  }
}

/** A key made in the client's TPM, certified there by the attestation key over our nonce, and recorded here (TD-22). */
export async function takeSigningKey(
  distributor: Distributor,
  client: KnownClient,
  shown: {
    readonly signingPublic: Uint8Array
    readonly spki: Uint8Array
    readonly attest: Uint8Array
    readonly signature: Uint8Array
  },
  at: Date,
): Promise<void> {
  const session = sessionOf(distributor, client, at)
  const { signingNonce } = session
  session.signingNonce = null
  if (signingNonce === null || signingNonce.expiresAt <= at || session.activation === 'not-activated')
    throw new VouchsafeError('evidence.stale', 'no nonce was offered for this certification, or it was used')
  const expectedExtraData = signingKeyBinding(exchangeOf(distributor, client), signingNonce.value, nodeCrypto)
  const { certified, certifiedSpki } = await translated(() =>
    verifyTpmCertify(
      {
        attest: shown.attest,
        signature: shown.signature,
        akPublic: session.akPublic,
        certifiedPublic: shown.signingPublic,
        usage: 'sign',
        authPolicy: 'any',
        expectedExtraData,
      },
      nodeCrypto,
    ),
  )
  if (certified.attributes.restricted)
    throw new VouchsafeError('evidence.key', 'the signing key is restricted: it could sign nothing but TPM statements')
  if (!nodeCrypto.equal(certifiedSpki, shown.spki))
    throw new VouchsafeError('evidence.mismatch', 'signingkey is another key than the one certified')
  await certifySigningKey(distributor, client, certifiedSpki)
}

export function exchangeOf({ context }: Distributor, { address }: KnownClient): ClientExchange {
  return { brokerId: context.brokerId, tenant: context.tenant.id, instance: address.instance }
}

/** The registers that a client of ours quotes. */
export const QUOTED_REGISTERS = ALL_PCRS

function sessionOf(distributor: Distributor, { address, call }: KnownClient, at: Date): AttestationSession {
  const session = distributor.sessions.find(address.instance, call.channel.certificate, at)
  if (session === null) throw new VouchsafeError('evidence.unenrolled', 'begin with MakeCredential in this connection')
  return session
}

/** For clients that know of one register only. */
function firstRegister({ terms }: KnownClient): number {
  const [first] = terms.body.tpm.kind === 'required' ? Object.keys(terms.body.tpm.registers) : []
  return Number(first ?? 0)
}

/** The quote that answers a credential in the original protocol: over one register, which must hold a pinned value. */
async function verifyPinnedRegister(
  client: KnownClient,
  quote: {
    readonly attest: Uint8Array
    readonly signature: Uint8Array
    readonly akPublic: Uint8Array
    readonly extraData: Uint8Array
  },
): Promise<void> {
  const n = firstRegister(client)
  const pinned = client.terms.body.tpm.kind === 'required' ? (client.terms.body.tpm.registers[String(n)] ?? []) : []
  const { attest, signature, akPublic, extraData } = quote
  let refusal: unknown = new VouchsafeError('appraisal.boot-state', `register ${n} is not pinned`)
  for (const value of pinned) {
    try {
      await translated(() =>
        verifyTpmQuote(
          {
            attest,
            signature,
            akPublic,
            expectedExtraData: extraData,
            allowedBanks: ['sha256'],
            requiredPcrs: [n],
            pcrs: { bank: 'sha256', values: new Map([[n, new Uint8Array(Buffer.from(value, 'hex'))]]) },
          },
          nodeCrypto,
        ),
      )
      return
    } catch (error) {
      refusal = error
    }
  }
  throw refusal
}

function newNonce(): string {
  return toBase64Url(randomBytes(24))
}
