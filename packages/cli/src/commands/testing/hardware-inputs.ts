import {
  type AttestInputs,
  evidence,
  evidenceBinding,
  jwkThumbprint,
  toBase64,
  toBase64Url,
  utf8,
  x509,
} from '@vouchsafe/core'
import { parseAgreement } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import * as kit from '@vouchsafe/testkit'
import { launchEvents, launchRecord, writeCel } from '@vouchsafe/tpm/eventlog'
import { agreementBody, goodClaims, newP256 } from '../../../../core/src/testing/agreement-fixture.ts'

/** What a broker would record of a CPU that it accepts, with vendors of our own making. */
export function hardwareInputs(
  format: 'snp' | 'tdx',
  changes: { readonly snp?: Partial<kit.SnpReportSpec>; readonly td?: kit.TdReportSpec } = {},
): AttestInputs {
  const measurement = new Uint8Array(48).fill(0xab)
  const zeros = '00'.repeat(48)
  const floor = kit.defaultTcb('Milan')
  const minimumTcb = { Milan: floor }
  const hardware = {
    chips: 'any-genuine',
    snp: { measurements: ['ab'.repeat(48)], minimumTcb, allow: { smt: true } },
    tdx: { mrTd: ['ab'.repeat(48)], rtmr0: [zeros], rtmr1: [zeros], rtmr2: [zeros], rtmr3: [zeros] },
  }
  const body = agreementBody()
  const environment = { ...body.environment, registers: {}, hostExcluded: true, hardware }
  const agreement = parseAgreement(utf8(JSON.stringify({ ...body, environment })), nodeCrypto)
  const [sealKey, proofKey] = [newP256().jwk, newP256().jwk]
  const at = new Date('2026-06-01T00:00:00Z')
  const request = { brokerId: 'broker:a', tenant: 'clinic-a', session: 'session-0123456789', nonce: 'nonce-1' }
  const binding = evidenceBinding(
    {
      role: 'attester',
      ...request,
      agreement: agreement.digest,
      sealKey: jwkThumbprint(sealKey, nodeCrypto),
      proofKey: jwkThumbprint(proofKey, nodeCrypto),
    },
    nodeCrypto,
  )
  const events = launchEvents(goodClaims(agreement).launch)
  const launchLog = writeCel(events.map((event) => launchRecord(event, 'pcr', ['sha256'], nodeCrypto)))
  const reportData = evidence.hardwareReportData(binding, launchLog, nodeCrypto)
  const made =
    format === 'snp'
      ? showSnp({ measurement, reportData, ...changes.snp })
      : showTdx({ mrTd: measurement, reportData, ...changes.td })
  return {
    at: at.toISOString(),
    ...request,
    nonceState: 'fresh',
    sealKey,
    proofKey,
    evidence: { ...made.shown, launchLog: toBase64Url(launchLog) },
    collateral: made.collateral,
    enrolment: null,
    anchors: [{ name: 'simulated', class: 'simulated', certificate: toBase64(made.root) }],
    agreementDigest: agreement.digest,
    agreement: toBase64(agreement.bytes),
    distrust: [],
  }
}

function showSnp(spec: Omit<kit.SnpReportSpec, 'product'>) {
  const amd = kit.makeAmdAuthorities('Milan')
  const vek = kit.makeVek({ authorities: amd })
  const crl = kit.makeRevocationList({ issuer: amd.ark, signature: 'pss-sha384' })
  return {
    shown: { format: 'snp', report: toBase64Url(kit.makeSnpReport({ product: 'Milan', ...spec }, vek)) } as const,
    collateral: {
      vendor: 'amd' as const,
      vek: toBase64(vek.der),
      intermediates: [toBase64(amd.ask.der)],
      revocationLists: [toBase64(crl)],
    },
    root: amd.ark.der,
  }
}

function showTdx(td: kit.TdReportSpec) {
  const intel = kit.makeIntelAuthorities()
  const c = kit.makeIntelCollateral({ authorities: intel })
  const signed = (response: Uint8Array, member: 'tcbInfo' | 'enclaveIdentity') => {
    const { body, signature, issuerChain } = evidence.readSignedDocument(response, member, c.issuerChain)
    return { body: toBase64(body), signature: toBase64(signature), issuerChain }
  }
  return {
    shown: {
      format: 'tdx',
      quote: toBase64Url(kit.makeQuote({ authorities: intel, pck: kit.makePck({ authorities: intel }), td })),
    } as const,
    collateral: {
      vendor: 'intel' as const,
      tcbInfo: signed(c.tcbInfo, 'tcbInfo'),
      qeIdentity: signed(c.qeIdentity, 'enclaveIdentity'),
      pckCrl: toBase64(c.pckCrl),
      rootCrl: toBase64(c.rootCrl),
    },
    root: x509.parseCertificate(intel.root.der).der,
  }
}
