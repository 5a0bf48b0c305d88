import { generateKeyPairSync, randomUUID } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import {
  type BrokerPin,
  type ClientExchange,
  type P256Jwk,
  VouchsafeError,
  clientActivationProof,
  clientQuoteBinding,
  fromUtf8,
  jwkThumbprint,
  open,
  p256JwkSchema,
  parseSchema,
  readSealedHeader,
  toHex,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { DistributorConnection } from './connection.ts'
import { Secret_SecretType as SecretType } from './gen/tokenservice_pb.js'
import type { Secret } from './gen/tokenservice_pb.js'

/** The TPM of this machine, as far as fetching needs it. Keys stay loaded until the holder closes it. */
export interface ClientTpm {
  readonly ekPublic: Uint8Array
  readonly akPublic: Uint8Array
  readonly akName: Uint8Array
  /** DER, where the TPM carries one. */
  readonly ekCertificate: Uint8Array | null
  activate(challenge: {
    readonly credentialBlob: Uint8Array
    readonly encryptedSecret: Uint8Array
  }): Promise<Uint8Array>
  quote(extraData: Uint8Array): Promise<{
    readonly attest: Uint8Array
    readonly signature: Uint8Array
    readonly registers: ReadonlyMap<number, Uint8Array>
    readonly bootLog: Uint8Array | null
  }>
  /** Opens what an owner sealed to this TPM. */
  unseal(blob: Uint8Array, layout: 'direct' | 'indirect'): Promise<Uint8Array>
}

export interface FetchOptions {
  /** The broker that the owner named: nothing is opened that another one sealed. */
  readonly broker: BrokerPin
  readonly instance: string
  /** Null for a client that its owner exempted from TPM checks. */
  readonly tpm: ClientTpm | null
  /** Only the access token for this audience, with these nonces in it. Left out: everything that was approved. */
  readonly token?: { readonly audience: string; readonly nonces: readonly string[] }
}

export interface FetchedSecret {
  readonly name: string
  readonly type: 'RAW' | 'TPM' | 'TINK'
  readonly value: Uint8Array
}

export interface FetchedSecrets {
  readonly decision: string
  readonly class: string
  readonly secrets: readonly FetchedSecret[]
}

/** Shows this machine to a distributor and fetches what its owner approved, once. */
export async function fetchSecrets(connection: DistributorConnection, options: FetchOptions): Promise<FetchedSecrets> {
  const { broker, tpm } = options
  const exchange = { brokerId: broker.id, tenant: broker.tenant, instance: options.instance }
  const sealKey = newSealKey()
  if (tpm !== null) await attest(connection, exchange, tpm, sealKey)
  const requestId = randomUUID()
  const answer = await connection.token.getToken({
    requestId,
    processID: String(process.pid),
    ...(options.token !== undefined && { audience: options.token.audience, nonces: [...options.token.nonces] }),
  })
  if (answer.inResponseTo !== requestId)
    throw new VouchsafeError('release.sealed-payload', 'the distributor answered another request')
  const secrets: FetchedSecret[] = []
  for (const secret of answer.secrets) secrets.push(await openSecret(secret, options, sealKey))
  return { decision: answer.decision, class: answer.class, secrets }
}

interface SealKey {
  readonly jwk: P256Jwk
  readonly privateKey: KeyObject
}

/** Ties our attestation key to the endorsement key, and quotes: over the distributor's nonce and our own fresh seal key. */
async function attest(
  { verifier, certificate }: DistributorConnection,
  exchange: ClientExchange,
  tpm: ClientTpm,
  sealKey: SealKey,
): Promise<void> {
  const requestId = randomUUID()
  const thumbprint = jwkThumbprint(sealKey.jwk, nodeCrypto)
  const made = await verifier.makeCredential({
    requestId,
    akName: toHex(tpm.akName),
    ekPub: tpm.ekPublic,
    akPub: tpm.akPublic,
    ekCertificate: tpm.ekCertificate ?? new Uint8Array(),
    sealKey: utf8(JSON.stringify(sealKey.jwk)),
  })
  const credential = await tpm.activate({ credentialBlob: made.credBlob, encryptedSecret: made.encryptedSecret })
  // the credential itself stays here: only what is made of it for this exchange leaves (decision 5)
  const proof = clientActivationProof(
    credential,
    exchange,
    { nonce: made.nonce, akName: tpm.akName, sealKey: thumbprint },
    nodeCrypto,
  )
  await verifier.activateCredential({ requestId, proof })
  const { nonce } = await verifier.offerQuote({ requestId })
  const binding = clientQuoteBinding(exchange, { nonce, sealKey: thumbprint, certificate }, nodeCrypto)
  const quote = await tpm.quote(binding)
  // whether it is good enough is said by the decision, with an id that its owner can look up
  await verifier.provideQuote({
    requestId,
    attestation: quote.attest,
    signature: quote.signature,
    registers: Object.fromEntries(quote.registers),
    bootLog: quote.bootLog ?? new Uint8Array(),
  })
}

async function openSecret(secret: Secret, options: FetchOptions, sealKey: SealKey): Promise<FetchedSecret> {
  const { name } = secret
  const type = TYPES[secret.type]
  if (type === undefined) throw new VouchsafeError('input.malformed', `secret ${name}: of unknown type ${secret.type}`)
  const value = secret.wrapping === 'sealed' ? await unwrap(secret, options.broker, sealKey) : secret.data
  if (secret.wrapping !== 'sealed' && secret.wrapping !== '')
    throw new VouchsafeError('input.malformed', `secret ${name}: wrapped as ${secret.wrapping}`)
  if (type !== 'TPM') return { name, type, value }
  if (options.tpm === null)
    throw new VouchsafeError('input.malformed', `secret ${name} is sealed to a TPM, and none was given`)
  return { name, type, value: await options.tpm.unseal(value, secret.layout === 'indirect' ? 'indirect' : 'direct') }
}

const TYPES: Readonly<Record<number, FetchedSecret['type']>> = {
  [SecretType.RAW]: 'RAW',
  [SecretType.TPM]: 'TPM',
  [SecretType.TINK]: 'TINK',
}

async function unwrap(secret: Secret, broker: BrokerPin, sealKey: SealKey): Promise<Uint8Array> {
  const jwe = fromUtf8(secret.data, `secret ${secret.name}`)
  const { agreement, resource } = readSealedHeader(jwe)
  // resource and terms are the broker's to say, under its signature; the name at its end must be the one it calls it by
  if (resource.split('/').at(-1) !== secret.name.toLowerCase())
    throw new VouchsafeError('release.sealed-payload', `secret ${secret.name}: what was sealed is ${resource}`)
  const expected = {
    issuer: broker.id,
    tenant: broker.tenant,
    resource,
    agreement,
    sealKey: jwkThumbprint(sealKey.jwk, nodeCrypto),
  }
  const opened = await open(
    jwe,
    expected,
    { privateKey: sealKey.privateKey as never, jwk: sealKey.jwk },
    broker.sealing,
    nodeCrypto,
  )
  return opened.secret
}

function newSealKey(): SealKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { jwk: parseSchema(p256JwkSchema, publicKey.export({ format: 'jwk' }), 'seal key'), privateKey }
}
