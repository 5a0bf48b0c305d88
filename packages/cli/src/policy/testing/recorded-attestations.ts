import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import {
  type Agreement,
  type AgreementBody,
  type AttestInputs,
  type Envelope,
  attest,
  evidenceBinding,
  jwkThumbprint,
  parseAgreement,
  toBase64,
  toBase64Url,
  toHex,
  toVerdict,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { startSimulatedGuest } from '@vouchsafe/simulator'
import { TEMPLATES, Tpm } from '@vouchsafe/tpm'
import { encodeTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { launchEvents, launchRecord, writeCel } from '@vouchsafe/tpm/eventlog'
import { signEnvelope } from '../../../../core/src/agreement/envelope.ts'
import { machineId, verifyEndorsement } from '../../../../core/src/evidence/tpm/enrolment.ts'
import { agreementBody, goodClaims, newOwner, newP256 } from '../../../../core/src/testing/agreement-fixture.ts'
import { RECORD_TYPE } from '../../../../core/src/wire/decision-record.ts'
import { parseAnchor } from '../../../../core/src/x509/index.ts'

/** Attestations of software TPMs, as a broker records them. */
export interface Recorded {
  readonly agreement: Agreement
  /** SHA-256 registers after boot, one object a machine. */
  readonly registers: readonly Readonly<Record<string, string>>[]
  /** In turn one of each machine. */
  readonly envelopes: readonly Envelope[]
  readonly decisionKey: string
}

/**
 * Boots machines, each with a kernel command line of its own, and lets each attest some times under one agreement that
 * accepts them all.
 *
 * @param changes - Of the agreement, given the registers of all machines.
 */
export async function recordAttestations(
  directory: string,
  machines: number,
  times: number,
  changes: (accepting: AgreementBody['environment']) => Partial<AgreementBody> = (environment) => ({ environment }),
): Promise<Recorded> {
  const guests = []
  try {
    for (let n = 0; n < machines; n++)
      guests.push(
        await startSimulatedGuest({
          directory: path.join(directory, `guest-${n}`),
          boot: { kernelCommandLine: `quiet machine=${n}` },
        }),
      )
    const registers = guests.map((g) => g.registers)
    const agreement = agreementOf(changes(accepting(registers)))
    const broker = newOwner('broker')
    const perMachine = []
    for (const guest of guests) perMachine.push(await attestTimes(guest, agreement, times))
    const envelopes: Envelope[] = []
    for (let t = 0; t < times; t++)
      for (const inputs of perMachine)
        if (inputs[t] !== undefined) envelopes.push(await recordOf(inputs[t] as AttestInputs, broker))
    return { agreement, registers, envelopes, decisionKey: broker.key }
  } finally {
    for (const guest of guests) await guest.stop()
  }
}

/** Reference values that accept every one of some machines. */
export function accepting(registers: Recorded['registers']): AgreementBody['environment'] {
  const numbers = Object.keys(registers[0] ?? {})
  const values = (n: string) => [...new Set(registers.map((r) => r[n] ?? ''))]
  return { ...agreementBody().environment, registers: Object.fromEntries(numbers.map((n) => [n, values(n)])) }
}

export function agreementOf(changes: Partial<AgreementBody>): Agreement {
  const body = agreementBody({ notBefore: '2020-01-01T00:00:00Z', expires: '2099-01-01T00:00:00Z', ...changes })
  return parseAgreement(utf8(JSON.stringify(body)), nodeCrypto)
}

async function attestTimes(
  guest: Awaited<ReturnType<typeof startSimulatedGuest>>,
  agreement: Agreement,
  times: number,
): Promise<readonly AttestInputs[]> {
  await using tpm = await Tpm.open(guest.tpm)
  await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
  const akPublic = encodeTpmPublic(ak.public)
  const records = launchEvents(goodClaims(agreement).launch).map((e) => launchRecord(e, 'pcr', ['sha256'], nodeCrypto))
  for (const record of records) {
    const digest = record.digests.get('sha256')
    if (digest === undefined) throw new Error('a launch record without SHA-256')
    await tpm.pcrExtend(13, [{ hash: 'sha256', digest }])
  }
  const ekCertificate = await tpm.nvRead(0x01c0000a)
  const certificate = toBase64(guest.manufacturerCertificate)
  const anchor = { name: 'simulator', class: 'simulated' as const, certificate }
  const anchors = [parseAnchor(guest.manufacturerCertificate, anchor)]
  const { ek } = await verifyEndorsement(ekCertificate, [], anchors, new Date(), nodeCrypto)
  const { clockInfo } = await tpm.readClock()
  const counters = { resetCount: clockInfo.resetCount, restartCount: clockInfo.restartCount }
  const machine = machineId(ek.certificate.spki, tpmName(ak.public, nodeCrypto.digest), nodeCrypto)
  const common = {
    brokerId: 'broker:a',
    tenant: 'clinic-a',
    nonceState: 'fresh' as const,
    enrolment: {
      machine,
      ekCertificate: toBase64Url(ekCertificate),
      intermediates: [],
      akPublic: toBase64Url(akPublic),
      ...counters,
    },
    anchors: [anchor],
    agreementDigest: agreement.digest,
    agreement: toBase64(agreement.bytes),
    distrust: [],
  }
  const bootLog = toBase64Url(readFileSync(guest.bootLog))
  const launchLog = toBase64Url(writeCel(records))
  const attestations: AttestInputs[] = []
  for (let t = 0; t < times; t++) {
    const asked = {
      session: randomBytes(16).toString('base64url'),
      nonce: `nonce-${t}`,
      sealKey: newP256().jwk,
      proofKey: newP256().jwk,
    }
    const extraData = evidenceBinding(
      {
        role: 'attester',
        brokerId: common.brokerId,
        tenant: common.tenant,
        session: asked.session,
        nonce: asked.nonce,
        agreement: agreement.digest,
        sealKey: jwkThumbprint(asked.sealKey, nodeCrypto),
        proofKey: jwkThumbprint(asked.proofKey, nodeCrypto),
      },
      nodeCrypto,
    )
    const quote = await tpm.quote({ key: ak, bank: 'sha256', extraData })
    attestations.push({
      ...common,
      ...asked,
      at: new Date().toISOString(),
      evidence: {
        format: 'tpm',
        akPublic: toBase64Url(akPublic),
        quote: { attest: toBase64Url(quote.attest), signature: toBase64Url(quote.signature) },
        registers: Object.fromEntries([...quote.pcrs.values].map(([n, v]) => [String(n), toHex(v)])),
        bootLog,
        launchLog,
      },
    })
  }
  return attestations
}

async function recordOf(inputs: AttestInputs, broker: ReturnType<typeof newOwner>): Promise<Envelope> {
  const record = {
    vouchsafe: 'decision/v1',
    id: `d-${randomBytes(16).toString('base64url')}`,
    profile: 'simulated',
    codeVersion: 'test',
    verdict: toVerdict(await attest(inputs, nodeCrypto)),
    operation: 'attest',
    inputs,
  }
  return signEnvelope(RECORD_TYPE, utf8(JSON.stringify(record)), broker.key, broker.sign)
}
