import { create } from '@bufbuild/protobuf'
import { ByteReader } from '../codec/byte-reader.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { ReportSchema } from './gen/sevsnp_pb.js'
import type { Report } from './gen/sevsnp_pb.js'
import { readLayout, writeLayout } from './layout.ts'
import type { Layout } from './layout.ts'

const HEAD: Layout<keyof Report> = [
  ['version', 'u32'],
  ['guestSvn', 'u32'],
  ['policy', 'u64'],
  ['familyId', 16],
  ['imageId', 16],
  ['vmpl', 'u32'],
  ['signatureAlgo', 'u32'],
  ['currentTcb', 'u64'],
  ['platformInfo', 'u64'],
  ['signerInfo', 'u32'],
  ['', 4],
  ['reportData', 64],
  ['measurement', 48],
  ['hostData', 32],
  ['idKeyDigest', 48],
  ['authorKeyDigest', 48],
  ['reportId', 32],
  ['reportIdMa', 32],
  ['reportedTcb', 'u64'],
]
const TAIL: Layout<keyof Report> = [
  ['', 21],
  ['chipId', 64],
  ['committedTcb', 'u64'],
  ['currentBuild', 'u8'],
  ['currentMinor', 'u8'],
  ['currentMajor', 'u8'],
  ['', 1],
  ['committedBuild', 'u8'],
  ['committedMinor', 'u8'],
  ['committedMajor', 'u8'],
  ['', 1],
  ['launchTcb', 'u64'],
  ['launchMitVector', 'u64'],
  ['currentMitVector', 'u64'],
  ['', 152],
  ['signature', 512],
]

/**
 * A report of AMD's secure processor in the form that go-sev-guest gives it. Not one field is judged here.
 *
 * @throws {TpmError} `input.malformed` when it is not 1184 bytes, or has reserved bytes set that the form has no place for.
 */
export function snpReportMessage(raw: Uint8Array): Report {
  const r = new ByteReader('SNP report', raw, 'little')
  const head = readLayout(r, HEAD)
  const [family, model, stepping] = [r.u8('CPUID_FAM_ID'), r.u8('CPUID_MOD_ID'), r.u8('CPUID_STEP')]
  const tail = readLayout(r, TAIL)
  r.end()
  return create(ReportSchema, { ...head, ...tail, cpuid1eaxFms: toFms(family, model, stepping) })
}

/** The bytes of a report, as they were signed. @throws {TpmError} `input.malformed` */
export function snpReportBytes(report: Report): Uint8Array<ArrayBuffer> {
  const w = new ByteWriter('little', 1184)
  writeLayout(w, HEAD, report)
  const { family, model, stepping } = fromFms(report.cpuid1eaxFms)
  w.u8('CPUID_FAM_ID', family).u8('CPUID_MOD_ID', model).u8('CPUID_STEP', stepping)
  writeLayout(w, TAIL, report)
  return w.finish()
}

/** CPUID 1 EAX has family and model in two parts each; the report has them added up. Zero before version 3. */
function toFms(family: number, model: number, stepping: number): number {
  const [base, extended] = family > 0xf ? [0xf, family - 0xf] : [family, 0]
  return ((extended << 20) | ((model >> 4) << 16) | (base << 8) | ((model & 0xf) << 4) | (stepping & 0xf)) >>> 0
}

function fromFms(fms: number) {
  const base = (fms >>> 8) & 0xf
  return {
    family: base + ((fms >>> 20) & 0xff),
    model: (((fms >>> 16) & 0xf) << 4) | ((fms >>> 4) & 0xf),
    stepping: fms & 0xf,
  }
}
