import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import { type GpuSpec, missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { fromHex } from '../../base/encoding.ts'
import { type ErrorCode, VouchsafeError } from '../../base/errors.ts'
import { parseAnchor, parsePem } from '../../x509/index.ts'
import {
  type GpuEvidence,
  type GpuExpectation,
  gpuNonce,
  nvidiaDeviceRoot,
  parseGpuReport,
  verifyGpu,
  verifyGpus,
} from './index.ts'

const issuer = kit.makeNvidiaRoot()
const nonce = new Uint8Array(32).fill(0x99)
const expected: GpuExpectation = {
  nonce,
  anchors: [parseAnchor(issuer.der, { class: 'simulated', name: 'fake NVIDIA' })],
  revocation: 'not-checked',
  at: new Date('2026-06-01T00:00:00Z'),
}
const gpu = (spec: Partial<GpuSpec> = {}) => kit.makeGpu({ issuer, nonce, ...spec })
const verify = (evidence: GpuEvidence, changes: Partial<GpuExpectation> = {}) =>
  verifyGpu(evidence, { ...expected, ...changes }, nodeCrypto)
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

test('accepts a report, and says what is known', async () => {
  const evidence = await verify(gpu())
  expect(evidence.report).toMatchObject({
    driverVersion: '550.90.07',
    vbiosVersion: '96.00.9f.00.01',
    fwid: 'f1'.repeat(48),
  })
  expect([...evidence.report.measurements]).toEqual([1, 2, 3].map((n) => [n, `0${n}`.repeat(48)]))
})

const good = gpu()
const other = gpu()
const flip = (at: number) => ({ ...good, report: good.report.with(at, good.report[at]! ^ 1) })
describe('refuses', () => {
  test.each<[string, GpuEvidence, Partial<GpuExpectation>, ErrorCode, string]>([
    ['another nonce', good, { nonce: nonce.with(31, 0) }, 'evidence.binding', 'nonce'],
    ['a short expectation', good, { nonce: nonce.subarray(16) }, 'internal', '16 bytes'],
    ['the certificate of another GPU', { ...good, chain: other.chain }, {}, 'evidence.signature', 'does not verify'],
    ['a flipped bit in a measurement', flip(60), {}, 'evidence.signature', 'does not verify'],
    ['a flipped bit in the signature', flip(good.report.length - 1), {}, 'evidence.signature', 'does not verify'],
    [
      'a certificate for other firmware',
      gpu({ certifiedFwid: new Uint8Array(48) }),
      {},
      'endorsement.mismatch',
      'FWID',
    ],
    ['a certificate without firmware id', gpu({ certifiedFwid: null }), {}, 'endorsement.malformed', 'no FWID'],
    ['another root', good, { anchors: [nvidiaDeviceRoot()] }, 'endorsement.untrusted', 'issuer'],
    ['no chain', { ...good, chain: [] }, {}, 'endorsement.malformed', 'no certificate chain'],
    ['another SPDM version', gpu({ requestVersion: 0x12 }), {}, 'evidence.unsupported', 'SPDM version 0x12'],
    ['a request without signature', gpu({ requestAttributes: 0 }), {}, 'input.malformed', 'request.attributes'],
    ['another answer', gpu({ responseCode: 0x7f }), {}, 'input.malformed', 'response.code'],
    ['measurements that do not begin at 1', gpu({ firstBlock: 2 }), {}, 'input.malformed', 'block.index'],
    ['measurements of another specification', gpu({ specification: 2 }), {}, 'input.malformed', 'block.specification'],
    ['a field twice', gpu({ opaqueTwice: true }), {}, 'input.malformed', 'twice'],
    [
      'bytes after its end',
      { ...good, report: kit.derWriter.join(good.report, Uint8Array.of(1)) },
      {},
      'input.malformed',
      'after the report',
    ],
    ['its end cut off', { ...good, report: good.report.subarray(0, -1) }, {}, 'input.malformed', 'signature'],
  ])('%s', async (_what, evidence, changes, code, message) => {
    await expect(verify(evidence, changes)).rejects.toThrow(refusal(code, message))
  })

  test('fails only with a coded error, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.nat(good.report.length - 1), fc.nat(255), fc.nat(good.report.length), (i, byte, length) => {
        for (const input of [good.report.with(i, byte), good.report.subarray(0, length)]) {
          try {
            parseGpuReport(input)
          } catch (e) {
            expect(e).toBeInstanceOf(VouchsafeError)
            expect((e as VouchsafeError).code).not.toBe('internal')
          }
        }
      }),
      { seed: 1, numRuns: 2000 },
    )
  })
})

