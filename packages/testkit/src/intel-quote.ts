import { createHash } from 'node:crypto'
import * as d from './der.ts'
import { type IntelAuthorities, rawSign, svns, toPem } from './intel.ts'
import { makeKey, type TestCertificate, type TestKey } from './x509.ts'

export interface TdReportSpec {
  readonly kind?: 'td10' | 'td15'
  readonly teeTcbSvn?: Uint8Array
  readonly mrSeam?: Uint8Array
  readonly mrSignerSeam?: Uint8Array
  readonly seamAttributes?: Uint8Array
  readonly attributes?: bigint
  readonly xfam?: bigint
  readonly mrTd?: Uint8Array
  readonly mrConfigId?: Uint8Array
  readonly mrOwner?: Uint8Array
  readonly mrOwnerConfig?: Uint8Array
  readonly rtmrs?: readonly (Uint8Array | undefined)[]
  readonly reportData?: Uint8Array
  readonly teeTcbSvn2?: Uint8Array
  readonly mrServiceTd?: Uint8Array
}

export function encodeTdReport(spec: TdReportSpec): Uint8Array {
  const out = new Uint8Array(spec.kind === 'td15' ? 648 : 584)
  const data = new DataView(out.buffer)
  const put = (at: number, bytes: Uint8Array | undefined) => bytes && out.set(bytes, at)
  put(0x00, spec.teeTcbSvn ?? svns(5, 1, 6))
  put(0x10, spec.mrSeam ?? new Uint8Array(48).fill(0x5e))
  put(0x40, spec.mrSignerSeam)
  put(0x70, spec.seamAttributes)
  data.setBigUint64(0x78, spec.attributes ?? 1n << 28n, true)
  data.setBigUint64(0x80, spec.xfam ?? 0xe7n, true)
  put(0x88, spec.mrTd)
  put(0xb8, spec.mrConfigId)
  put(0xe8, spec.mrOwner)
  put(0x118, spec.mrOwnerConfig)
  for (const [i, rtmr] of (spec.rtmrs ?? []).entries()) put(0x148 + 48 * i, rtmr)
  put(0x208, spec.reportData)
  if (spec.kind === 'td15') {
    put(0x248, spec.teeTcbSvn2 ?? spec.teeTcbSvn ?? svns(5, 1, 6))
    put(0x258, spec.mrServiceTd)
  }
  return out
}

export interface EnclaveReportSpec {
  readonly cpuSvn?: Uint8Array
  readonly miscSelect?: number
  readonly attributes?: Uint8Array
  readonly mrEnclave?: Uint8Array
  readonly mrSigner?: Uint8Array
  readonly configId?: Uint8Array
  readonly isvProdId?: number
  readonly isvSvn?: number
  readonly configSvn?: number
  readonly reportData?: Uint8Array
}

/** MRSIGNER of the fake quoting enclaves. */
export const TEST_QE_SIGNER: Uint8Array = new Uint8Array(32).fill(0xdc)
const QE_ATTRIBUTES = Uint8Array.of(0x11, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0)

export function encodeEnclaveReport(spec: EnclaveReportSpec): Uint8Array {
  const out = new Uint8Array(384)
  const data = new DataView(out.buffer)
  const put = (at: number, bytes: Uint8Array | undefined) => bytes && out.set(bytes, at)
  put(0, spec.cpuSvn)
  data.setUint32(16, spec.miscSelect ?? 0, true)
  put(48, spec.attributes ?? QE_ATTRIBUTES)
  put(64, spec.mrEnclave)
  put(128, spec.mrSigner)
  put(192, spec.configId)
  data.setUint16(256, spec.isvProdId ?? 0, true)
  data.setUint16(258, spec.isvSvn ?? 0, true)
  data.setUint16(260, spec.configSvn ?? 0, true)
  put(320, spec.reportData)
  return out
}

export interface QuoteSpec {
  readonly authorities: IntelAuthorities
  readonly pck: TestCertificate
  /** PEM certificates of the chain; PCK, Platform CA and root unless told. */
  readonly chain?: readonly TestCertificate[]
  readonly version?: number
  readonly attestationKeyType?: number
  readonly teeType?: number
  readonly vendor?: Uint8Array
  readonly bodyType?: number
  readonly bodySize?: number
  readonly td?: TdReportSpec
  /** An SGX quote in place of one of a TD. */
  readonly enclave?: EnclaveReportSpec
  readonly qe?: EnclaveReportSpec
  readonly authenticationData?: Uint8Array
  readonly attestationKey?: TestKey
  /** Signs the body in place of the attestation key that the quote names. */
  readonly signer?: TestKey
  /** Signs the quoting enclave's report in place of the PCK. */
  readonly qeSigner?: TestKey
  readonly outerType?: number
  readonly innerType?: number
  readonly nulTerminated?: boolean
  readonly trailing?: Uint8Array
}

export function makeQuote(spec: QuoteSpec): Uint8Array {
  const version = spec.version ?? 4
  const key = spec.attestationKey ?? makeKey('P-256')
  const body = spec.enclave ? encodeEnclaveReport(spec.enclave) : encodeTdReport(spec.td ?? {})
  const header = new Uint8Array(48)
  const h = new DataView(header.buffer)
  h.setUint16(0, version, true)
  h.setUint16(2, spec.attestationKeyType ?? 2, true)
  h.setUint32(4, spec.teeType ?? (spec.enclave ? 0 : 0x81), true)
  header.set(spec.vendor ?? Buffer.from('939a7233f79c4ca9940a0db3957f0607', 'hex'), 12)
  const type = spec.bodyType ?? (body.length === 648 ? 3 : 2)
  const descriptor = version === 5 ? d.join(u16(type), u32(spec.bodySize ?? body.length)) : new Uint8Array(0)
  const signed = d.join(header, descriptor, body)
  const point = rawPoint(key)
  const authenticationData = spec.authenticationData ?? new Uint8Array(32).map((_, i) => i)
  const binding = createHash('sha256').update(point).update(authenticationData).digest()
  const tdxQe = { mrSigner: TEST_QE_SIGNER, isvProdId: spec.enclave ? 1 : 2, isvSvn: 7 }
  const reportData = new Uint8Array(64)
  reportData.set(binding)
  const qeReport = encodeEnclaveReport({ ...tdxQe, reportData, ...spec.qe })
  const chain = spec.chain ?? [spec.pck, spec.authorities.platformCa, spec.authorities.root]
  const pem = new TextEncoder().encode(toPem(...chain) + (spec.nulTerminated ? '\0' : ''))
  const inner = d.join(
    qeReport,
    rawSign(spec.qeSigner ?? spec.pck.key, qeReport),
    u16(authenticationData.length),
    authenticationData,
    u16(spec.innerType ?? 5),
    u32(pem.length),
    pem,
  )
  const certification = version === 3 ? inner : d.join(u16(spec.outerType ?? 6), u32(inner.length), inner)
  const signatureData = d.join(rawSign(spec.signer ?? key, signed), point, certification)
  return d.join(signed, u32(signatureData.length), signatureData, spec.trailing ?? new Uint8Array(0))
}

/** x ‖ y of a P-256 key: the end of its SubjectPublicKeyInfo. */
function rawPoint(key: TestKey): Uint8Array {
  return key.spki.slice(-64)
}

function u16(n: number): Uint8Array {
  return Uint8Array.of(n, n >>> 8)
}

function u32(n: number): Uint8Array {
  return Uint8Array.of(n, n >>> 8, n >>> 16, n >>> 24)
}
