import { Tagged } from 'cborg'
import { fromBase64, fromHex, utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { type Json, parseStrictJson } from '../base/strict-json.ts'
import { readCbor } from './cca/cose.ts'
import { readProtobuf } from './gce-vtpm/protobuf.ts'
import { unsupported, type UnsupportedEvidence } from './unsupported.ts'

export type EvidenceFormat = 'snp' | 'tdx' | 'sgx' | 'azure-vtpm' | 'gce-vtpm' | 'tpm' | 'cca' | 'nvidia-gpu'

/**
 * How evidence is wrapped. `raw`: the bytes that its signer signed, perhaps with endorsements after them. `json`: an
 * attester's message, of Trustee's kind or our own. `gotpm`: a protobuf message of Google's tool.
 */
export type EvidenceContainer = 'raw' | 'json' | 'gotpm'

export interface DetectedEvidence {
  readonly format: EvidenceFormat
  readonly container: EvidenceContainer
  /** Without hexadecimal or base64 around it. */
  readonly bytes: Uint8Array
}

const MAX_BYTES = 16 * 1024 * 1024

/**
 * Says what kind of evidence a file holds, by its content alone. A guess to choose a verifier by: the verifier then
 * believes nothing of it.
 *
 * @throws {VouchsafeError} `evidence.unsupported` for kinds that are known and not judged, with the reason;
 *   `input.malformed` for what is no evidence known here; `input.too-large`
 */
export function detectEvidence(file: Uint8Array): DetectedEvidence {
  if (file.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `evidence: over ${MAX_BYTES} bytes`)
  const bytes = new Uint8Array(file)
  const found = detectRaw(bytes) ?? detectText(bytes)
  if (found === undefined) throw new VouchsafeError('input.malformed', 'evidence: of no kind that is known here')
  return found
}

function detectRaw(bytes: Uint8Array): DetectedEvidence | undefined {
  const raw = (format: EvidenceFormat): DetectedEvidence => ({ format, container: 'raw', bytes })
  const at = (offset: number, ...octets: readonly number[]) => octets.every((octet, i) => bytes[offset + i] === octet)
  if (at(0, 0x48, 0x43, 0x4c, 0x41)) return raw('azure-vtpm') // HCLA
  if (at(0, 0xff, 0x54, 0x43, 0x47)) return raw('tpm') // TPM_GENERATED
  if (at(0, 0xd9, 0x01, 0x8f)) return raw('cca') // CBOR tag 399
  if (at(0, 0x11, 0xe0, 0x01, 0xff)) return raw('nvidia-gpu') // SPDM 1.1 GET_MEASUREMENTS
  if (at(0, 0xd2, 0x84, 0x44, 0xa1, 0x01, 0x38, 0x22) || at(0, 0x84, 0x44, 0xa1, 0x01, 0x38, 0x22))
    throw unsupported('nitro')
  if (isCoseSign1(bytes)) throw unsupported('nitro')
  if (bytes.length === PRE_ATTESTATION && at(52, 0x02, 0x10, 0, 0)) throw unsupported('sev') // SIG_USAGE: PEK
  if (bytes.length === 1024 && at(0, 0x81, 0)) throw unsupported('tdreport')
  // quotes begin with a version and carry their vendor at byte 12
  if ([3, 4, 5].includes(bytes[0] ?? 0) && at(1, 0) && at(12, 0x93, 0x9a, 0x72, 0x33))
    return raw(at(4, 0x81, 0, 0, 0) ? 'tdx' : 'sgx')
  // SNP reports have no magic number: a small version, their size, and signature algorithm 1
  if (bytes.length >= 1184 && (bytes[0] ?? 0) < 16 && at(1, 0, 0, 0) && at(0x34, 1, 0, 0, 0)) return raw('snp')
  return detectGotpm(bytes)
}

/** What the ATTESTATION command of SEV's firmware gives the host. */
const PRE_ATTESTATION = 208

/**
 * A signed message of COSE by its shape, whatever its headers and payload say: Nitro's is the only one that is not inside
 * another tag, and a document without its nonce, or any other member, must not become something else.
 */
function isCoseSign1(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0xd2 && bytes[0] !== 0x84) return false
  try {
    const outer = readCbor('COSE', bytes, 18)
    const message: unknown = outer instanceof Tagged ? outer.value : outer
    if (!Array.isArray(message) || message.length !== 4) return false
    const [head, unprotected, payload, signature] = message as readonly unknown[]
    const isBytes = (value: unknown) => value instanceof Uint8Array
    return isBytes(head) && unprotected instanceof Map && (payload === null || isBytes(payload)) && isBytes(signature)
  } catch (error) {
    if (error instanceof VouchsafeError) return false
    throw error
  }
}

