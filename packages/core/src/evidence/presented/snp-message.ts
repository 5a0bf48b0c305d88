import { z } from 'zod'
import { VouchsafeError } from '../../base/errors.ts'
import { fromUtf8 } from '../../base/encoding.ts'
import { parsePem } from '../../x509/index.ts'
import { byteArray, parseMessage, sized } from './message-bytes.ts'

const u8 = z.number().int().min(0).max(255)
const u32 = z.number().int().min(0).max(0xffffffff)
/** 64 bits: written as a number while it is one that JSON can carry. */
const u64 = z
  .union([z.number().int().min(0), z.string().regex(/^(?:0|[1-9][0-9]{0,19})$/)])
  .transform((value) => BigInt(value))
  .refine((value) => value <= 0xffff_ffff_ffff_ffffn, 'over 64 bits')
const tcb = z.object({ fmc: u8.nullish(), bootloader: u8, tee: u8, snp: u8, microcode: u8 })
const version = z.object({ major: u8, minor: u8, build: u8 })

const reportSchema = z.object({
  version: u32,
  guest_svn: u32,
  policy: u64,
  family_id: byteArray(16),
  image_id: byteArray(16),
  vmpl: u32,
  sig_algo: u32,
  current_tcb: tcb,
  plat_info: u64,
  key_info: u32,
  report_data: byteArray(64),
  measurement: byteArray(48),
  host_data: byteArray(32),
  id_key_digest: byteArray(48),
  author_key_digest: byteArray(48),
  report_id: byteArray(32),
  report_id_ma: byteArray(32),
  reported_tcb: tcb,
  cpuid_fam_id: u8.nullish(),
  cpuid_mod_id: u8.nullish(),
  cpuid_step: u8.nullish(),
  chip_id: byteArray(64),
  committed_tcb: tcb,
  current: version,
  committed: version,
  launch_tcb: tcb,
  launch_mit_vector: u64.nullish(),
  current_mit_vector: u64.nullish(),
  signature: z.object({ r: byteArray(72), s: byteArray(72) }),
})

const schema = z.object({
  attestation_report: reportSchema,
  cert_chain: z
    .array(z.object({ cert_type: z.union([z.string(), z.record(z.string(), z.string())]), data: byteArray(64 * 1024) }))
    .max(16)
    .nullish(),
})

/**
 * A report as Trustee's attester sends it: taken apart into members. It is put together again into the 1184 bytes that
 * the platform signed, and those are judged; a member that was read wrong makes the signature fail.
 */
export function readSnpMessage(bytes: Uint8Array): { readonly report: Uint8Array; readonly vek?: Uint8Array } {
  const message = parseMessage(bytes, schema, 'SNP message')
  const report = encodeReport(message.attestation_report)
  const entry = (message.cert_chain ?? []).find((c) => c.cert_type === 'VCEK' || c.cert_type === 'VLEK')
  return entry === undefined ? { report } : { report, vek: certificate(Uint8Array.from(entry.data)) }
}

/** The places are those of `parseSnpReport`; the reserved ones stay zero. */
function encodeReport(r: z.output<typeof reportSchema>): Uint8Array {
  const out = new Uint8Array(1184)
  const data = new DataView(out.buffer)
  const put = (at: number, name: string, bytes: readonly number[], length: number) =>
    out.set(sized(Uint8Array.from(bytes), length, `SNP message: ${name}`), at)
  data.setUint32(0x00, r.version, true)
  data.setUint32(0x04, r.guest_svn, true)
  data.setBigUint64(0x08, r.policy, true)
  put(0x10, 'family_id', r.family_id, 16)
  put(0x20, 'image_id', r.image_id, 16)
  data.setUint32(0x30, r.vmpl, true)
  data.setUint32(0x34, r.sig_algo, true)
  out.set(encodeTcb(r.current_tcb), 0x38)
  data.setBigUint64(0x40, r.plat_info, true)
  data.setUint32(0x48, r.key_info, true)
  put(0x50, 'report_data', r.report_data, 64)
  put(0x90, 'measurement', r.measurement, 48)
  put(0xc0, 'host_data', r.host_data, 32)
  put(0xe0, 'id_key_digest', r.id_key_digest, 48)
  put(0x110, 'author_key_digest', r.author_key_digest, 48)
  put(0x140, 'report_id', r.report_id, 32)
  put(0x160, 'report_id_ma', r.report_id_ma, 32)
  out.set(encodeTcb(r.reported_tcb), 0x180)
  out.set([r.cpuid_fam_id ?? 0, r.cpuid_mod_id ?? 0, r.cpuid_step ?? 0], 0x188)
  put(0x1a0, 'chip_id', r.chip_id, 64)
  out.set(encodeTcb(r.committed_tcb), 0x1e0)
  out.set([r.current.build, r.current.minor, r.current.major], 0x1e8)
  out.set([r.committed.build, r.committed.minor, r.committed.major], 0x1ec)
  out.set(encodeTcb(r.launch_tcb), 0x1f0)
  data.setBigUint64(0x1f8, r.launch_mit_vector ?? 0n, true)
  data.setBigUint64(0x200, r.current_mit_vector ?? 0n, true)
  put(0x2a0, 'signature.r', r.signature.r, 72)
  put(0x2a0 + 72, 'signature.s', r.signature.s, 72)
  return out
}

/** Only a Turin has an FMC, and another order. */
function encodeTcb({ fmc, bootloader, tee, snp, microcode }: z.output<typeof tcb>): Uint8Array {
  return fmc === null || fmc === undefined
    ? Uint8Array.of(bootloader, tee, 0, 0, 0, 0, snp, microcode)
    : Uint8Array.of(fmc, bootloader, tee, snp, 0, 0, 0, microcode)
}

function certificate(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x30) return bytes
  const [der] = parsePem(fromUtf8(bytes, 'SNP message: cert_chain'), 'CERTIFICATE')
  if (der === undefined) throw new VouchsafeError('endorsement.malformed', 'SNP message: cert_chain: no certificate')
  return der
}
