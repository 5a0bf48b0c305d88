import { z } from 'zod'

const anyOf = (id: z.ZodString) => z.union([z.array(id).min(1).max(1024), z.literal('any-genuine')])

/**
 * Clouds whose vTPMs may speak for a machine: no key of theirs is enrolled, so an agreement says by name that they may. What
 * was booted must be as `registers` says, and what the CPU says as `hardware` does. A cloud that is left out is refused.
 */
export const platformTermsSchema = z.strictObject({
  /** Confidential VMs of Azure, by `vmUniqueId` as their paravisor states it, or any that a genuine CPU vouches for. */
  azure: z
    .strictObject({
      vms: anyOf(z.string().min(1).max(64)),
      /** Whether the CPU's report must be made for each request. One of the boot may be older than what the CPU is now. */
      report: z.enum(['fresh', 'dangerously-of-any-boot']).default('fresh'),
    })
    .exactOptional(),
  gce: z
    .strictObject({
      /** Projects, as the certificate of the vTPM's key names them; the words say it where any machine of Google's will do. */
      projects: anyOf(z.string().min(1).max(64)),
      /** Whether the CPU must have signed which vTPM it belongs to. Not asking for it leaves Google's word alone. */
      cpu: z.enum(['required', 'dangerously-not-asked-for']).default('required'),
    })
    .exactOptional(),
})
export type PlatformTerms = z.output<typeof platformTermsSchema>