/** attest.Attestation: an AK, then quotes that begin with TPMS_ATTEST; an AK certificate makes it Google's. */
function detectGotpm(bytes: Uint8Array): DetectedEvidence | undefined {
  if (bytes[0] !== 0x0a) return undefined
  try {
    const fields = readProtobuf('attestation', bytes)
    const [quote] = fields.flatMap((f) => (f.number === 2 && f.kind === 'bytes' ? [f.value] : []))
    const [attest] = quote === undefined ? [] : readProtobuf('quote', quote)
    const magic = attest?.kind === 'bytes' && attest.value[0] === 0xff && attest.value[1] === 0x54
    if (!magic) return undefined
    return { format: fields.some((f) => f.number === 6) ? 'gce-vtpm' : 'tpm', container: 'gotpm', bytes }
  } catch (error) {
    if (error instanceof VouchsafeError) return undefined
    throw error
  }
}

/** JSON, or bytes written out in hexadecimal or base64. */
function detectText(bytes: Uint8Array): DetectedEvidence | undefined {
  if (bytes.some((byte) => byte > 0x7e || (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)))
    return undefined
  const text = new TextDecoder().decode(bytes).trim()
  if (text.startsWith('{')) {
    const format = detectJson(parseStrictJson(text, { maxBytes: MAX_BYTES }))
    return format && { format, container: 'json', bytes: utf8(text) }
  }
  const compact = text.replace(/\s/g, '')
  if (compact.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(compact)) return detectRaw(fromHex(compact.toLowerCase()))
  if (compact.length % 4 === 0 && /^[A-Za-z0-9+/]+=*$/.test(compact)) return detectRaw(fromBase64(compact))
  return undefined
}

/** Which members tell a message of Trustee's attesters apart, the more telling ones first. */
const BY_MEMBERS: readonly (readonly [members: readonly string[], kind: EvidenceFormat | UnsupportedEvidence])[] = [
  [['device_evidence_list'], 'nvidia-gpu'],
  [['td_quote', 'hcl_report'], 'azure-vtpm'],
  [['vcek', 'hcl_report'], 'azure-vtpm'],
  [['vcek', 'report', 'quote'], 'azure-vtpm'],
  [['ak_public', 'tpm_quote'], 'tpm'],
  [['format', 'akPublic', 'quote'], 'tpm'],
  [['token'], 'cca'],
  [['attestation_reports'], 'hygondcu'],
  [['devices', 'version'], 'nvidia-dpu'],
  [['image_hdr_tags'], 'ibm-se'],
  [['serial_number', 'attestation_report'], 'csv'],
  [['attestation_report', 'cert_chain'], 'snp'],
  [['svn', 'report_data'], 'sample'],
  [['sev-measurement'], 'sev'],
]

function detectJson(json: Json): EvidenceFormat | undefined {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) return undefined
  const members = json as Readonly<Record<string, Json>>
  const kind = BY_MEMBERS.find(([names]) => names.every((name) => name in members))?.[1]
  if (kind !== undefined) {
    if (isFormat(kind)) return kind
    throw unsupported(kind)
  }
  const { quote } = members
  if (typeof quote !== 'string') return undefined
  const inner = detectText(utf8(quote))
  return inner?.format === 'tdx' || inner?.format === 'sgx' ? inner.format : undefined
}

const FORMATS: readonly string[] = [
  'snp',
  'tdx',
  'sgx',
  'azure-vtpm',
  'gce-vtpm',
  'tpm',
  'cca',
  'nvidia-gpu',
] satisfies EvidenceFormat[]

function isFormat(kind: EvidenceFormat | UnsupportedEvidence): kind is EvidenceFormat {
  return FORMATS.includes(kind)
}
