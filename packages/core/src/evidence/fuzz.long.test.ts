import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import { expect, test } from 'vitest'
import { nodeCrypto } from '../../node/crypto.ts'
import { VouchsafeError } from '../base/errors.ts'
import { bzImage } from '../testing/pe-image.ts'
import { parseCertificate, parsePem, parseRevocationList, readEkCertificate } from '../x509/index.ts'
import * as evidence from './index.ts'
import { readProtobuf } from './gce-vtpm/protobuf.ts'

/*
 * Minutes a parser: whatever the bytes, the answer is a value or a coded error, never another exception and never a hang.
 * Inputs are sound ones with several things wrong at once, so that most of them get past the first fields.
 */

const intel = kit.makeIntelAuthorities()
const pck = kit.makePck({ authorities: intel })
const collateral = kit.makeIntelCollateral({ authorities: intel })
const ak = kit.makeKey('RSA-2048')
const gpuRoot = kit.makeNvidiaRoot()
const pem = new TextEncoder().encode(kit.toPem(pck, intel.platformCa))
const cca = { challenge: 'not-checked', anchors: [] } as const

const PARSERS: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => unknown])[] = [
  ['certificates', pck.der, parseCertificate],
  ['EK certificates', pck.der, readEkCertificate],
  ['revocation lists', collateral.pckCrl, parseRevocationList],
  ['PEM', pem, (bytes) => parsePem(new TextDecoder('latin1').decode(bytes), 'CERTIFICATE')],
  ['PCK chains', pem, (bytes) => evidence.readPckChain(bytes)],
  ['SNP reports', kit.encodeSnpReport({ product: 'Turin', version: 5 }), evidence.parseSnpReport],
  [
    'SNP certificate tables',
    kit.encodeSnpCertificateTable([['63da758d-e664-4564-adc5-f4b93be8accd', pem]]),
    evidence.parseSnpCertificateTable,
  ],
  ['quotes', kit.makeQuote({ authorities: intel, pck, version: 5, td: { kind: 'td15' } }), evidence.parseDcapQuote],
  ['enclave reports', kit.encodeEnclaveReport({}), (bytes) => evidence.parseEnclaveReport('x', bytes)],
  ['TD reports', kit.encodeTdReport({}), (bytes) => evidence.parseTdReport(bytes, 'td10')],
  ['Intel’s answers', collateral.tcbInfo, (bytes) => evidence.readSignedDocument(bytes, 'tcbInfo', '')],
  [
    'HCL reports',
    kit.encodeHclReport({ kind: 'snp', hardwareReport: new Uint8Array(1184), runtimeData: kit.makeRuntimeData(ak) }),
    (bytes) => evidence.parseRuntimeData(evidence.parseHclReport(bytes).runtimeData),
  ],
  ['protobuf', kit.protobufBytes(1, kit.protobufNumber(2, 3n)), (bytes) => readProtobuf('x', bytes)],
  [
    'CCA tokens',
    kit.makeCcaToken({ cpak: kit.makeKey('P-384') }),
    (bytes) => evidence.verifyCcaToken(bytes, cca, nodeCrypto),
  ],
  ['GPU reports', kit.makeGpu({ issuer: gpuRoot }).report, evidence.parseGpuReport],
  ['programs of firmware', bzImage(), (bytes) => evidence.authenticodeDigest(bytes, 'sha256', nodeCrypto)],
  ['kernels for QEMU', bzImage(), (bytes) => evidence.kernelFromQemu(bytes, 4096, 512)],
  ['evidence of any kind', kit.makeQuote({ authorities: intel, pck }), evidence.detectEvidence],
]

test.each(PARSERS)(
  '%s: a value or a coded error, whatever the bytes',
  async (_what, good, parse) => {
    const edit = fc.record({
      at: fc.nat(good.length - 1),
      bytes: fc.uint8Array({ maxLength: 8 }),
      drop: fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, fc.nat(64)),
    })
    const property = fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 6 }), async (edits) => {
      let input = good
      for (const { at, bytes, drop } of edits)
        input = kit.derWriter.join(
          input.subarray(0, at),
          bytes,
          input.subarray(Math.min(input.length, at + bytes.length + drop)),
        )
      try {
        await parse(input)
      } catch (error) {
        expect(error).toBeInstanceOf(VouchsafeError)
        expect((error as VouchsafeError).code).not.toBe('internal')
      }
    })
    const limit = {
      interruptAfterTimeLimit: kit.FUZZ_SECONDS * 1000,
      markInterruptAsFailure: false,
      numRuns: Number.MAX_SAFE_INTEGER,
    }
    await fc.assert(property, limit)
  },
  (kit.FUZZ_SECONDS + 60) * 1000,
)
