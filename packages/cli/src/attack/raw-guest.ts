import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { GuestClient } from '@vouchsafe/client'
import {
  type Agreement,
  type BrokerPin,
  type LaunchClaims,
  type P256Jwk,
  enrolmentProof,
  enrolmentTranscript,
  evidenceBinding,
  fromBase64,
  jwkThumbprint,
  open,
  signProof,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type SimulatedGuest, startSimulatedGuest } from '@vouchsafe/simulator'
import { TEMPLATES, Tpm } from '@vouchsafe/tpm'
import { encodeTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { launchEvents, launchRecord, writeCel } from '@vouchsafe/tpm/eventlog'
import type { z } from 'zod'

const EK_CERTIFICATE = 0x01c0000a

export function newP256(): { readonly jwk: P256Jwk; readonly privateKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  return { jwk: { kty: 'EC', crv: 'P-256', x, y }, privateKey }
}

/** One attestation: what a release needs, and a thief would want. */
export interface RawAttestation {
  readonly session: string
  readonly token: string
  readonly id: string
  readonly sealKey: ReturnType<typeof newP256>
  readonly proofKey: ReturnType<typeof newP256>
  readonly body: z.input<typeof wire.attestRequest>
  readonly answer: z.output<typeof wire.attestResponse>
}

/**
 * A guest in its attacker's own hands, step by step, on a real software TPM: so that each step can be done wrong. The
 * product's agent does the same in one piece, and only right.
 */
export class RawGuest {
  readonly machine: SimulatedGuest
  readonly #directory: string
  #launchLog: Uint8Array = new Uint8Array()

  private constructor(machine: SimulatedGuest, directory: string) {
    this.machine = machine
    this.#directory = directory
  }

  static async start(options: Omit<Parameters<typeof startSimulatedGuest>[0], 'directory'> = {}): Promise<RawGuest> {
    const directory = mkdtempSync(path.join(tmpdir(), 'vs-guest-'))
    return new RawGuest(await startSimulatedGuest({ directory: path.join(directory, 'g'), ...options }), directory)
  }

  /** Registers 0 to 9 as an agreement pins them. */
  pins(): Record<string, string[]> {
    return Object.fromEntries(Object.entries(this.machine.registers).map(([n, value]) => [n, [value]]))
  }

  async enrol(client: GuestClient, ticket: string): Promise<string> {
    await using tpm = await Tpm.open(this.machine.tpm)
    await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const ekCertificate = await tpm.nvRead(EK_CERTIFICATE)
    const begun = await client.beginEnrolment({
      ticket,
      ekCertificate: toBase64(ekCertificate),
      intermediates: [],
      ekPublic: toBase64(encodeTpmPublic(ek.public)),
      akPublic: toBase64(encodeTpmPublic(ak.public)),
    })
    const secret = await tpm.activateCredential({
      object: ak,
      endorsementKey: ek,
      challenge: { credentialBlob: fromBase64(begun.credential), encryptedSecret: fromBase64(begun.secret) },
    })
    const subject = {
      brokerId: client.pin.id,
      tenant: client.pin.tenant,
      akName: tpmName(ak.public, nodeCrypto.digest),
      ekCertificateDigest: nodeCrypto.digest('sha256', ekCertificate),
      nonce: begun.nonce,
    }
    const quote = await tpm.quote({ key: ak, bank: 'sha256', extraData: enrolmentTranscript(subject, nodeCrypto) })
    const finished = await client.finishEnrolment({
      handle: begun.handle,
      proof: toBase64(enrolmentProof(secret, subject, nodeCrypto)),
      quote: { attest: toBase64(quote.attest), signature: toBase64(quote.signature) },
      registers: registersOf(quote.pcrs.values),
    })
    return finished.machine
  }

  /** Measures a launch, as an agent does once before it starts the workload. */
  async launch(launch: LaunchClaims): Promise<void> {
    await using tpm = await Tpm.open(this.machine.tpm)
    const records = launchEvents(launch).map((event) => launchRecord(event, 'pcr', ['sha256'], nodeCrypto))
    for (const record of records)
      await tpm.pcrExtend(13, [{ hash: 'sha256', digest: record.digests.get('sha256') ?? new Uint8Array() }])
    this.#launchLog = writeCel(records)
  }

  async attestBody(
    client: GuestClient,
    machine: string,
    agreement: Agreement,
    keys = { sealKey: newP256(), proofKey: newP256() },
  ): Promise<Omit<RawAttestation, 'token' | 'id' | 'answer'>> {
    const session = toBase64Url(randomBytes(16))
    const nonce = await client.nonce('attest', session)
    const { sealKey, proofKey } = keys
    const binding = evidenceBinding(
      {
        role: 'attester',
        brokerId: client.pin.id,
        tenant: client.pin.tenant,
        session,
        nonce,
        agreement: agreement.digest,
        sealKey: jwkThumbprint(sealKey.jwk, nodeCrypto),
        proofKey: jwkThumbprint(proofKey.jwk, nodeCrypto),
      },
      nodeCrypto,
    )
    await using tpm = await Tpm.open(this.machine.tpm)
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const quote = await tpm.quote({ key: ak, bank: 'sha256', extraData: binding })
    const body = {
      session,
      nonce,
      machine,
      agreement: agreement.digest,
      sealKey: sealKey.jwk,
      proofKey: proofKey.jwk,
      evidence: {
        format: 'tpm' as const,
        akPublic: toBase64Url(encodeTpmPublic(ak.public)),
        quote: { attest: toBase64Url(quote.attest), signature: toBase64Url(quote.signature) },
        registers: registersOf(quote.pcrs.values),
        bootLog: toBase64Url(readFileSync(this.machine.bootLog)),
        launchLog: toBase64Url(this.#launchLog),
      },
      kept: null,
      carried: [],
    }
    return { session, sealKey, proofKey, body }
  }

  async attest(client: GuestClient, machine: string, agreement: Agreement): Promise<RawAttestation> {
    const prepared = await this.attestBody(client, machine, agreement)
    const answer = await client.attest(prepared.body)
    return { ...prepared, token: answer.token, id: answer.id, answer }
  }

  async stop(): Promise<void> {
    await this.machine.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** A release request ready to be sent, once or as often as an attacker likes. */
export async function releaseRequest(
  client: GuestClient,
  by: Pick<RawAttestation, 'session' | 'token' | 'proofKey'>,
  resources: readonly string[],
  requestId = toBase64Url(randomBytes(16)),
) {
  const nonce = await client.nonce('release', by.session)
  const body = utf8(JSON.stringify({ resources, requestId }))
  const subject = { method: 'POST', path: client.releasePath, body, token: by.token, nonce }
  const proof = await signProof(subject, by.proofKey.jwk, by.proofKey.privateKey as never, nodeCrypto)
  return { body, proof, send: () => client.release(body, by.token, proof) }
}

export async function openSealed(
  pin: BrokerPin,
  by: Pick<RawAttestation, 'sealKey'>,
  agreement: Agreement,
  resource: string,
  jwe: string,
): Promise<Uint8Array> {
  const expected = {
    issuer: pin.id,
    tenant: pin.tenant,
    resource,
    agreement: agreement.digest,
    sealKey: jwkThumbprint(by.sealKey.jwk, nodeCrypto),
  }
  const { secret } = await open(
    jwe,
    expected,
    { privateKey: by.sealKey.privateKey as never, jwk: by.sealKey.jwk },
    pin.sealing,
    nodeCrypto,
  )
  return secret
}

function registersOf(values: ReadonlyMap<number, Uint8Array>): Record<string, string> {
  return Object.fromEntries([...values].map(([n, value]) => [String(n), toHex(value)]))
}
