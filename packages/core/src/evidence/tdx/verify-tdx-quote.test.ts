import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import { type CollateralSpec, missingVectors, readVector, type QuoteSpec, type TdReportSpec } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { type ErrorCode, VouchsafeError } from '../../base/errors.ts'
import { EndorsementMemo, parseAnchor } from '../../x509/index.ts'
import { intelSgxRoot, parseDcapQuote, readSignedDocument, verifyDcapCollateral } from '../dcap/index.ts'
import { type TdxExpectation, verifyTdxQuote } from './index.ts'

const authorities = kit.makeIntelAuthorities()
const anchors = [parseAnchor(authorities.root.der, { class: 'simulated', name: 'fake Intel root' })]
const at = new Date('2026-06-01T00:00:00Z')
const pckKey = kit.makeKey('P-256')
const pck = kit.makePck({ authorities, key: pckKey, serial: 0x4001 })
const attestationKey = kit.makeKey('P-256')
const reportData = Uint8Array.from({ length: 64 }, (_, i) => 200 - i)
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

const quote = (spec: Partial<QuoteSpec> = {}) =>
  kit.makeQuote({ authorities, pck, attestationKey, ...spec, td: { reportData, ...spec.td } })
const collateralOf = (spec: Partial<CollateralSpec> = {}) => {
  const c = kit.makeIntelCollateral({ authorities, ...spec })
  const input = {
    tcbInfo: readSignedDocument(c.tcbInfo, 'tcbInfo', c.issuerChain),
    qeIdentity: readSignedDocument(c.qeIdentity, 'enclaveIdentity', c.issuerChain),
    pckCrl: c.pckCrl,
    rootCrl: c.rootCrl,
  }
  return verifyDcapCollateral(input, { anchors, at }, nodeCrypto)
}
const healthy = await collateralOf()
const verify = (raw: Uint8Array, changes: Partial<TdxExpectation> = {}) =>
  verifyTdxQuote({ quote: raw }, { anchors, collateral: healthy, at, reportData, ...changes }, nodeCrypto)

test.each<[string, Partial<QuoteSpec>]>([
  ['version 4', {}],
  ['version 5, TDX 1.0', { version: 5 }],
  ['version 5, TDX 1.5', { version: 5, td: { kind: 'td15' } }],
  ['version 4 in a buffer filled up with zeros', { trailing: new Uint8Array(3000) }],
  ['version 4 with a chain closed by NUL', { nulTerminated: true }],
  [
    'version 4 of a single-socket platform',
    { pck: kit.makePck({ authorities, key: pckKey, issuer: authorities.platformCa }) },
  ],
])('accepts a quote of %s, and says what is known', async (_what, spec) => {
  const evidence = await verify(quote(spec))
  expect(evidence).toMatchObject({
    format: 'tdx',
    reportData: 'as-expected',
    eventLog: 'none',
    rating: { status: 'UpToDate', module: { id: 'TDX_01' }, evaluationNumber: 18 },
  })
  expect(evidence.pck).toMatchObject({ fmspc: kit.TEST_FMSPC, pceSvn: 13, sgxType: 'scalable' })
  expect(evidence.chain.anchor.class).toBe('simulated')
  expect(evidence.validUntil).toEqual(new Date('2026-06-19T00:00:00Z'))
})

test('a platform certified by the Processor CA is accepted with that CA’s list, and refused without', async () => {
  const issuer = authorities.processorCa
  const raw = quote({
    pck: kit.makePck({ authorities, key: pckKey, issuer }),
    chain: [kit.makePck({ authorities, key: pckKey, issuer }), issuer, authorities.root],
  })
  expect((await verify(raw, { collateral: await collateralOf({ crlIssuer: issuer }) })).rating).toMatchObject({
    status: 'UpToDate',
  })
  await expect(verify(raw)).rejects.toThrow(refusal('endorsement.unavailable', 'Intel SGX PCK Processor CA'))
})