describe('D18 all GPUs of a machine', () => {
  const all = (devices: readonly GpuEvidence[], count: number) =>
    verifyGpus(devices, { ...expected, count }, nodeCrypto)
  test('are accepted together', async () => {
    expect(await all([good, other], 2)).toHaveLength(2)
  })
  test.each<[string, readonly GpuEvidence[], number, ErrorCode, string]>([
    ['one too few', [good], 2, 'evidence.mismatch', '1 are shown, wanted 2'],
    ['none, and none wanted', [], 0, 'evidence.mismatch', '0 are shown'],
    ['one shown twice', [good, good], 2, 'evidence.mismatch', 'shown twice'],
    ['one of another round', [good, gpu({ nonce: new Uint8Array(32) })], 2, 'evidence.binding', 'nonce'],
  ])('are refused with %s', async (_what, devices, count, code, message) => {
    await expect(all(devices, count)).rejects.toThrow(refusal(code, message))
  })
  test('A18 their nonce follows from what the CPU report commits to', () => {
    const [a, b] = [1, 2].map((n) => gpuNonce(new Uint8Array(64).fill(n), nodeCrypto))
    expect(a).toHaveLength(32)
    expect(a).not.toEqual(b)
  })
})

describe.skipIf(missingVectors())('a genuine Hopper', () => {
  const chainOf = (name: string) => parsePem(readVectorText(`coco/nvidia/${name}.txt`), 'CERTIFICATE')
  const hex = (name: string) => fromHex(readVectorText(`coco/nvidia/${name}.txt`).replace(/\s/g, '').toLowerCase())
  const genuine = (report: Uint8Array, chain: readonly Uint8Array[], asked: GpuExpectation['nonce']) =>
    verify({ report, chain }, { nonce: asked, anchors: [nvidiaDeviceRoot()], at: new Date('2025-06-01T00:00:00Z') })

  test('verifies up to NVIDIA’s root, with the recorded claims', async () => {
    const asked = fromHex('931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb')
    const { report } = await genuine(hex('hopperAttestationReport'), chainOf('hopper_cert_chain_case1'), asked)
    const claims = JSON.parse(readVectorText('coco/nvidia/hopperAttestationReport-claims.txt')) as any
    expect(Object.fromEntries(report.measurements)).toEqual(claims.measurements)
    expect(report).toMatchObject({
      driverVersion: claims.config.driver_version,
      vbiosVersion: claims.config.vbios_version,
      fwid: claims.config.fwid,
    })
  })

  test('the other one verifies too, with the zero that its recorder left after it', async () => {
    const asked = fromHex(
      '87d8e24ab336adafe228d49e83d745f6dba4ae505372b6a5704820856b343fece279b616efefc2aae21da80cf5581250',
    ).subarray(0, 32)
    await genuine(hex('hopper_coco_report1'), chainOf('hopper_coco_certs1'), asked)
  })

  test.each<[string, number, ErrorCode, string]>([
    ['the root alone', 2, 'endorsement.mismatch', 'NVIDIA Device Identity CA: keyUsage: lacks digitalSignature'],
    [
      'an intermediate missing',
      3,
      'endorsement.untrusted',
      'nobody else here, is C=US,O=NVIDIA Corporation,CN=NVIDIA GH100',
    ],
    ['the signing certificate missing', 4, 'endorsement.mismatch', 'GH100 A01 GSP BROM'],
  ])('a chain of %s is refused', async (_what, file, code, message) => {
    const chain = chainOf(`hopper_cert_chain_case${file}`)
    await expect(genuine(hex('hopperAttestationReport'), chain, 'not-checked')).rejects.toThrow(refusal(code, message))
  })
})
