import { z } from 'zod'
import { intelTcbReferenceSchema } from './intel-tcb-reference.ts'

const measurement = z.string().regex(/^[0-9a-f]{96}$/)
const NOTHING = '00'.repeat(48)
/** A register that is not pinned leaves free whatever is measured into it (D12), so it takes a word that says so. */
const register = z.union([z.array(measurement), z.literal('dangerously-unpinned')]).default([])
const setByHost = z.union([z.array(measurement), z.literal('any')]).default([NOTHING])
const flag = z.boolean().default(false)

/**
 * What an owner accepts of a TD and the platform under it. Whatever is left out is refused, not ignored; a TD under
 * debug cannot be accepted at all (D01).
 */
export const tdxReferenceSchema = z.strictObject({
  /** MRTD: firmware. RTMR0 to RTMR3: its configuration, the boot chain, kernel and command line, the workload's own. */
  mrTd: z.array(measurement).default([]),
  rtmr0: register,
  rtmr1: register,
  rtmr2: register,
  rtmr3: register,
  /** MRCONFIGID, MROWNER, MROWNERCONFIG, any of the list: the host chooses them (D03). Zeros unless told. */
  mrConfigId: setByHost,
  mrOwner: setByHost,
  mrOwnerConfig: setByHost,
  /** MRSERVICETD: no service TD unless told. Reports of TDX 1.0 cannot say, and count as having none. */
  mrServiceTd: setByHost,
  /** MRSEAM. `any` unless told: Intel's collateral rates modules by their signer and version. */
  mrSeam: z.union([z.array(measurement), z.literal('any')]).default('any'),
  allow: z
    .strictObject({ migratable: flag, perfmon: flag, keyLocker: flag, protectionKeys: flag, lass: flag })
    .prefault({}),
  require: z.strictObject({ septVeDisable: z.boolean().default(true) }).prefault({}),
  tcb: intelTcbReferenceSchema.prefault({}),
})
export type TdxReference = z.infer<typeof tdxReferenceSchema>