describe('a platform that is known', () => {
  const raw = quote() // each is signed anew, so that another would bring another certification
  const known = async () => {
    const memo = new EndorsementMemo()
    const { qeReport } = await verify(raw, { memo })
    expect((await verify(raw, { memo })).qeReport).toBe(qeReport)
    return memo
  }

  test.each<[string, () => Promise<Partial<TdxExpectation>>, ErrorCode, string]>([
    [
      'revoked since',
      async () => ({ collateral: await collateralOf({ revokedPcks: [0x4001] }) }),
      'endorsement.revoked',
      'serial 4001',
    ],
    [
      'of another kind than the TCB info',
      async () => ({ collateral: await collateralOf({ tcbInfo: { fmspc: '00806f050001' } }) }),
      'endorsement.mismatch',
      'fmspc',
    ],
    [
      'whose quoting enclave is another’s',
      async () => ({ collateral: await collateralOf({ qeIdentity: { mrsigner: '11'.repeat(32) } }) }),
      'endorsement.mismatch',
      'MRSIGNER',
    ],
    [
      'asked about after the collateral’s end',
      async () => ({ at: new Date('2027-01-01T00:00:00Z') }),
      'endorsement.expired',
      'collateral',
    ],
    ['of an authority that is not trusted here', async () => ({ anchors: [] }), 'endorsement.untrusted', 'issuer'],
  ])('D09 is judged by the collateral of now: %s', async (_what, changes, code, message) => {
    await expect(verify(raw, { memo: await known(), ...(await changes()) })).rejects.toThrow(refusal(code, message))
  })

  test('is judged again where its chain is walked anew, under an anchor that is not the root it brings', async () => {
    const twin = kit.makeCertificate({
      subject: 'Intel SGX Root CA',
      key: authorities.root.key,
      extensions: kit.AUTHORITY,
    })
    const other = [parseAnchor(twin.der, { class: 'simulated', name: 'the same key in another certificate' })]
    await expect(verify(raw, { memo: await known(), anchors: other })).rejects.toThrow(
      refusal('endorsement.untrusted', 'came along'),
    )
  })

  test('has the rating of its TCB info of now, and says the same as if it were not known', async () => {
    const outdated = { tcb: { isvsvn: 1 }, tcbDate: '2024-01-01T00:00:00Z', tcbStatus: 'OutOfDate' }
    const memo = await known()
    expect(await verify(raw, { memo })).toEqual(await verify(raw))
    const collateral = await collateralOf({ qeIdentity: { tcbLevels: [outdated] } })
    expect((await verify(raw, { memo, collateral })).rating).toMatchObject({ status: 'OutOfDate' })
    expect((await verify(raw, { memo, collateral: 'not-checked' })).rating).toBe('not-checked')
  })

  test('B12 is refused when any byte of what it brings is another, as it is when it is not known', async () => {
    const memo = await known()
    const from = raw.length - parseDcapQuote(raw).certification.length
    for (let i = 0; i < 120; i++) {
      const at = from + Math.floor((i * (raw.length - from)) / 120)
      const changed = raw.with(at, (raw[at] ?? 0) ^ 1)
      const outcome = (m?: EndorsementMemo) =>
        verify(changed, m && { memo: m }).catch((error: unknown) => error as Error)
      const fresh = await outcome()
      expect(fresh).toBeInstanceOf(VouchsafeError)
      expect(await outcome(memo)).toEqual(fresh)
    }
  })
})

describe('A04 A05 report data', () => {
  test.each<[string, Uint8Array]>([
    ['other bytes', reportData.with(0, 0)],
    ['other bytes at the end', reportData.with(63, 0)],
    ['zeros', new Uint8Array(64)],
  ])('%s are refused', async (_what, wanted) => {
    await expect(verify(quote(), { reportData: wanted })).rejects.toThrow(refusal('evidence.binding', 'REPORTDATA'))
  })
  test.each([0, 32, 65])('an expectation of %i bytes is a bug, never a match', async (length) => {
    await expect(verify(quote(), { reportData: new Uint8Array(length) })).rejects.toThrow(
      refusal('internal', 'report data expected'),
    )
  })
})

