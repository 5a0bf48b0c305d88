import * as kit from '@vouchsafe/testkit'
import { type CollateralSpec, missingVectors, readVector, type QuoteSpec } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { toHex } from '../../base/encoding.ts'
import type { ErrorCode } from '../../base/errors.ts'
import { parseAnchor } from '../../x509/index.ts'
import { intelSgxRoot, readSignedDocument, verifyDcapCollateral } from '../dcap/index.ts'
import { verifySgxQuote } from './index.ts'

const authorities = kit.makeIntelAuthorities()
const anchors = [parseAnchor(authorities.root.der, { class: 'simulated', name: 'fake Intel root' })]
const at = new Date('2026-06-01T00:00:00Z')
const pck = kit.makePck({ authorities })
const reportData = new Uint8Array(64).fill(3)
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

async function verify(spec: Partial<QuoteSpec> = {}, collateral: Partial<CollateralSpec> = {}) {
  const c = kit.makeIntelCollateral({ authorities, tee: 'SGX', ...collateral })
  const input = {
    tcbInfo: readSignedDocument(c.tcbInfo, 'tcbInfo', c.issuerChain),
    qeIdentity: readSignedDocument(c.qeIdentity, 'enclaveIdentity', c.issuerChain),
    pckCrl: c.pckCrl,
    rootCrl: c.rootCrl,
  }
  const quote = kit.makeQuote({
    authorities,
    pck,
    version: 3,
    enclave: { mrEnclave: new Uint8Array(32).fill(9), reportData },
    ...spec,
  })
  const verified = await verifyDcapCollateral(input, { anchors, at }, nodeCrypto)
  return verifySgxQuote({ quote }, { anchors, collateral: verified, at, reportData }, nodeCrypto)
}

test('accepts a quote of an enclave, and says what is known', async () => {
  const evidence = await verify()
  expect(evidence).toMatchObject({ format: 'sgx', reportData: 'as-expected', rating: { status: 'UpToDate' } })
  expect(toHex(evidence.report.mrEnclave)).toBe('09'.repeat(32))
})

const other = kit.makeKey('P-256')
test.each<[string, Partial<QuoteSpec>, Partial<CollateralSpec>, ErrorCode, string]>([
  ['other report data', { enclave: { reportData: reportData.with(63, 0) } }, {}, 'evidence.binding', 'REPORTDATA'],
  ['a body signed by another key', { signer: other }, {}, 'evidence.signature', 'attestation key'],
  ['a quoting enclave for TDs', { qe: { isvProdId: 2 } }, {}, 'endorsement.mismatch', 'ISVPRODID'],
  [
    'a platform below every level',
    { pck: kit.makePck({ authorities, pceSvn: 12 }) },
    {},
    'endorsement.mismatch',
    'below every TCB level',
  ],
  [
    'collateral of TDX',
    {},
    { tee: 'TDX', qeIdentity: { isvprodid: 1 } },
    'endorsement.mismatch',
    'is of TDX, wanted of SGX',
  ],
  ['a quote of a TD', { version: 4, enclave: undefined as never }, {}, 'evidence.unsupported', 'of a TD'],
  ['a TEE type of TDX in version 3', { teeType: 0x81 }, {}, 'input.malformed', 'tee_type'],
])('refuses %s', async (_what, spec, collateral, code, message) => {
  await expect(verify(spec, collateral)).rejects.toThrow(refusal(code, message))
})

describe.skipIf(missingVectors())('a genuine quote', () => {
  test('of an Occlum enclave verifies up to Intel’s root', async () => {
    const evidence = await verifySgxQuote(
      { quote: readVector('coco/sgx/occlum_quote.dat') },
      {
        anchors: [intelSgxRoot()],
        collateral: 'not-checked',
        reportData: 'not-checked',
        at: new Date('2025-01-01T00:00:00Z'),
      },
      nodeCrypto,
    )
    expect(toHex(evidence.report.mrEnclave)).toBe('8f173e4613ff05c52aaf04162d234edae8c9977eae47eb2299ae16a553011c68')
    expect(new TextDecoder().decode(evidence.report.reportData)).toMatch(/^test/)
    expect(evidence.rating).toBe('not-checked')
  })
})
