import { z } from 'zod'

const level = z.number().int().min(0).max(255)
const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
const floor = z.strictObject({ bootloader: level, tee: level, snp: level, microcode: level })
const flag = z.boolean().default(false)

/**
 * What an owner accepts of an SEV-SNP platform. Whatever is left out is refused, not ignored: no measurement, no
 * product without a floor, no SMT, no migration agent. A debug policy cannot be accepted at all (D01).
 */
export const snpReferenceSchema = z.strictObject({
  /** MEASUREMENT, any of them. */
  measurements: z.array(hex(48)).default([]),
  /** The least TCB by product line, held against all four TCBs of the report (D05). */
  minimumTcb: z
    .strictObject({ Milan: floor.optional(), Genoa: floor.optional(), Turin: floor.extend({ fmc: level }).optional() })
    .default({}),
  /** HOST_DATA, or `any`: the host chooses it, so only its being expected makes it worth something (D03). */
  hostData: z.union([hex(32), z.literal('any')]).default('00'.repeat(32)),
  /** The highest VMPL, that is the lowest privilege, that may have asked for the report. */
  maximumVmpl: z.number().int().min(0).max(3).default(0),
  minimumGuestSvn: z.number().int().min(0).max(0xffffffff).default(0),
  /** ID_KEY_DIGEST and AUTHOR_KEY_DIGEST, any of the list; zeros stand for none. `any` where the launch need not be signed. */
  idKeyDigests: z.union([z.array(hex(48)), z.literal('any')]).default(['00'.repeat(48)]),
  authorKeyDigests: z.union([z.array(hex(48)), z.literal('any')]).default(['00'.repeat(48)]),
  allow: z
    .strictObject({ smt: flag, migrationAgent: flag, cxl: flag, provisionalFirmware: flag, hiddenChip: flag })
    .prefault({}),
  require: z
    .strictObject({
      singleSocket: flag,
      aes256Xts: flag,
      raplDisabled: flag,
      ciphertextHiding: flag,
      pageSwapDisabled: flag,
      ecc: flag,
      /** The check for aliased memory (CVE-2024-21944). On unless switched off: old firmware does not know it. */
      aliasCheck: z.boolean().default(true),
      /** Bits of both mitigation vectors, as a hexadecimal number; reports before version 5 have none. */
      mitigations: z
        .string()
        .regex(/^[0-9a-f]{1,16}$/)
        .default('0'),
    })
    .prefault({}),
})
export type SnpReference = z.infer<typeof snpReferenceSchema>