const other = kit.makeKey('P-256')
const qe = (changes: NonNullable<QuoteSpec['qe']>): Partial<QuoteSpec> => ({ qe: changes })
const certified = (spec: Partial<kit.PckSpec>): Partial<QuoteSpec> => ({
  pck: kit.makePck({ authorities, key: pckKey, ...spec }),
})
const SGX = '1.2.840.113741.1.13.1'

describe('D13 every link of the chain is checked', () => {
  test.each<[string, Partial<QuoteSpec>, ErrorCode, string]>([
    [
      'body signed by another key',
      { signer: other },
      'evidence.signature',
      'does not verify under the attestation key',
    ],
    [
      'quoting enclave’s report signed by another key',
      { qeSigner: other },
      'evidence.signature',
      'does not verify under the PCK',
    ],
    [
      'attestation key that the quoting enclave does not vouch for',
      qe({ reportData: new Uint8Array(64) }),
      'evidence.mismatch',
      'another attestation key',
    ],
    [
      'quoting enclave’s report data with a tail',
      qe({ reportData: new Uint8Array(64).fill(1) }),
      'evidence.mismatch',
      'another attestation key',
    ],
    ['quoting enclave of another signer', qe({ mrSigner: new Uint8Array(32) }), 'endorsement.mismatch', 'MRSIGNER'],
    ['quoting enclave of another product', qe({ isvProdId: 1 }), 'endorsement.mismatch', 'ISVPRODID'],
    ['quoting enclave with other MISCSELECT', qe({ miscSelect: 1 }), 'endorsement.mismatch', 'MISCSELECT'],
    [
      'quoting enclave under debug',
      qe({ attributes: Uint8Array.of(0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) }),
      'endorsement.mismatch',
      'ATTRIBUTES',
    ],
    ['quoting enclave below every level', qe({ isvSvn: 6 }), 'endorsement.mismatch', 'ISVSVN 6'],
    ['platform of another FMSPC', certified({ fmspc: '00806f050001' }), 'endorsement.mismatch', 'fmspc'],
    ['platform of another PCE', certified({ pceId: '0001' }), 'endorsement.mismatch', 'pceId'],
    [
      'platform below every level',
      certified({ componentSvns: [6, ...kit.defaultComponents().slice(1)] }),
      'endorsement.mismatch',
      'below every TCB level',
    ],
    ['PCE below every level', certified({ pceSvn: 12 }), 'endorsement.mismatch', 'below every TCB level'],
    [
      'module below every level',
      { td: { teeTcbSvn: kit.svns(4, 1, 6) } },
      'endorsement.mismatch',
      'module TDX_01 of SVN 4',
    ],
    [
      'TDX component below every level',
      { td: { teeTcbSvn: kit.svns(5, 1, 5) } },
      'endorsement.mismatch',
      'below every TCB level',
    ],
    [
      'module that the collateral does not know',
      { td: { teeTcbSvn: kit.svns(5, 2, 6) } },
      'endorsement.mismatch',
      'no identity of module TDX_02',
    ],
    [
      'module of another signer',
      { td: { mrSignerSeam: new Uint8Array(48).fill(1) } },
      'endorsement.mismatch',
      'MRSIGNERSEAM',
    ],
    [
      'module with SEAM attributes',
      { td: { seamAttributes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) } },
      'endorsement.mismatch',
      'SEAMATTRIBUTES',
    ],
    [
      'module of version 0 with SEAM attributes',
      { td: { teeTcbSvn: kit.svns(5, 0, 6), seamAttributes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) } },
      'endorsement.mismatch',
      'SEAMATTRIBUTES',
    ],
    [
      'module of version 0 below every level',
      { td: { teeTcbSvn: kit.svns(4, 0, 6) } },
      'endorsement.mismatch',
      'below every TCB level',
    ],
    [
      'platform certificate under another subject',
      certified({ subject: 'Intel SGX PCK' }),
      'endorsement.mismatch',
      'not a PCK certificate',
    ],
    [
      'platform certificate straight from the root',
      certified({ issuer: authorities.root }),
      'endorsement.mismatch',
      'not a PCK certificate',
    ],
    [
      'platform certificate of a look-alike CA',
      certified({ issuer: { ...authorities.platformCa, key: other } }),
      'endorsement.untrusted',
      'signature',
    ],
    [
      'platform certificate expired',
      certified({ notAfter: new Date('2026-01-01T00:00:00Z') }),
      'endorsement.expired',
      'notAfter',
    ],
    [
      'a stranger in the chain',
      { chain: [pck, authorities.platformCa, authorities.tcbSigner] },
      'endorsement.untrusted',
      'came along',
    ],
    [
      'a root that only looks like the pinned one',
      { chain: [pck, authorities.platformCa, kit.makeIntelAuthorities().root] },
      'endorsement.untrusted',
      'came along',
    ],
    ['chain without intermediate', { chain: [pck, authorities.root] }, 'endorsement.untrusted', 'issuer'],
    ['no SGX extension', certified({ sgxExtension: null }), 'endorsement.malformed', 'SGX extension is missing'],
    [
      'a member of the SGX extension twice',
      certified({ editSgx: (m) => m.push(m[3]!) }),
      'endorsement.malformed',
      `${SGX}.4 at offset`,
    ],
    [
      'an unknown member of the SGX extension',
      certified({ editSgx: (m) => m.push([`${SGX}.8`, kit.derWriter.integer(1)]) }),
      'endorsement.malformed',
      'not known',
    ],
    ['no FMSPC', certified({ editSgx: (m) => void m.splice(3, 1) }), 'endorsement.malformed', `${SGX}.4`],
    ['an FMSPC of five bytes', certified({ fmspc: '0080'.repeat(2) + '6f' }), 'endorsement.malformed', '5 bytes'],
    [
      'an SVN of 256',
      certified({ componentSvns: [256, ...kit.defaultComponents().slice(1)] }),
      'endorsement.malformed',
      '256 is over 255',
    ],
    [
      'an SGX type that nobody knows',
      certified({ editSgx: (m) => (m[4]![1] = kit.derWriter.enumerated(9)) }),
      'endorsement.malformed',
      'SGXType',
    ],
  ])('%s', async (_what, spec, code, message) => {
    await expect(verify(quote(spec))).rejects.toThrow(refusal(code, message))
  })

  test('a revoked platform is refused', async () => {
    await expect(verify(quote(), { collateral: await collateralOf({ revokedPcks: [0x4001] }) })).rejects.toThrow(
      refusal('endorsement.revoked', 'Intel SGX PCK Certificate'),
    )
  })

  test('a revocation list of the platform CA with a flipped signature bit is refused', async () => {
    const good = kit.makeIntelCollateral({ authorities }).pckCrl
    const pckCrl = good.with(good.length - 1, good[good.length - 1]! ^ 1)
    await expect(verify(quote(), { collateral: await collateralOf({ pckCrl }) })).rejects.toThrow(
      refusal('endorsement.untrusted', 'revocation list of CN=Intel SGX PCK Platform CA: signature'),
    )
  })

  test('collateral that has run out since it was verified is refused', async () => {
    await expect(verify(quote(), { at: new Date('2026-06-19T00:00:00Z') })).rejects.toThrow(
      refusal('endorsement.expired', 'collateral: held until'),
    )
  })

  test('collateral that nobody verified is a bug', async () => {
    await expect(verify(quote(), { collateral: { ...healthy } as typeof healthy })).rejects.toThrow(
      refusal('internal', 'never verified'),
    )
  })

  test('without collateral the result says that nothing is known of the TCB', async () => {
    const evidence = await verify(quote(), { collateral: 'not-checked' })
    expect([evidence.rating, evidence.chain.revocation]).toEqual(['not-checked', 'not-checked'])
  })

  test('collateral of SGX does not speak of a TD', async () => {
    const collateral = await collateralOf({ tee: 'SGX', qeIdentity: { isvprodid: 2 } })
    await expect(verify(quote(), { collateral })).rejects.toThrow(
      refusal('endorsement.mismatch', 'is of SGX, wanted of TDX'),
    )
  })
})

