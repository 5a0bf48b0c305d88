import { z } from 'zod'
import { snpReferenceSchema } from './snp-reference.ts'
import { tdxReferenceSchema } from './tdx-reference.ts'

/**
 * What owners accept of hardware that runs the workload. A vendor that is left out is refused; within one, whatever is
 * left out is refused as well.
 */
export const hardwareTermsSchema = z.strictObject({
  /**
   * Chips that may run it, by the id that the evidence gives: CHIP_ID on SNP, PPID on TDX, in lower-case hexadecimal. The
   * word says it where any genuine one will do: then a stolen chip, or one in a bus interposer, will do as well (L02).
   */
  chips: z.union([
    z
      .array(z.string().regex(/^(?:[0-9a-f]{2}){8,64}$/))
      .min(1)
      .max(4096),
    z.literal('any-genuine'),
  ]),
  snp: snpReferenceSchema.exactOptional(),
  tdx: tdxReferenceSchema.exactOptional(),
})
export type HardwareTerms = z.output<typeof hardwareTermsSchema>
