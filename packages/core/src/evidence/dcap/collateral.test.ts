import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import {
  type CollateralSpec,
  missingVectors,
  readVector,
  readVectorText,
  type TestCollateral,
} from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { utf8 } from '../../base/encoding.ts'
import { type ErrorCode, VouchsafeError } from '../../base/errors.ts'
import { parseAnchor } from '../../x509/index.ts'
import { type DcapCollateralInput, intelSgxRoot, readSignedDocument, verifyDcapCollateral } from './index.ts'

const authorities = kit.makeIntelAuthorities()
const anchors = [parseAnchor(authorities.root.der, { class: 'simulated', name: 'fake Intel root' })]
const at = new Date('2026-06-01T00:00:00Z')
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

const toInput = (c: TestCollateral): DcapCollateralInput => ({
  tcbInfo: readSignedDocument(c.tcbInfo, 'tcbInfo', c.issuerChain),
  qeIdentity: readSignedDocument(c.qeIdentity, 'enclaveIdentity', c.issuerChain),
  pckCrl: c.pckCrl,
  rootCrl: c.rootCrl,
})
const make = (spec: Partial<CollateralSpec> = {}) => kit.makeIntelCollateral({ authorities, ...spec })
const verify = (c: TestCollateral, time = at) => verifyDcapCollateral(toInput(c), { anchors, at: time }, nodeCrypto)

test('accepts what Intel’s service would answer, and says from when to when it holds', async () => {
  const collateral = await verify(make())
  expect(collateral.tcbInfo.fmspc).toBe(kit.TEST_FMSPC)
  expect([collateral.from, collateral.until]).toEqual([
    new Date('2026-05-20T00:00:00Z'),
    new Date('2026-06-19T00:00:00Z'),
  ])
})

const good = make()
/** Another digit of a signature in hexadecimal: well formed, and wrong. */
const otherDigit = (bytes: Uint8Array, at: number) => bytes.with(at, bytes[at] === 0x30 ? 0x31 : 0x30)
const flip = (bytes: Uint8Array, i = bytes.length - 1) => bytes.with(i, bytes[i]! ^ 1)
const stranger = kit.makeIntelAuthorities()
const early = { thisUpdate: new Date('2026-01-01T00:00:00Z'), nextUpdate: at }
const signerSerial = 0x7001
const signerOf = (changes: Partial<kit.CertificateSpec>) =>
  kit.makeCertificate({
    subject: 'Intel SGX TCB Signing',
    issuer: authorities.root,
    serial: signerSerial,
    extensions: [kit.basicConstraints(false), kit.keyUsage('digitalSignature')],
    ...changes,
  })

