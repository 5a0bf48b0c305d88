import { ByteReader } from '@vouchsafe/tpm/codec'
import { fromHex, toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { sameBytes } from '../../x509/index.ts'
import { isZero, parsed } from '../parsed.ts'

/** What kind of thing a quote reports on: an SGX enclave, or a TD of either report layout. */
export type QuotedBody = 'sgx' | 'td10' | 'td15'

/** A DCAP quote taken apart, its body still in bytes. Nothing in it is authenticated: see `verifyDcapQuote`. */
export interface DcapQuote {
  readonly version: 3 | 4 | 5
  readonly bodyKind: QuotedBody
  /** The 48 bytes before everything else. */
  readonly header: Uint8Array
  readonly body: Uint8Array
  /** What the attestation key signed: header, descriptor (version 5 only) and body. */
  readonly signed: Uint8Array
  /** ECDSA P-256 over SHA-256, r ‖ s. */
  readonly signature: Uint8Array
  /** From the attestation key to the end: the same in every quote of a platform, as long as its enclaves stay. */
  readonly certification: Uint8Array
  /** x ‖ y on P-256. */
  readonly attestationKey: Uint8Array
  readonly qe: {
    /** REPORT of the quoting enclave, 384 bytes, and the PCK's signature over it. */
    readonly report: Uint8Array
    readonly signature: Uint8Array
    readonly authenticationData: Uint8Array
  }
  /** The PCK chain as the quote brings it: PEM, leaf first. See `readPckChain`. */
  readonly pckChain: Uint8Array
}

/** QE_VENDOR_ID of Intel's quoting enclaves. */
const INTEL = fromHex('939a7233f79c4ca9940a0db3957f0607')
const HEADER = 48
const BODY_BYTES: Readonly<Record<QuotedBody, number>> = { sgx: 384, td10: 584, td15: 648 }
/** Far above the 8,000 bytes that configfs-tsm hands out. */
const MAX_BYTES = 64 * 1024

/**
 * Reads an ECDSA quote: version 3 of an SGX enclave, version 4 of a TD, version 5 of a TD (body types 2 and 3).
 *
 * @param raw - Copied. Platforms hand out quotes in buffers of fixed size: zeros may follow, nothing else (D19).
 * @throws {VouchsafeError} `input.malformed` naming the field; `evidence.unsupported` for other versions, TEEs, vendors
 *   and kinds of certification data; `evidence.algorithm` for another kind of attestation key.
 * @source Intel SGX and TDX DCAP Quoting Library API, appendices A.3 (version 4) and A.4 (versions 3 and 5)
 */
export function parseDcapQuote(raw: Uint8Array): DcapQuote {
  if (raw.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `quote: over ${MAX_BYTES} bytes`)
  return parsed(() => readQuote(new Uint8Array(raw)))
}

function readQuote(raw: Uint8Array): DcapQuote {
  const r = new ByteReader('quote', raw, 'little')
  const { version, teeType } = readHeader(r)
  const bodyKind = version === 5 ? readDescriptor(r) : version === 3 ? 'sgx' : 'td10'
  if ((bodyKind === 'sgx') !== (teeType === 0x00))
    throw r.malformed('tee_type', `0x${teeType.toString(16)} is not that of the body`)
  const body = r.view('body', BODY_BYTES[bodyKind])
  const signed = raw.subarray(0, r.offset)
  const s = r.part('signature_data', r.u32('signature_data_len'))
  if (r.remaining > 0 && !isZero(r.view('padding', r.remaining)))
    throw r.malformed('end', 'bytes other than zero after the quote')
  const signature = s.view('signature', 64)
  const certification = s.bytes.subarray(s.offset)
  const attestationKey = s.view('attestation_key', 64)
  // since version 4 the quoting enclave's part is itself certification data, of type 6
  const q = version === 3 ? s : s.part('certification_data', readCertificationType(s, 6))
  const qe = {
    report: q.view('qe_report', 384),
    signature: q.view('qe_report_signature', 64),
    authenticationData: q.sized('qe_auth_data', 4096),
  }
  const pckChain = q.view('pck_chain', readCertificationType(q, 5))
  q.end()
  s.end()
  return {
    version,
    bodyKind,
    header: raw.subarray(0, HEADER),
    body,
    signed,
    signature,
    certification,
    attestationKey,
    qe,
    pckChain,
  }
}

function readHeader(r: ByteReader): { version: 3 | 4 | 5; teeType: number } {
  const version = r.u16('version')
  if (version !== 3 && version !== 4 && version !== 5)
    throw new VouchsafeError('evidence.unsupported', `quote: version ${version}, wanted 3, 4 or 5`)
  const keyType = r.u16('att_key_type')
  if (keyType !== 2)
    throw new VouchsafeError('evidence.algorithm', `quote: att_key_type ${keyType}, wanted 2 (ECDSA P-256)`)
  const teeType = r.u32('tee_type')
  if (teeType !== 0x00 && teeType !== 0x81)
    throw new VouchsafeError('evidence.unsupported', `quote: tee_type 0x${teeType.toString(16)}`)
  r.u32('qe_svn and pce_svn, or reserved')
  const vendor = r.view('qe_vendor_id', 16)
  if (!sameBytes(vendor, INTEL))
    throw new VouchsafeError('evidence.unsupported', `quote: qe_vendor_id ${toHex(vendor)} is not Intel’s`)
  r.view('user_data', 20)
  return { version, teeType }
}

/** Version 5 says what its body is, and signs that too. */
function readDescriptor(r: ByteReader): QuotedBody {
  const type = r.u16('body_type')
  const kind = ({ 2: 'td10', 3: 'td15' } as const)[type]
  if (kind === undefined) throw new VouchsafeError('evidence.unsupported', `quote: body_type ${type}, wanted 2 or 3`)
  const size = r.u32('body_size')
  if (size !== BODY_BYTES[kind]) throw r.malformed('body_size', `${size}, wanted ${BODY_BYTES[kind]}`)
  return kind
}

/** The type and size before certification data; gives the size. */
function readCertificationType(r: ByteReader, wanted: 5 | 6): number {
  const type = r.u16('certification_data.type')
  if (type !== wanted)
    throw new VouchsafeError('evidence.unsupported', `quote: certification data of type ${type}, wanted ${wanted}`)
  return r.u32('certification_data.size')
}
