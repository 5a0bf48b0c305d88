import type { Agreement } from '../agreement/agreement.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { LaunchClaims } from '../claims/claims.ts'
import type { Finding, TrustAspect } from './finding.ts'

/** The measured launch against the agreed one, item by item. */
export function appraiseLaunch(launch: LaunchClaims, agreement: Agreement): readonly Finding[] {
  const { workload, launch: agreed } = agreement.body
  return [
    same('appraisal.launch-agreement', 'configuration', agreement.digest, launch.agreement),
    same('appraisal.image', 'executables', workload.image, launch.image),
    same('appraisal.launch-arguments', 'configuration', JSON.stringify(agreed.args), JSON.stringify(launch.args)),
    same('appraisal.launch-environment', 'configuration', variables(agreed.env), variables(launch.env)),
    same('appraisal.launch-debug', 'configuration', 'debug false', `debug ${launch.debug}`),
    same('appraisal.launch-network', 'configuration', `network ${agreed.network}`, `network ${launch.network}`),
    same('appraisal.launch-output', 'configuration', `output ${agreed.output}`, `output ${launch.output}`),
    same('appraisal.launch-privileges', 'configuration', `restart ${agreed.restart}`, `restart ${launch.restart}`),
    same(
      'appraisal.launch-privileges',
      'configuration',
      `isolation ${agreed.isolation.includes(launch.isolation) ? launch.isolation : agreed.isolation.join(' or ')}`,
      `isolation ${launch.isolation}`,
    ),
    same(
      'appraisal.launch-privileges',
      'configuration',
      `capabilities ${sorted(agreed.capabilities)}`,
      `capabilities ${sorted(launch.capabilities)}`,
    ),
    same(
      'appraisal.launch-privileges',
      'configuration',
      `mounts ${sorted(agreed.mounts)}`,
      `mounts ${sorted(launch.mounts)}`,
    ),
  ]
}

function same(check: ErrorCode, aspect: TrustAspect, expected: string, actual: string): Finding {
  return { check, aspect, tier: expected === actual ? 'affirming' : 'contraindicated', expected, actual }
}

/** One text for one set of variables, whatever their order. */
function variables(env: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function sorted(values: readonly string[]): string {
  return JSON.stringify(values.toSorted())
}