describe('D09 collateral is genuine, current and whole, or refused', () => {
  // the first five are what the JavaScript verifier in widest use accepts
  test.each<[string, TestCollateral, ErrorCode, string]>([
    [
      'PCK list replaced by one byte',
      { ...good, pckCrl: Uint8Array.of(0) },
      'endorsement.malformed',
      'revocation list',
    ],
    [
      'root list replaced by one byte',
      { ...good, rootCrl: Uint8Array.of(0) },
      'endorsement.malformed',
      'revocation list',
    ],
    [
      'root list with a flipped signature bit',
      { ...good, rootCrl: flip(good.rootCrl) },
      'endorsement.untrusted',
      'revocation list of CN=Intel SGX Root CA',
    ],
    [
      'root list past its nextUpdate',
      make({ rootCrl: kit.makeRevocationList({ issuer: authorities.root, ...early }) }),
      'endorsement.expired',
      'revocation list of CN=Intel SGX Root CA',
    ],
    [
      'root list replaced by the PCK list',
      { ...good, rootCrl: good.pckCrl },
      'endorsement.unavailable',
      'revocation list of CN=Intel SGX Root CA',
    ],
    [
      'a list with bytes left over',
      { ...good, pckCrl: kit.derWriter.join(good.pckCrl, Uint8Array.of(0)) },
      'endorsement.malformed',
      'left over',
    ],
    [
      'TCB signer revoked',
      make({ tcbSigner: signerOf({}), revokedByRoot: [signerSerial] }),
      'endorsement.revoked',
      'Intel SGX TCB Signing',
    ],
    [
      'TCB signer expired',
      make({ tcbSigner: signerOf({ notAfter: new Date('2025-05-21T00:00:00Z') }) }),
      'endorsement.expired',
      'Intel SGX TCB Signing',
    ],
    [
      'signed by a PCK under the same root',
      make({
        tcbSigner: signerOf({ issuer: authorities.platformCa }),
        issuerChain: [signerOf({ issuer: authorities.platformCa }), authorities.platformCa],
      }),
      'endorsement.untrusted',
      '',
    ],
    [
      'signed by somebody else under the same root',
      make({ tcbSigner: signerOf({ subject: 'Intel SGX PCK Certificate' }) }),
      'endorsement.untrusted',
      'not by Intel SGX TCB Signing',
    ],
    [
      'signed under another root',
      make({ tcbSigner: stranger.tcbSigner, issuerChain: [stranger.tcbSigner, stranger.root] }),
      'endorsement.untrusted',
      'Intel SGX Root CA: signature',
    ],
    [
      'a stranger in the issuer chain',
      make({ issuerChain: [authorities.tcbSigner, authorities.root, stranger.root] }),
      'endorsement.untrusted',
      'came along',
    ],
    [
      'TCB info with a flipped signature bit',
      { ...good, tcbInfo: otherDigit(good.tcbInfo, good.tcbInfo.length - 4) },
      'endorsement.untrusted',
      'tcbInfo: signature',
    ],
    [
      'TCB info with one digit changed',
      { ...good, tcbInfo: replaced(good.tcbInfo, '"pcesvn":13', '"pcesvn":12') },
      'endorsement.untrusted',
      'tcbInfo: signature',
    ],
    [
      'QE identity with one digit changed',
      { ...good, qeIdentity: replaced(good.qeIdentity, '"isvprodid":2', '"isvprodid":3') },
      'endorsement.untrusted',
      'enclaveIdentity: signature',
    ],
    ['TCB info that is signed and not JSON', signed('tcbInfo', '{"id":}'), 'endorsement.malformed', 'JSON'],
    [
      'TCB info with a member twice',
      signed('tcbInfo', '{"id":"TDX","id":"SGX"}'),
      'endorsement.malformed',
      'duplicate member',
    ],
    ['TCB info of another version', make({ tcbInfo: { version: 4 } }), 'endorsement.malformed', 'version'],
    [
      'TCB info with a status that nobody knows',
      make({ tcbInfo: { tcbLevels: [level('Fine')] } }),
      'endorsement.malformed',
      'tcbStatus',
    ],
    ['TCB info without levels', make({ tcbInfo: { tcbLevels: [] } }), 'endorsement.malformed', 'tcbLevels'],
    [
      'TCB info with fifteen components',
      make({ tcbInfo: { tcbLevels: [level('UpToDate', 15)] } }),
      'endorsement.malformed',
      'sgxtcbcomponents',
    ],
    [
      'an identity that is not the TD quoting enclave’s',
      make({ qeIdentity: { id: 'QE' } }),
      'endorsement.mismatch',
      'tcbInfo is of TDX, enclaveIdentity of QE',
    ],
    [
      'TCB info of tomorrow',
      make({ tcbInfo: { issueDate: '2026-06-02T00:00:00Z' } }),
      'endorsement.expired',
      'tcbInfo: issued',
    ],
    [
      'TCB info past its nextUpdate',
      make({ tcbInfo: { nextUpdate: '2026-06-01T00:00:00Z' } }),
      'endorsement.expired',
      'tcbInfo: held until',
    ],
    [
      'QE identity past its nextUpdate',
      make({ qeIdentity: { nextUpdate: '2026-06-01T00:00:00Z' } }),
      'endorsement.expired',
      'enclaveIdentity: held until',
    ],
    ['no issuer chain', { ...good, issuerChain: '' }, 'endorsement.malformed', 'no block'],
  ])('%s', async (_what, collateral, code, message) => {
    await expect(verify(collateral)).rejects.toThrow(refusal(code, message))
  })
})

