import { createHash, randomBytes } from 'node:crypto'
import {
  type Enrolment,
  VouchsafeError,
  digestOf,
  enrolmentProof,
  enrolmentSchema,
  enrolmentTranscript,
  fromBase64,
  fromBase64Url,
  fromHex,
  machineId,
  parseDigest,
  parseSchema,
  parseStrictJson,
  toBase64,
  toBase64Url,
  translated,
  utf8,
  verifyEndorsement,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { makeCredential } from '@vouchsafe/tpm'
import { type TpmPublic, parseTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { ALL_PCRS, spkiOfTpmPublic, verifyTpmQuote } from '@vouchsafe/tpm/verify'
import { z } from 'zod'
import { parsedAnchorsOf } from './anchors.ts'
import type { Services, TenantContext } from './context.ts'

const HANDLE_LIFETIME_MS = 60_000

/** What travels to the agent and back, sealed under custody: the exchange needs no state here until it succeeds. */
const handleSchema = z.strictObject({
  tenant: z.string(),
  secret: z.string(),
  ticket: z.string(),
  nonce: z.string(),
  expires: z.number().int(),
  machine: z.string(),
  ekCertificate: z.string(),
  intermediates: z.array(z.string()),
  akPublic: z.string(),
})

/**
 * The endorsement key's public area, if it is what the certificate certifies: the same key, and a restricted decryption
 * key that never leaves its TPM. Any other could be made to decrypt a credential outside of it (B04).
 */
function endorsementKeyOf(ekPublic: Uint8Array, certified: Uint8Array): TpmPublic {
  const area = parseTpmPublic(ekPublic)
  if (!nodeCrypto.equal(spkiOfTpmPublic(area), certified))
    throw new VouchsafeError('endorsement.mismatch', 'ekPublic is not the key of the endorsement certificate')
  const { fixedTPM, fixedParent, restricted, decrypt, sign } = area.attributes
  if (!fixedTPM || !fixedParent || !restricted || !decrypt || sign)
    throw new VouchsafeError('evidence.key', 'ekPublic is not a restricted decryption key that is fixed to its TPM')
  return area
}

/** Reads what enrolment kept of a machine. */
export function readEnrolmentRecord(record: Uint8Array): Enrolment {
  return parseSchema(enrolmentSchema, parseStrictJson(record, { maxBytes: 65_536 }), 'enrolment record')
}

/** A ticket's id: its text is a secret and never stored. */
export function ticketId(ticket: string) {
  return digestOf(utf8(ticket), nodeCrypto)
}

/**
 * First half of enrolment: checks ticket and endorsement, and makes a credential that only the TPM holding both
 * endorsement and attestation key can activate.
 */
export async function beginEnrolment(
  services: Services,
  context: TenantContext,
  body: z.output<typeof wire.enrolBeginRequest>,
): Promise<z.input<typeof wire.enrolBeginResponse>> {
  const at = services.clock()
  const tenant = context.tenant.id
  const ticket = await services.store.ticket(tenant, ticketId(body.ticket))
  if (ticket === null || ticket.usedBy !== null || ticket.expiresAt <= at)
    throw new VouchsafeError('enrolment.ticket', 'the ticket is unknown here, used, or expired')
  const ekCertificate = fromBase64(body.ekCertificate, 'ekCertificate')
  const akPublic = fromBase64(body.akPublic, 'akPublic')
  const intermediates = body.intermediates.map((c) => fromBase64(c, 'intermediates'))
  const { ek } = await verifyEndorsement(
    ekCertificate,
    intermediates,
    await parsedAnchorsOf(services.store, tenant),
    at,
    nodeCrypto,
  )
  return translated(async () => {
    const endorsementKey = endorsementKeyOf(fromBase64(body.ekPublic, 'ekPublic'), ek.certificate.spki)
    const akName = tpmName(parseTpmPublic(akPublic), nodeCrypto.digest)
    const machine = machineId(ek.certificate.spki, akName, nodeCrypto)
    const secret = randomBytes(32)
    const { credentialBlob, encryptedSecret } = makeCredential({
      endorsementKey,
      objectName: akName,
      credential: secret,
    })
    const nonce = toBase64Url(randomBytes(24))
    const content: z.input<typeof handleSchema> = {
      tenant,
      secret: toBase64Url(secret),
      ticket: ticketId(body.ticket),
      nonce,
      expires: at.getTime() + HANDLE_LIFETIME_MS,
      machine,
      ekCertificate: toBase64Url(ekCertificate),
      intermediates: intermediates.map((c) => toBase64Url(c)),
      akPublic: toBase64Url(akPublic),
    }
    return {
      handle: context.sealHandle(utf8(JSON.stringify(content))),
      nonce,
      credential: toBase64(credentialBlob),
      secret: toBase64(encryptedSecret),
    }
  })
}

/**
 * Second half: the machine proves that it activated the credential, over a transcript that names this broker and this
 * exchange (decision 5), and shows a first quote whose counters are kept. A machine that is enrolled already needs a ticket
 * that names it: its leases end, and its counters are those of today.
 *
 * @throws {VouchsafeError} `enrolment.credential`, `enrolment.ticket`, `enrolment.conflict`
 */
export async function finishEnrolment(
  services: Services,
  context: TenantContext,
  body: z.output<typeof wire.enrolFinishRequest>,
): Promise<z.input<typeof wire.enrolFinishResponse>> {
  const at = services.clock()
  const tenant = context.tenant.id
  const opened = context.openHandle(body.handle)
  if (opened === null) throw new VouchsafeError('enrolment.credential', 'the handle was not made here, or was changed')
  const handle = parseSchema(handleSchema, parseStrictJson(opened, { maxBytes: 65_536 }), 'enrolment handle')
  if (handle.tenant !== tenant || handle.expires <= at.getTime())
    throw new VouchsafeError('enrolment.credential', 'the handle is for another tenant, or has expired')
  const ekCertificate = fromBase64Url(handle.ekCertificate)
  const akPublic = fromBase64Url(handle.akPublic)
  const akName = tpmName(parseTpmPublic(akPublic), nodeCrypto.digest)
  const subject = {
    brokerId: context.brokerId,
    tenant,
    akName,
    ekCertificateDigest: new Uint8Array(createHash('sha256').update(ekCertificate).digest()),
    nonce: handle.nonce,
  }
  const expected = enrolmentProof(fromBase64Url(handle.secret), subject, nodeCrypto)
  if (!nodeCrypto.equal(fromBase64(body.proof, 'proof'), expected))
    throw new VouchsafeError(
      'enrolment.credential',
      'the proof is not by whoever activated this credential for this broker',
    )
  const intermediates = handle.intermediates.map((c) => fromBase64Url(c))
  const { anchor } = await verifyEndorsement(
    ekCertificate,
    intermediates,
    await parsedAnchorsOf(services.store, tenant),
    at,
    nodeCrypto,
  )
  const quote = await translated(() =>
    verifyTpmQuote(
      {
        attest: fromBase64(body.quote.attest, 'quote.attest'),
        signature: fromBase64(body.quote.signature, 'quote.signature'),
        akPublic,
        pcrs: { bank: 'sha256', values: registersOf(body.registers) },
        allowedBanks: ['sha256'],
        requiredPcrs: ALL_PCRS,
        expectedExtraData: enrolmentTranscript(subject, nodeCrypto),
      },
      nodeCrypto,
    ),
  )
  const enrolment: Enrolment = {
    machine: handle.machine,
    ekCertificate: handle.ekCertificate,
    intermediates: handle.intermediates,
    akPublic: handle.akPublic,
    resetCount: quote.resetCount,
    restartCount: quote.restartCount,
  }
  const record = utf8(JSON.stringify(enrolment))
  const known = await services.store.enrolment(tenant, handle.machine)
  const again = known !== null && known.endedAt === null
  const ticket = await services.store.ticket(tenant, parseDigest(handle.ticket))
  if (again && ticket?.machine !== handle.machine)
    throw new VouchsafeError('enrolment.conflict', `machine ${handle.machine} is enrolled already`)
  await services.store.append({
    tenant,
    entry: {
      kind: 'enrolment.added',
      subject: handle.machine,
      digest: digestOf(record, nodeCrypto),
      facts: {
        class: anchor.class,
        anchor: anchor.name,
        resetCount: String(quote.resetCount),
        restartCount: String(quote.restartCount),
      },
    },
    changes: [
      { change: 'ticket.use', id: parseDigest(handle.ticket), enrolment: handle.machine },
      ...(again ? ([{ change: 'enrolment.end', id: handle.machine, why: 'appraisal.reset' }] as const) : []),
      {
        change: 'enrolment.add',
        enrolment: {
          id: handle.machine,
          class: anchor.class,
          ekCertificateDigest: digestOf(ekCertificate, nodeCrypto),
          akName,
          akPublic,
          resetCount: quote.resetCount,
          restartCount: quote.restartCount,
          record,
        },
      },
    ],
    signer: context.logSigner,
  })
  services.log('enrolment.added', { tenant, machine: handle.machine, class: anchor.class })
  const { checkpoint } = await services.store.head(tenant)
  return { machine: handle.machine, class: anchor.class, checkpoint }
}

function registersOf(registers: Readonly<Record<string, string>>): ReadonlyMap<number, Uint8Array> {
  return new Map(Object.entries(registers).map(([n, value]) => [Number(n), fromHex(value, `register ${n}`, 32)]))
}