describe('D14 ratings', () => {
  const rated = (status: string, advisoryIDs: readonly string[] = []) => ({
    tcbDate: '2024-03-13T00:00:00Z',
    tcbStatus: status,
    advisoryIDs,
  })
  const anyModule = { mrsigner: '00'.repeat(48), attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) }
  const moduleOf = (...levels: [number, string, string[]?][]) => ({
    tdxModuleIdentities: [
      {
        id: 'TDX_01',
        ...anyModule,
        tcbLevels: levels.map(([isvsvn, status, ids]) => ({ tcb: { isvsvn }, ...rated(status, ids) })),
      },
    ],
  })
  const ratingOf = async (spec: Partial<CollateralSpec>, td: Partial<TdReportSpec> = {}) =>
    (await verify(quote({ version: 5, td }), { collateral: await collateralOf(spec) })).rating

  test('the module’s status and advisories count beside the platform’s', async () => {
    const rating = await ratingOf({ tcbInfo: moduleOf([6, 'UpToDate'], [4, 'OutOfDate', ['INTEL-SA-01036']]) })
    expect(rating).toMatchObject({
      status: 'OutOfDate',
      platform: { status: 'UpToDate' },
      module: { status: 'OutOfDate' },
      advisories: ['INTEL-SA-01036'],
    })
  })
  test('the quoting enclave’s status counts too', async () => {
    const rating = await ratingOf({
      qeIdentity: {
        tcbLevels: [
          { tcb: { isvsvn: 8 }, ...rated('UpToDate') },
          { tcb: { isvsvn: 5 }, ...rated('OutOfDate', ['INTEL-SA-00615']) },
        ],
      },
    })
    expect(rating).toMatchObject({ status: 'OutOfDate', qe: { status: 'OutOfDate' }, advisories: ['INTEL-SA-00615'] })
  })
  test('a TD launched under an old module that runs now under a good one is told to relaunch', async () => {
    const tcbInfo = moduleOf([5, 'UpToDate'], [3, 'OutOfDate'])
    expect(
      await ratingOf({ tcbInfo }, { kind: 'td15', teeTcbSvn: kit.svns(3, 1, 6), teeTcbSvn2: kit.svns(5, 1, 6) }),
    ).toMatchObject({ status: 'TDRelaunchAdvised' })
    expect(
      await ratingOf({ tcbInfo }, { kind: 'td15', teeTcbSvn: kit.svns(3, 1, 6), teeTcbSvn2: kit.svns(4, 1, 6) }),
    ).toMatchObject({ status: 'OutOfDate' })
    expect(await ratingOf({ tcbInfo }, { teeTcbSvn: kit.svns(3, 1, 6) })).toMatchObject({ status: 'OutOfDate' })
  })
  test('a module of version 0 has no rating of its own', async () => {
    const rating = await ratingOf({}, { teeTcbSvn: kit.svns(5, 0, 6) })
    expect(rating).toMatchObject({ status: 'UpToDate' })
    expect(rating).not.toHaveProperty('module')
  })
})

