import * as kit from '@vouchsafe/testkit'
import {
  bootEvents,
  launchEvents,
  launchRecord,
  measuredEvent,
  newTcgLog,
  parseCel,
  replayCel,
  replayTcgLog,
  writeCel,
  writeTcgLog,
} from '@vouchsafe/tpm/eventlog'
import { nodeCrypto } from '../../node/index.ts'
import { type AgreementBody, parseAgreement } from '../agreement/agreement.ts'
import { toBase64, toBase64Url, toHex, utf8 } from '../base/encoding.ts'
import { jwkThumbprint } from '../base/keys.ts'
import { evidenceBinding } from '../evidence/binding.ts'
import { gceReportData } from '../evidence/gce-vtpm/verify-gce-vtpm.ts'
import { azureUserData } from '../evidence/platform/verify-platform-evidence.ts'
import { SIMULATOR_OID } from '../evidence/tpm/enrolment.ts'
import type { AttestInputs } from '../wire/decision-record.ts'
import { agreementBody, goodClaims, newP256 } from './agreement-fixture.ts'

export const PLATFORM_AT = new Date('2026-06-01T00:00:00Z')
export const PLATFORM_MEASUREMENT = 'ab'.repeat(48)
export const PLATFORM_PROJECT = 'clinic-project'
export const PLATFORM_VM = 'A-1'

const w = kit.derWriter
const measurement = new Uint8Array(48).fill(0xab)

/** What the machine booted, and what registers 0 and 4 hold then. */
const bootLog = newTcgLog(
  ['sha256'],
  [bootEvents.separator(0), { ...bootEvents.file('/vmlinuz', utf8('the kernel')), register: 4 }].map((event) =>
    measuredEvent(event, ['sha256'], nodeCrypto),
  ),
)
const booted = replayTcgLog(bootLog, 'sha256', nodeCrypto).registers
export const PLATFORM_REGISTERS = Object.fromEntries(Array.from(booted, ([n, v]) => [String(n), toHex(v)]))

/** Makers of our own. `marked`: whether they say that they are a simulator's. */
function makeMakers(marked: boolean) {
  const mark = marked ? [{ oid: SIMULATOR_OID, value: Uint8Array.of(5, 0) }] : []
  const amd = kit.makeAmdAuthorities('Milan', mark)
  return {
    amd,
    vek: kit.makeVek({ authorities: amd }),
    google: kit.makeCertificate({ subject: 'vTPM root', extensions: [...kit.AUTHORITY, ...mark] }),
    ak: kit.makeKey('RSA-2048'),
  }
}
export const MARKED = makeMakers(true)
export const UNMARKED = makeMakers(false)

export interface PlatformChanges {
  readonly environment?: Partial<AgreementBody['environment']>
  readonly makers?: typeof MARKED
  /** Classes that the broker's owner gave to AMD's and Google's root. */
  readonly classes?: readonly [AttestInputs['anchors'][number]['class'], AttestInputs['anchors'][number]['class']]
  readonly references?: NonNullable<AttestInputs['references']>
  readonly snp?: Partial<kit.SnpReportSpec>
}

/** What a broker would record of a cloud's vTPM that it accepts, on SEV-SNP. */
export function platformInputs(format: 'azure-vtpm' | 'gce-vtpm', changes: PlatformChanges = {}): AttestInputs {
  const { makers = MARKED, classes = ['simulated', 'simulated'] } = changes
  const { amd, vek, google, ak } = makers
  const body = agreementBody()
  const environment = {
    ...body.environment,
    registers: Object.fromEntries(Object.entries(PLATFORM_REGISTERS).map(([n, v]) => [n, [v]])),
    hardware: {
      chips: 'any-genuine',
      snp: {
        measurements: [PLATFORM_MEASUREMENT],
        minimumTcb: { Milan: kit.defaultTcb('Milan') },
        allow: { smt: true },
      },
    },
    platforms: { azure: { vms: [PLATFORM_VM] }, gce: { projects: [PLATFORM_PROJECT] } },
    ...changes.environment,
  }
  const agreement = parseAgreement(utf8(JSON.stringify({ ...body, environment })), nodeCrypto)
  const [sealKey, proofKey] = [newP256().jwk, newP256().jwk]
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
  const launched = replayCel(parseCel(launchLog), 'sha256', nodeCrypto).registers
  const registers = kit.zeroRegisters().map((zero, n) => booted.get(n) ?? launched.get(n) ?? zero)
  const quote = kit.makeVtpmQuote({ key: ak, nonce: binding, registers })
  const report = (reportData: Uint8Array) =>
    kit.makeSnpReport({ product: 'Milan', measurement, reportData, ...changes.snp }, vek)
  const measured = {
    quote: { attest: toBase64Url(quote.attest), signature: toBase64Url(quote.signature) },
    registers: Object.fromEntries(registers.map((v, n) => [String(n), toHex(v)])),
    bootLog: toBase64Url(writeTcgLog(bootLog)),
    launchLog: toBase64Url(launchLog),
  }
  const runtimeData = kit.makeRuntimeData(ak, { 'user-data': toHex(azureUserData(binding)).toUpperCase() })
  const hardwareReport = report(kit.runtimeDataDigest(runtimeData))
  const crl = kit.makeRevocationList({ issuer: amd.ark, signature: 'pss-sha384' })
  return {
    at: PLATFORM_AT.toISOString(),
    ...request,
    nonceState: 'fresh',
    sealKey,
    proofKey,
    evidence:
      format === 'azure-vtpm'
        ? {
            format,
            ...measured,
            hclReport: toBase64Url(kit.encodeHclReport({ kind: 'snp', hardwareReport, runtimeData })),
            endorsement: { format: 'snp' },
          }
        : {
            format,
            ...measured,
            akCertificate: toBase64Url(akCertificate(google, ak)),
            intermediates: [],
            cpu: { format: 'snp', report: toBase64Url(report(gceReportData(binding, ak.spki, nodeCrypto))) },
          },
    collateral: {
      vendor: 'amd',
      vek: toBase64(vek.der),
      intermediates: [toBase64(amd.ask.der)],
      revocationLists: [toBase64(crl)],
    },
    enrolment: null,
    anchors: [
      { name: 'AMD', class: classes[0], certificate: toBase64(amd.ark.der) },
      { name: 'Google', class: classes[1], certificate: toBase64(google.der) },
    ],
    agreementDigest: agreement.digest,
    agreement: toBase64(agreement.bytes),
    distrust: [],
    ...(changes.references !== undefined && { references: changes.references }),
  }
}

function akCertificate(issuer: kit.TestCertificate, key: kit.TestKey): Uint8Array {
  const value = w.sequence(
    w.utf8String('europe-west4-a'),
    w.integer(117478743145),
    w.utf8String(PLATFORM_PROJECT),
    w.integer(5780156274199835632n),
    w.utf8String('vm-1'),
    w.explicit(0, w.sequence(w.explicit(1, w.boolean(true)))),
  )
  const extensions = [kit.keyUsage('digitalSignature'), { oid: '1.3.6.1.4.1.11129.2.1.21', value }]
  return kit.makeCertificate({ subject: [], issuer, key, extensions }).der
}
