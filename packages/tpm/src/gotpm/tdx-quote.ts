import { create } from '@bufbuild/protobuf'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { ByteReader } from '../codec/byte-reader.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { TpmError } from '../codec/errors.ts'
import { QuoteV4Schema } from './gen/tdx_pb.js'
import type { EnclaveReport, Header, QuoteV4, TDQuoteBody } from './gen/tdx_pb.js'
import { readLayout, writeLayout } from './layout.ts'
import type { Layout } from './layout.ts'

const HEADER: Layout<keyof Header> = [
  ['version', 'u16'],
  ['attestationKeyType', 'u16'],
  ['teeType', 'u32'],
  ['pceSvn', 2],
  ['qeSvn', 2],
  ['qeVendorId', 16],
  ['userData', 20],
]
const BODY: Layout<keyof TDQuoteBody> = [
  ['teeTcbSvn', 16],
  ['mrSeam', 48],
  ['mrSignerSeam', 48],
  ['seamAttributes', 8],
  ['tdAttributes', 8],
  ['xfam', 8],
  ['mrTd', 48],
  ['mrConfigId', 48],
  ['mrOwner', 48],
  ['mrOwnerConfig', 48],
]
const RTMRS = 4
const ENCLAVE_REPORT: Layout<keyof EnclaveReport> = [
  ['cpuSvn', 16],
  ['miscSelect', 'u32'],
  ['reserved1', 28],
  ['attributes', 16],
  ['mrEnclave', 32],
  ['reserved2', 32],
  ['mrSigner', 32],
  ['reserved3', 96],
  ['isvProdId', 'u16'],
  ['isvSvn', 'u16'],
  ['reserved4', 60],
  ['reportData', 64],
]
const MAX_PART = 64 * 1024

/**
 * A quote of a TD, version 4, in the form that go-tdx-guest gives it. Not one field is judged here.
 *
 * @throws {TpmError} `input.malformed`; `evidence.unsupported` for other versions, which the form has no place for.
 */
export function tdxQuoteMessage(raw: Uint8Array): QuoteV4 {
  const r = new ByteReader('TDX quote', raw, 'little')
  const header = readLayout(r, HEADER)
  if (header['version'] !== 4)
    throw new TpmError(
      'evidence.unsupported',
      `TDX quote: version ${String(header['version'])}, gotpm’s form has only 4`,
    )
  const body = readLayout(r, BODY)
  const rtmrs = Array.from({ length: RTMRS }, (_, i) => r.take(`rtmr${i}`, 48))
  const reportData = r.take('reportData', 64)
  const signedDataSize = r.u32('signedDataSize')
  const signed = r.part('signedData', signedDataSize)
  const signedData = readSignedData(signed)
  signed.end()
  const tdQuoteBody = { ...body, rtmrs, reportData }
  const init = { header, tdQuoteBody, signedDataSize, signedData, extraBytes: r.rest() }
  return create(QuoteV4Schema, init as MessageInitShape<typeof QuoteV4Schema>)
}

function readSignedData(r: ByteReader) {
  const signature = r.take('signature', 64)
  const ecdsaAttestationKey = r.take('attestationKey', 64)
  const certificateDataType = r.u16('certificationData.type')
  const size = r.u32('certificationData.size')
  const part = r.part('certificationData', size)
  const qeReport = readLayout(part, ENCLAVE_REPORT)
  const qeReportSignature = part.take('qeReportSignature', 64)
  const parsedDataSize = part.u16('qeAuthData.size')
  const qeAuthData = { parsedDataSize, data: part.take('qeAuthData', parsedDataSize) }
  const chainType = part.u16('pckCertificateChain.type')
  const chainSize = part.u32('pckCertificateChain.size')
  const pckCertChain = part.take('pckCertificateChain', Math.min(chainSize, MAX_PART))
  part.end()
  const pckCertificateChainData = { certificateDataType: chainType, size: chainSize, pckCertChain }
  const qeReportCertificationData = { qeReport, qeReportSignature, qeAuthData, pckCertificateChainData }
  return { signature, ecdsaAttestationKey, certificationData: { certificateDataType, size, qeReportCertificationData } }
}

/** The bytes of a quote, as the TD was given them. @throws {TpmError} `input.malformed` when a part is missing. */
export function tdxQuoteBytes(quote: QuoteV4): Uint8Array<ArrayBuffer> {
  const { header, tdQuoteBody: body, signedData, extraBytes } = quote
  const certification = signedData?.certificationData
  const qe = certification?.qeReportCertificationData
  const { qeReport, qeAuthData, pckCertificateChainData: chain } = qe ?? {}
  if (!header || !body || !signedData || !certification || !qe || !qeReport || !qeAuthData || !chain)
    throw new TpmError('input.malformed', 'TDX quote: a part is missing')
  const w = new ByteWriter('little', 8192)
  writeLayout(w, HEADER, header)
  writeLayout(w, BODY, body)
  if (body.rtmrs.length !== RTMRS) throw new TpmError('input.malformed', `TDX quote: ${body.rtmrs.length} RTMRs`)
  body.rtmrs.forEach((value, i) => writeLayout(w, [[`rtmr${i}`, 48]], { [`rtmr${i}`]: value }))
  writeLayout(w, [['reportData', 64]], body)
  w.u32('signedDataSize', quote.signedDataSize)
  writeLayout(
    w,
    [
      ['signature', 64],
      ['ecdsaAttestationKey', 64],
    ],
    signedData,
  )
  writeLayout(
    w,
    [
      ['certificateDataType', 'u16'],
      ['size', 'u32'],
    ],
    certification,
  )
  writeLayout(w, ENCLAVE_REPORT, qeReport)
  writeLayout(w, [['qeReportSignature', 64]], qe)
  writeLayout(
    w,
    [
      ['parsedDataSize', 'u16'],
      ['data', qeAuthData.parsedDataSize],
    ],
    qeAuthData,
  )
  writeLayout(
    w,
    [
      ['certificateDataType', 'u16'],
      ['size', 'u32'],
      ['pckCertChain', chain.size],
    ],
    chain,
  )
  return w.raw(extraBytes).finish()
}