describe('decision 3: what was signed is cut out of the answer, never written anew', () => {
  test.each([
    ['white space between members', '{ "tcbInfo":{},"signature":"S"}'],
    ['members in another order', '{"signature":"S","tcbInfo":{}}'],
    ['another member', '{"tcbInfo":{},"x":{},"signature":"S"}'],
    ['an upper-case signature', '{"tcbInfo":{},"signature":"SS"}'.replace('SS', 'A'.repeat(128))],
    ['the wrong document', '{"enclaveIdentity":{},"signature":"S"}'],
    ['text after the answer', '{"tcbInfo":{},"signature":"S"} x'],
  ])('refuses %s', (what, text) => {
    const response = utf8(text.replace('"S"', `"${'0'.repeat(128)}"`))
    const read = () => readSignedDocument(response, 'tcbInfo', '')
    if (what !== 'another member') expect(read).toThrow(refusal('endorsement.malformed', 'tcbInfo: response is not'))
    // the greedy cut takes it into the body, which then is no single JSON value
    else expect(new TextDecoder().decode(read().body)).toBe('{},"x":{}')
  })

  test('fails only with a coded error, whichever byte of a document is changed', async () => {
    const outcomes = fc.asyncProperty(fc.nat(good.tcbInfo.length - 1), fc.nat(255), async (i, byte) => {
      fc.pre(good.tcbInfo[i] !== byte)
      await expect(async () => verify({ ...good, tcbInfo: good.tcbInfo.with(i, byte) })).rejects.toBeInstanceOf(
        VouchsafeError,
      )
    })
    await fc.assert(outcomes, { seed: 1, numRuns: 150 })
  })
})

describe.skipIf(missingVectors())('Intel’s answers of 2023 and 2026', () => {
  const file = (name: string) => `gce/tdx/collateral/${name}`
  const recorded = (tcbInfo: string): DcapCollateralInput => ({
    tcbInfo: readSignedDocument(readVector(file(tcbInfo)), 'tcbInfo', readVectorText(file('tcbinfo_issuer_chain.pem'))),
    qeIdentity: readSignedDocument(
      readVector(file('qeidentity.json')),
      'enclaveIdentity',
      readVectorText(file('qeidentity_issuer_chain.pem')),
    ),
    pckCrl: readVector(file('pckcrl_platform.der')),
    rootCrl: readVector(file('rootcrl.der')),
  })
  const genuine = (tcbInfo: string, time: string) =>
    verifyDcapCollateral(recorded(tcbInfo), { anchors: [intelSgxRoot()], at: new Date(time) }, nodeCrypto)

  test('verify on 1 July 2023', async () => {
    const collateral = await genuine('tcbinfo_50806f000000.json', '2023-07-01T01:00:00Z')
    expect(collateral.tcbInfo).toMatchObject({ id: 'TDX', fmspc: '50806f000000', tcbEvaluationDataNumber: 15 })
    expect(collateral.until).toEqual(new Date('2023-07-08T07:24:59Z'))
  })

  test('are refused a week later, and those of 2026 for the signer that expired in 2025', async () => {
    await expect(genuine('tcbinfo_50806f000000.json', '2023-07-10T00:00:00Z')).rejects.toThrow(
      refusal('endorsement.expired', ''),
    )
    await expect(genuine('tcbinfo_90c06f000000.json', '2026-02-03T00:00:00Z')).rejects.toThrow(
      refusal('endorsement.expired', 'TCB Signing'),
    )
  })
})

function level(status: string, length = 16) {
  const components = Array.from({ length }, () => ({ svn: 0 }))
  const tcb = { sgxtcbcomponents: components, pcesvn: 0, tdxtcbcomponents: components }
  return { tcb, tcbDate: '2025-01-01T00:00:00Z', tcbStatus: status }
}

function replaced(response: Uint8Array, from: string, to: string): Uint8Array {
  const text = new TextDecoder().decode(response)
  expect(text).toContain(from)
  return utf8(text.replace(from, to))
}

function signed(member: 'tcbInfo', json: string): TestCollateral {
  return { ...good, [member]: kit.signedResponse(member, json, authorities.tcbSigner.key) }
}
