import type { PlatformTerms } from '../agreement/reference/platform-terms.ts'
import type { PlatformFacts } from '../evidence/platform/verify-platform-evidence.ts'
import { must, oneOf } from './check.ts'
import type { Finding } from './finding.ts'

/** May this cloud's vTPM speak for a machine at all, and is it one of those that the owners named? */
export function appraiseCloud(
  { platform, cpu }: Pick<PlatformFacts, 'platform' | 'cpu'>,
  terms: PlatformTerms | undefined,
): readonly Finding[] {
  const listed = (what: string, accepted: readonly string[] | 'any-genuine' | undefined, actual: string | undefined) =>
    oneOf(
      'appraisal.cloud',
      'instance-identity',
      what,
      accepted === 'any-genuine' ? 'any' : (accepted ?? []),
      actual ?? 'that nobody vouches for',
    )
  switch (platform.cloud) {
    case 'azure':
      return [
        listed('VM of Azure', terms?.azure?.vms, platform.runtime.vm.uniqueId),
        must(
          'appraisal.cloud',
          'hardware',
          platform.fresh || terms?.azure?.report === 'dangerously-of-any-boot',
          terms?.azure?.report === 'dangerously-of-any-boot'
            ? 'a report of any boot'
            : 'a report made for this request',
          platform.fresh ? 'a report made for this request' : 'a report over other data',
        ),
      ]
    case 'gce': {
      const asked = terms?.gce?.cpu !== 'dangerously-not-asked-for'
      return [
        listed('project at Google', terms?.gce?.projects, platform.instance?.projectId),
        must(
          'appraisal.cloud',
          'hardware',
          cpu !== null || !asked,
          asked ? 'a CPU’s report that belongs to this vTPM' : 'a vTPM of Google’s, with or without a CPU’s report',
          cpu === null ? 'no report of a CPU' : 'a report that belongs to this vTPM',
        ),
      ]
    }
  }
}
