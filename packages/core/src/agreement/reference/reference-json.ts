import { z } from 'zod'

/** What a value can be that a policy asks for by its name. Never null: that is the answer for a name without a value. */
export type ReferenceJson =
  string | number | boolean | readonly ReferenceJson[] | { readonly [member: string]: ReferenceJson }

/** Whole numbers only: everything else is a text whose reader says how it is meant. */
export const referenceJsonSchema: z.ZodType<ReferenceJson> = z.lazy(() =>
  z.union([
    z.string().max(4096),
    z.number().int(),
    z.boolean(),
    z.array(referenceJsonSchema).max(1024),
    z.record(z.string().max(256), referenceJsonSchema),
  ]),
)
