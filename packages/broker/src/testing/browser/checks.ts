import { evidence, replayRecord, VouchsafeError, x509 } from '@vouchsafe/core'
import type { CryptoPort, Envelope } from '@vouchsafe/core'

/** Files by name, as a page is given them. */
export type Files = Readonly<Record<string, Uint8Array>>

type Check = (files: Files, crypto: CryptoPort) => Promise<unknown>

const AT = new Date('2026-06-01T00:00:00Z')
const file = (files: Files, name: string): Uint8Array => {
  const found = files[name]
  if (found === undefined) throw new Error(`no file ${name}`)
  return found
}

const snp =
  (report: string, vek: string): Check =>
  async (files, crypto) => {
    const verified = await evidence.verifySnpReport(
      { report: file(files, report), vek: file(files, vek) },
      { reportData: 'not-checked', roots: evidence.amdSnpRoots(), revocation: 'not-checked', at: AT },
      crypto,
    )
    return [verified.product, verified.chain.anchor.name]
  }

const tdx =
  (quote: string, time: string): Check =>
  async (files, crypto) => {
    const verified = await evidence.verifyTdxQuote(
      { quote: file(files, quote) },
      {
        anchors: [evidence.intelSgxRoot()],
        collateral: 'not-checked',
        reportData: 'not-checked',
        at: new Date(time),
      },
      crypto,
    )
    return [verified.quote.version, verified.pck.fmspc, verified.chain.anchor.name]
  }

const sgx: Check = async (files, crypto) => {
  const verified = await evidence.verifySgxQuote(
    { quote: file(files, SGX) },
    {
      anchors: [evidence.intelSgxRoot()],
      collateral: 'not-checked',
      reportData: 'not-checked',
      at: new Date('2025-01-01T00:00:00Z'),
    },
    crypto,
  )
  return [...verified.report.mrEnclave]
}

const nvidia: Check = async (files, crypto) => {
  const text = (name: string) => new TextDecoder().decode(file(files, name))
  const hex = text(HOPPER_REPORT).replaceAll(/\s/g, '')
  const { report } = await evidence.verifyGpu(
    {
      report: Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)),
      chain: x509.parsePem(text(HOPPER_CHAIN), 'CERTIFICATE'),
    },
    {
      nonce: 'not-checked',
      revocation: 'not-checked',
      anchors: [evidence.nvidiaDeviceRoot()],
      at: new Date('2025-06-01T00:00:00Z'),
    },
    crypto,
  )
  return [report.driverVersion, report.measurements.size]
}

/** Any decision record that stands beside the recorded files is walked again. */
const replay: Check = async (files, crypto) => {
  const envelope = JSON.parse(new TextDecoder().decode(file(files, RECORD))) as Envelope
  const key = new TextDecoder().decode(file(files, RECORD_KEY))
  const { signed, reproduced, verdict, digest } = await replayRecord(envelope, key, crypto)
  return { signed, reproduced, verdict, digest }
}

const SGX = 'coco/sgx/occlum_quote.dat'
const HOPPER_REPORT = 'coco/nvidia/hopperAttestationReport.txt'
const HOPPER_CHAIN = 'coco/nvidia/hopper_cert_chain_case1.txt'
export const RECORD = 'record.json'
export const RECORD_KEY = 'record.key'

/** What is checked, and the files that each check reads; the first is the one that is tampered with. */
export const CHECKS: Readonly<Record<string, readonly [Check, readonly [string, ...string[]]]>> = {
  ...Object.fromEntries(
    [
      ['gce/snp/milan_v2_report.bin', 'gce/snp/milan_v2_vcek.der'],
      ['gce/snp/milan_v3a_report.bin', 'gce/snp/milan_v3a_vcek.der'],
      ['gce/snp/genoa_v5_report.bin', 'gce/snp/genoa_v5_vcek.der'],
      ['gce/snp/turin_v5_report.bin', 'gce/snp/turin_v5_vcek.der'],
    ].map(([report = '', vek = '']) => [report, [snp(report, vek), [report, vek]] as const]),
  ),
  ...Object.fromEntries(
    [
      ['gce/tdx/quote_v5_sample.bin', '2026-02-03T00:00:00Z'],
      ['gce/tdx/quote_v4_oak_oc.bin', '2025-11-01T00:00:00Z'],
      ['coco/tdx/tdx_quote_4.dat', '2025-01-01T00:00:00Z'],
    ].map(([quote = '', time = '']) => [quote, [tdx(quote, time), [quote]] as const]),
  ),
  [SGX]: [sgx, [SGX]],
  [HOPPER_REPORT]: [nvidia, [HOPPER_REPORT, HOPPER_CHAIN]],
  [RECORD]: [replay, [RECORD, RECORD_KEY]],
}

/** Everything once as recorded, and once with a character or byte changed: plain values, alike wherever it runs. */
export async function runChecks(files: Files, crypto: CryptoPort): Promise<Readonly<Record<string, unknown>>> {
  const outcomes: Record<string, unknown> = {}
  for (const [name, [check, [first]]] of Object.entries(CHECKS)) {
    outcomes[name] = await outcomeOf(check(files, crypto))
    const bytes = file(files, first)
    const changed = bytes.with(100, (bytes[100] ?? 0) ^ 1)
    outcomes[`${name}, byte 100 changed`] = await outcomeOf(check({ ...files, [first]: changed }, crypto))
  }
  return outcomes
}

async function outcomeOf(check: Promise<unknown>): Promise<unknown> {
  try {
    return { accepted: await check }
  } catch (error) {
    if (error instanceof VouchsafeError) return { refused: error.code }
    return { crashed: error instanceof Error ? error.name : 'unknown' }
  }
}
