import { z } from 'zod'
import { fromHex } from '../../base/encoding.ts'
import { COLLATERAL_STATUSES } from './tcb-status.ts'

/*
 * Documents of Intel's provisioning certification service. Unlike our own, these schemas let unknown members be: the
 * documents are signed and versioned, and Intel adds members within a version.
 */

const hex = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${bytes * 2}}$`))
    .transform((digits) => digits.toLowerCase())
const bytes = (length: number) => hex(length).transform((digits) => fromHex(digits))
const time = z.iso.datetime().transform((text) => new Date(text))
const svn = z.number().int().min(0).max(255)
const sixteen = z
  .array(z.object({ svn }))
  .length(16)
  .transform((list) => list.map((c) => c.svn))
const advisories = z.array(z.string().max(64)).max(256).default([])
const rated = { tcbDate: time, tcbStatus: z.enum(COLLATERAL_STATUSES), advisoryIDs: advisories }
const isvLevels = z
  .array(z.object({ tcb: z.object({ isvsvn: z.number().int().min(0).max(0xffff) }), ...rated }))
  .min(1)
  .max(256)
const dated = { issueDate: time, nextUpdate: time, tcbEvaluationDataNumber: z.number().int().min(0) }
const moduleIdentity = { mrsigner: bytes(48), attributes: bytes(8), attributesMask: bytes(8) }
const platform = { ...dated, version: z.literal(3), fmspc: hex(6), pceId: hex(2), tcbType: z.literal(0) }
const components = { sgxtcbcomponents: sixteen, pcesvn: z.number().int().min(0).max(0xffff) }
const levels = <T extends z.ZodType>(tcb: T) =>
  z
    .array(z.object({ tcb, ...rated }))
    .min(1)
    .max(256)

/** TCB info, version 3. @source Intel PCS API v4: Get TCB Info, SGX and TDX */
export const tcbInfoSchema = z.discriminatedUnion('id', [
  z.object({ id: z.literal('SGX'), ...platform, tcbLevels: levels(z.object(components)) }),
  z.object({
    id: z.literal('TDX'),
    ...platform,
    tdxModule: z.object(moduleIdentity),
    tdxModuleIdentities: z
      .array(z.object({ id: z.string().regex(/^TDX_[0-9a-fA-F]{2}$/), ...moduleIdentity, tcbLevels: isvLevels }))
      .max(64)
      .default([]),
    tcbLevels: levels(z.object({ ...components, tdxtcbcomponents: sixteen })),
  }),
])
export type TcbInfo = z.infer<typeof tcbInfoSchema>
export type TdxTcbInfo = Extract<TcbInfo, { id: 'TDX' }>

/** Identity of a quoting enclave, version 2. @source Intel PCS API v4: Get QE Identity */
export const qeIdentitySchema = z.object({
  id: z.enum(['QE', 'TD_QE']),
  version: z.literal(2),
  ...dated,
  miscselect: bytes(4),
  miscselectMask: bytes(4),
  attributes: bytes(16),
  attributesMask: bytes(16),
  mrsigner: bytes(32),
  isvprodid: z.number().int().min(0).max(0xffff),
  tcbLevels: isvLevels,
})
export type QeIdentity = z.infer<typeof qeIdentitySchema>

/** How good one part of a platform is, in Intel's words, with the advisories that concern it. */
export interface TcbRating {
  readonly status: (typeof COLLATERAL_STATUSES)[number]
  readonly date: Date
  readonly advisories: readonly string[]
}

export function ratingOf(level: { tcbStatus: TcbRating['status']; tcbDate: Date; advisoryIDs: string[] }): TcbRating {
  return { status: level.tcbStatus, date: level.tcbDate, advisories: level.advisoryIDs }
}