describe('D19 a quote has exactly one form', () => {
  const bytes = quote()
  test.each<[string, Uint8Array, ErrorCode, string]>([
    ['version 2', quote({ version: 2 }), 'evidence.unsupported', 'version 2'],
    ['version 6', quote({ version: 6 }), 'evidence.unsupported', 'version 6'],
    ['an attestation key of another kind', quote({ attestationKeyType: 3 }), 'evidence.algorithm', 'att_key_type 3'],
    ['another TEE', quote({ teeType: 0x82 }), 'evidence.unsupported', 'tee_type 0x82'],
    ['a TD body that claims to be of SGX', quote({ teeType: 0 }), 'input.malformed', 'tee_type'],
    ['another vendor', quote({ vendor: new Uint8Array(16) }), 'evidence.unsupported', 'qe_vendor_id'],
    ['a body of SGX in version 5', quote({ version: 5, bodyType: 1 }), 'evidence.unsupported', 'body_type 1'],
    ['a body type of the other size', quote({ version: 5, bodyType: 3 }), 'input.malformed', 'body_size'],
    ['a body size that lies', quote({ version: 5, bodySize: 585 }), 'input.malformed', 'body_size'],
    ['certification data of another kind', quote({ outerType: 7 }), 'evidence.unsupported', 'type 7, wanted 6'],
    ['an encrypted PPID in place of a chain', quote({ innerType: 3 }), 'evidence.unsupported', 'type 3, wanted 5'],
    [
      'bytes after its end',
      kit.derWriter.join(bytes, Uint8Array.of(0, 0, 1)),
      'input.malformed',
      'bytes other than zero after the quote',
    ],
    ['its last byte cut off', bytes.subarray(0, -1), 'input.malformed', 'signature_data'],
    ['a byte left over within the signature data', grown(bytes), 'input.malformed', 'left over'],
    ['nothing at all', new Uint8Array(0), 'input.malformed', 'version'],
    ['too many bytes', new Uint8Array(70_000), 'input.too-large', ''],
  ])('refuses a quote with %s', async (_what, raw, code, message) => {
    await expect(verify(raw)).rejects.toThrow(refusal(code, message))
  })

  test('a quote of an enclave is not one of a TD', async () => {
    await expect(verify(quote({ version: 3, enclave: {} }))).rejects.toThrow(
      refusal('evidence.unsupported', 'SGX enclave'),
    )
  })

  test('one flipped bit anywhere in what is signed is noticed', async () => {
    for (const good of [bytes, quote({ version: 5, td: { kind: 'td15' } })])
      for (let i = 0; i < 632; i += 7) {
        const flipped = good.with(i, good[i]! ^ (1 << (i & 7)))
        await expect(verify(flipped, { reportData: 'not-checked' }), `byte ${i}`).rejects.toBeInstanceOf(VouchsafeError)
      }
  })

  test('fails only with a coded error, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(bytes.length),
        (edits, length) => {
          const changed = new Uint8Array(bytes)
          for (const [i, byte] of edits) changed[i] = byte
          for (const input of [changed, changed.subarray(0, length)]) {
            try {
              parseDcapQuote(input)
            } catch (e) {
              expect(e).toBeInstanceOf(VouchsafeError)
              expect((e as VouchsafeError).code).not.toBe('internal')
            }
          }
        },
      ),
      { seed: 1, numRuns: 2000 },
    )
  })
})

