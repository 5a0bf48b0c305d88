import { z } from 'zod'
import { intelTcbReferenceSchema } from '../agreement/reference/intel-tcb-reference.ts'
import { toHex } from '../base/encoding.ts'
import type { VerifiedSgxEvidence } from '../evidence/sgx/verify-sgx-quote.ts'
import { assertVerified } from '../evidence/verified.ts'
import { must, oneOf } from './check.ts'
import type { Finding } from './finding.ts'
import { appraiseIntelTcb } from './intel-tcb.ts'

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
const number16 = z.number().int().min(0).max(0xffff)

/**
 * What an owner accepts of an SGX enclave: either exactly these enclaves, or any that one of these signers made as this
 * product. Whatever is left out is refused.
 */
export const sgxReferenceSchema = z.strictObject({
  /** MRENCLAVE, any of them. */
  enclaves: z.array(hex(32)).default([]),
  /** MRSIGNER with the product and the least version that count. */
  signers: z
    .array(z.strictObject({ mrSigner: hex(32), isvProdId: number16, minimumIsvSvn: number16 }))
    .max(64)
    .default([]),
  /** CONFIGID, any of the list: the host chooses it (D03). Zeros unless told. */
  configId: z.union([z.array(hex(64)), z.literal('any')]).default(['00'.repeat(64)]),
  tcb: intelTcbReferenceSchema.prefault({}),
})
export type SgxReference = z.infer<typeof sgxReferenceSchema>

/** Is this enclave, on this platform, acceptable? One finding a check, content or not. */
export function appraiseSgx(evidence: VerifiedSgxEvidence, reference: SgxReference, at: Date): readonly Finding[] {
  assertVerified(evidence)
  const { report } = evidence
  const [mrEnclave, mrSigner] = [toHex(report.mrEnclave), toHex(report.mrSigner)]
  const known =
    reference.enclaves.includes(mrEnclave) ||
    reference.signers.some(
      (s) => s.mrSigner === mrSigner && s.isvProdId === report.isvProdId && report.isvSvn >= s.minimumIsvSvn,
    )
  const accepted = [
    ...reference.enclaves.map((e) => `MRENCLAVE ${e}`),
    ...reference.signers.map((s) => `MRSIGNER ${s.mrSigner} product ${s.isvProdId} from SVN ${s.minimumIsvSvn}`),
  ]
  return [
    must(
      'appraisal.debug',
      'configuration',
      !report.debug,
      'debugging excluded',
      report.debug ? 'the host may debug the enclave' : 'debugging excluded',
    ),
    must(
      'appraisal.measurement',
      'executables',
      known,
      accepted.length === 0 ? 'no enclave at all' : accepted.join(' or '),
      `MRENCLAVE ${mrEnclave}, MRSIGNER ${mrSigner} product ${report.isvProdId} SVN ${report.isvSvn}`,
    ),
    oneOf('appraisal.host-data', 'configuration', 'CONFIGID', reference.configId, toHex(report.configId)),
    ...appraiseIntelTcb(evidence.rating, reference.tcb, at),
  ]
}
