import { z } from 'zod'
import { VouchsafeError } from '../base/errors.ts'

/** Kinds of evidence that are recognised and not judged, and why. The page in docs/decisions says it at length. */
export const UNSUPPORTED_EVIDENCE = {
  sample: 'a sample attester’s: it proves nothing, and nothing turns it on',
  sev: 'SEV or SEV-ES measured before launch by its owner: there is no report from within the guest',
  tdreport: 'a TDREPORT, which only the platform that made it can check: show the quote made from it',
  nitro: 'an AWS Nitro document: no recorded evidence to test a verifier against',
  csv: 'Hygon CSV: signed with SM2, which our cryptography does not have',
  hygondcu: 'a Hygon DCU: signed with SM2, which our cryptography does not have',
  'ibm-se': 'IBM Secure Execution: judging it takes the owner’s host key, not a root',
  'nvidia-dpu': 'an NVIDIA DPU: no recorded evidence to test a verifier against',
} as const

export type UnsupportedEvidence = keyof typeof UNSUPPORTED_EVIDENCE

/** The refusal of a kind of evidence that is known and not judged: never a loose reading of it. */
export function unsupported(kind: UnsupportedEvidence): VouchsafeError {
  return new VouchsafeError('evidence.unsupported', `evidence of kind ${kind}: ${UNSUPPORTED_EVIDENCE[kind]}`)
}

/** Evidence that says itself to be of such a kind. Read only to be refused by its name. */
export const unsupportedEvidenceSchema = z.looseObject({
  format: z.enum(Object.keys(UNSUPPORTED_EVIDENCE) as [UnsupportedEvidence, ...UnsupportedEvidence[]]),
})