describe.skipIf(missingVectors())('genuine quotes', () => {
  const genuine = (raw: Uint8Array, time: string, eventLog?: Uint8Array) =>
    verifyTdxQuote(
      { quote: raw, ...(eventLog && { eventLog }) },
      { anchors: [intelSgxRoot()], collateral: 'not-checked', reportData: 'not-checked', at: new Date(time) },
      nodeCrypto,
    )
  /** The recorder of this one wrote 39 bytes of text after the quote. */
  const sprE4 = () => readVector('gce/tdx/quote_v4_spr_e4.bin').subarray(0, 4935)

  test.each([
    ['gce/tdx/quote_v5_sample.bin', '2026-02-03T00:00:00Z', 5],
    ['gce/tdx/quote_v4_cos113_zero_reportdata.bin', '2025-01-01T00:00:00Z', 4],
    ['gce/tdx/quote_v4_oak_oc.bin', '2025-11-01T00:00:00Z', 4],
    ['coco/tdx/tdx_quote_4.dat', '2025-01-01T00:00:00Z', 4],
    ['coco/tdx/tdx_quote_5.dat', '2025-11-01T00:00:00Z', 5],
    ['coco/tdx/tdx_quote_6.dat', '2025-06-01T00:00:00Z', 4],
    ['coco/az-tdx-vtpm/td-quote.bin', '2025-01-01T00:00:00Z', 4],
  ])('%s verifies up to Intel’s root', async (file, time, version) => {
    const evidence = await genuine(readVector(file), time)
    expect(evidence.quote.version).toBe(version)
    expect(evidence.chain.anchor).toMatchObject({ class: 'hardware', name: 'Intel SGX Root CA' })
  })

  test('the quote of a Sapphire Rapids verifies in 2023 and no longer in 2053', async () => {
    const evidence = await genuine(sprE4(), '2023-07-01T01:00:00Z')
    expect(evidence.pck).toMatchObject({
      ppid: '089ddfdb9c0359c82a3bc7719239574e',
      pceId: '0000',
      pceSvn: 11,
      cpuSvn: '03030202020100020000000000000000',
      fmspc: '50806f000000',
    })
    await expect(genuine(sprE4(), '2053-07-01T01:00:00Z')).rejects.toThrow(refusal('endorsement.expired', ''))
  })

  test('text after a quote is refused', async () => {
    await expect(genuine(readVector('gce/tdx/quote_v4_spr_e4.bin'), '2023-07-01T01:00:00Z')).rejects.toThrow(
      refusal('input.malformed', 'bytes other than zero'),
    )
  })

  test.each<[number, number, ErrorCode]>([
    [0x00, 3, 'input.malformed'],
    [0x278, 0x10, 'input.malformed'],
    [0x1e, 0xff, 'evidence.signature'],
    [0x3c, 0xff, 'evidence.signature'],
    [0xb77, 0x41, 'endorsement.untrusted'],
    [0xf5f, 0x41, 'endorsement.untrusted'],
    [0x1329, 0x41, 'endorsement.untrusted'],
    [0x1343, 0x32, 'endorsement.malformed'],
  ])('byte 0x%s set to %i is noticed', async (i, byte, code) => {
    const raw = sprE4()
    expect(raw[i]).not.toBe(byte)
    await expect(genuine(raw.with(i, byte), '2023-07-01T01:00:00Z')).rejects.toThrow(refusal(code, ''))
  })

  test('the event log of a COS guest replays to the registers of its quote', async () => {
    const quoted = readVector('gce/tdx/quote_v4_cos113_zero_reportdata.bin')
    const log = readVector('gce/ccel/cos-113-intel-tdx.bin')
    const { eventLog } = await genuine(quoted, '2025-01-01T00:00:00Z', log)
    expect(eventLog).toMatchObject({ coverage: { replayed: [1, 2, 3], untouched: [4], unexplained: [] } })
    const changed = Buffer.from(log)
    const event = eventLog !== 'none' && eventLog.log.events.find((e) => e.register === 2)
    const digest = changed.indexOf((event && event.digests.get('sha384')) || 'missing')
    changed[digest]! ^= 1
    await expect(genuine(quoted, '2025-01-01T00:00:00Z', changed)).rejects.toThrow(refusal('evidence.log', 'ccmr 2'))
  })

  test('the event log of another machine is refused', async () => {
    await expect(
      genuine(readVector('coco/tdx/tdx_quote_4.dat'), '2025-01-01T00:00:00Z', readVector('coco/eventlog/CCEL_data')),
    ).rejects.toThrow(refusal('evidence.log', 'CCEL'))
  })

  test('a quote from below every level of its platform’s TCB info is refused', async () => {
    const file = (name: string) => readVector(`gce/tdx/collateral/${name}`)
    const text = (name: string) => new TextDecoder().decode(file(name))
    const time = new Date('2023-07-01T01:00:00Z')
    const input = {
      tcbInfo: readSignedDocument(file('tcbinfo_50806f000000.json'), 'tcbInfo', text('tcbinfo_issuer_chain.pem')),
      qeIdentity: readSignedDocument(file('qeidentity.json'), 'enclaveIdentity', text('qeidentity_issuer_chain.pem')),
      pckCrl: file('pckcrl_platform.der'),
      rootCrl: file('rootcrl.der'),
    }
    const collateral = await verifyDcapCollateral(input, { anchors: [intelSgxRoot()], at: time }, nodeCrypto)
    const attempt = verifyTdxQuote(
      { quote: sprE4() },
      { anchors: [intelSgxRoot()], collateral, reportData: 'not-checked', at: time },
      nodeCrypto,
    )
    await expect(attempt).rejects.toThrow(refusal('endorsement.mismatch', 'below every TCB level'))
  })
})

/** One byte more in the signature data, and the length says so. */
function grown(raw: Uint8Array): Uint8Array {
  const out = kit.derWriter.join(raw, Uint8Array.of(0))
  const data = new DataView(out.buffer)
  data.setUint32(632, data.getUint32(632, true) + 1, true)
  return out
}
