import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { root } from '../scripts/run.ts'
import { accepting, agreementOf, recordAttestations } from '../packages/cli/src/policy/testing/recorded-attestations.ts'

/*
 * `npm run bench -- what-if`: 10,000 recorded attestations of a small fleet under a candidate agreement with another
 * reference set and a Rego policy. The whole command line is timed: reading and parsing every record, checking the
 * broker's signature, verifying the evidence again from its raw bytes, judging it twice, one table.
 */
const MACHINES = 8
const RECORDS = 10_000
const GOAL_SECONDS = 10

const directory = mkdtempSync(path.join(tmpdir(), 'vs-what-if-'))
try {
  console.log(`recording ${RECORDS} attestations, each with a quote of its own: a minute or more`)
  const recorded = await recordAttestations(directory, MACHINES, RECORDS / MACHINES)
  const records = path.join(directory, 'records.jsonl')
  writeFileSync(records, recorded.envelopes.map((e) => JSON.stringify(e)).join('\n'))
  const candidate = path.join(directory, 'candidate.json')
  const { body } = recorded.agreement
  const rego = {
    modules: {
      'release.rego':
        'package release\nallow if { input.class in data.classes; input.launch.network == "none"; every m in input.launch.mounts { startswith(m, "/data:") } }',
    },
    allow: 'data.release.allow',
    data: { classes: ['simulated', 'tpm'] },
  }
  const grants = body.grants.map((g) => ({ ...g, rego, cel: ['assertion.launch.args.all(a, a.size() < 4096)'] }))
  const environment = accepting(recorded.registers.slice(1))
  writeFileSync(candidate, agreementOf({ ...body, environment, grants }).bytes)

  const vouchsafe = path.join(root, 'packages/cli/bin/vouchsafe.ts')
  const started = performance.now()
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [vouchsafe, 'policy', 'what-if', '--agreement', candidate, '--records', records, '--key', recorded.decisionKey],
    { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } },
  )
  const seconds = (performance.now() - started) / 1000
  console.log(stdout + stderr)
  const right = status === 1 && stdout.includes(`${RECORDS} attestations judged`) && /loses\s+1 machines/.test(stdout)
  const fast = seconds < GOAL_SECONDS
  console.log(
    `${RECORDS} records in ${seconds.toFixed(1)} s (${((seconds * 1000) / RECORDS).toFixed(2)} ms each), goal ${GOAL_SECONDS} s: ${fast ? 'met' : 'MISSED'}; table ${right ? 'right' : 'WRONG'}; ${availableParallelism()} processors, load ${loadavg()[0]?.toFixed(1)}`,
  )
  console.log(`${Number(right) + Number(fast)} passed, ${Number(!right) + Number(!fast)} failed`)
  process.exitCode = right && fast ? 0 : 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}
