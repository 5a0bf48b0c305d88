import type { Mutant } from './mutants-list.ts'

const hardware = 'packages/core/src/evidence/hardware/verify-hardware-evidence.ts'
const lineTest = 'packages/broker/src/http/hardware.test.ts'
const snp = 'packages/core/src/appraisal/snp.ts'
const set = 'packages/core/src/agreement/reference/reference-set.ts'
const referenceTest = 'packages/cli/src/commands/reference/reference.test.ts'
const tsm = 'packages/agent/src/devices/configfs-tsm.ts'
const tsmTest = 'packages/agent/src/devices/configfs-tsm.test.ts'
const namedSet = 'packages/core/src/agreement/reference/named-set.ts'
const setTest = 'packages/core/src/appraisal/reference-sets.test.ts'
const query = 'packages/core/src/agreement/reference/query-reference.ts'
const queryTest = 'packages/core/src/policy/reference-values.test.ts'
const cloud = 'packages/core/src/appraisal/platform.ts'
const cloudTest = 'packages/agent/src/attester/platform-attester.test.ts'
const filing = 'packages/broker/src/services/references.ts'
const filingTest = 'packages/broker/src/http/references.test.ts'

/** The checks of evidence of CPUs, of reference values and of what is distrusted, removed one at a time. */
export const HARDWARE_MUTANTS: readonly Mutant[] = [
  {
    name: 'hardware-request-unbound',
    file: 'packages/core/src/evidence/hardware/report-data.ts',
    find: 'return concat(binding, transcript(',
    replace: 'return concat(new Uint8Array(32), transcript(',
    testFile: lineTest,
    test: 'A02 a report of this session over another nonce',
  },
  {
    name: 'hardware-launch-log-unbound',
    file: 'packages/core/src/evidence/hardware/report-data.ts',
    find: "'vouchsafe/launch-log/v1', [launchLog], crypto",
    replace: "'vouchsafe/launch-log/v1', [], crypto",
    testFile: lineTest,
    test: 'H18 a launch log other than the report commits to',
  },
  {
    name: 'hardware-stale-nonce',
    file: 'packages/core/src/evidence/verify.ts',
    find: "if (input.nonceState !== 'fresh')",
    replace: 'if (false as boolean)',
    testFile: lineTest,
    test: 'A01 evidence that is shown twice',
  },
  {
    name: 'hardware-revocation',
    file: hardware,
    find: "revocation: { lists, require: 'authorities' }",
    replace: "revocation: 'not-checked'",
    testFile: lineTest,
    test: 'D09 what AMD or Intel took back is refused',
  },
  {
    name: 'hardware-chips',
    file: 'packages/core/src/appraisal/hardware.ts',
    find: "terms.chips === 'any-genuine' ? 'any' : terms.chips",
    replace: "'any'",
    testFile: lineTest,
    test: 'D11 L02 an agreement on other chips',
  },
  {
    name: 'hardware-measurement',
    file: snp,
    find: "'measurement', reference.measurements, toHex(report.measurement)",
    replace: "'measurement', 'any', toHex(report.measurement)",
    testFile: lineTest,
    test: 'another measurement (snp)',
  },
  {
    name: 'distrust-below',
    file: 'packages/core/src/appraisal/distrust.ts',
    find: 'platform.microcode < subject.below',
    replace: 'platform.microcode <= subject.below',
    testFile: 'packages/core/src/appraisal/distrust.test.ts',
    test: 'distrusts microcode that is new enough',
  },
  {
    name: 'distrust-range-leases',
    file: 'packages/broker/src/services/distrust.ts',
    find: '...(exact ? [] : running.map(',
    replace: '...(exact || !exact ? [] : running.map(',
    testFile: lineTest,
    test: 'L01 KB-32 (partly: distrust)',
  },
  {
    name: 'reference-signer',
    file: set,
    find: 'parseOwnerKey(signer), crypto)) === null)',
    replace: 'parseOwnerKey(signer), crypto)) === undefined)',
    testFile: referenceTest,
    test: 'F09 what another key signed',
  },
  {
    name: 'reference-rollback',
    file: set,
    find: 'if (newest.set.version < atLeast)',
    replace: 'if (false as boolean)',
    testFile: referenceTest,
    test: 'F10 an older file does not pass',
  },
  {
    name: 'reference-gap',
    file: set,
    find: 'set.version !== number ||\n    set.previous !== (before?.digest ?? null) ||',
    replace: 'set.version < number ||',
    testFile: referenceTest,
    test: 'F10 an older file does not pass',
  },
  {
    name: 'tsm-generation',
    file: tsm,
    find: "return Number(text('generation')) === before + 1 ?",
    replace: "return Number(text('generation')) > before ?",
    testFile: tsmTest,
    test: 'A06 another process that writes before read outblob',
  },
  {
    name: 'set-of-any-age',
    file: namedSet,
    find: 'if (set.version < named.atLeast)',
    replace: 'if (false as boolean)',
    testFile: setTest,
    test: 'F10 is older than agreed',
  },
  {
    name: 'set-value-that-was-ended',
    file: namedSet,
    find: '.filter(({ id }) => !found.ended.includes(id))',
    replace: '',
    testFile: setTest,
    test: 'has a value that its owner ended',
  },
  {
    name: 'set-that-is-missing',
    file: 'packages/core/src/appraisal/reference-sets.ts',
    find: "return must('appraisal.reference', 'executables', version !== null,",
    replace: "return must('appraisal.reference', 'executables', true,",
    testFile: setTest,
    test: 'a named set that is missing stands against',
  },
  {
    name: 'nothing-pinned-at-all',
    file: 'packages/core/src/appraisal/boot-state.ts',
    find: 'if (Object.keys(environment.registers).length === 0)',
    replace: 'if (false as boolean)',
    testFile: setTest,
    test: 'F02 a machine that measured nothing at all',
  },
  {
    name: 'set-of-another-signer-filed',
    file: filing,
    find: 'if (before !== null && before.filing.signer !== signer)',
    replace: 'if (false as boolean)',
    testFile: filingTest,
    test: 'a version by another signer is refused',
  },
  {
    name: 'set-lease-outlives-value',
    file: 'packages/broker/src/services/release.ts',
    find: 'if (until !== undefined) ends.push(Date.parse(until))',
    replace: 'if (false as boolean) ends.push(0)',
    testFile: filingTest,
    test: 'a lease ends no later than the value',
  },
  {
    name: 'query-a-closed-set',
    file: query,
    find: 'if (closed !== undefined)',
    replace: 'if ((false as boolean) && closed !== undefined)',
    testFile: queryTest,
    test: 'when another set is missing, whatever this one says there is no answer',
  },
  {
    name: 'query-two-answers',
    file: query,
    find: 'if (other !== undefined)',
    replace: 'if ((false as boolean) && other !== undefined)',
    testFile: queryTest,
    test: 'when two sets say two things there is no answer',
  },
  {
    name: 'query-stands-for-evidence',
    file: 'packages/core/src/policy/judge-rego.ts',
    find: 'if (queries.answers.size > 0 && saysYesToNothing(policy, allow, at, sets))',
    replace: 'if ((false as boolean) && saysYesToNothing(policy, allow, at, sets))',
    testFile: queryTest,
    test: 'a rule that they make true of a guest that shows nothing releases nothing',
  },
  {
    name: 'cloud-not-named',
    file: cloud,
    find: "accepted === 'any-genuine' ? 'any' : (accepted ?? [])",
    replace: "accepted === 'any-genuine' ? 'any' : (accepted ?? 'any')",
    testFile: cloudTest,
    test: 'none of them: azure is refused',
  },
  {
    name: 'cloud-report-of-any-boot',
    file: cloud,
    find: "platform.fresh || terms?.azure?.report === 'dangerously-of-any-boot'",
    replace: 'true as boolean',
    testFile: cloudTest,
    test: 'A02 A18 a report of this VM that was made for another request',
  },
  {
    name: 'cloud-without-cpu',
    file: cloud,
    find: 'cpu !== null || !asked',
    replace: 'true as boolean',
    testFile: cloudTest,
    test: 'no CPU’s report where one is asked for',
  },
  {
    name: 'cloud-lease-outlives-reset',
    file: 'packages/core/src/evidence/platform/verify-platform-evidence.ts',
    find: '[akSpki, String(resetCount), String(restartCount)]',
    replace: "[akSpki, String(resetCount * 0), '']",
    testFile: cloudTest,
    test: 'B10 a lease does not outlive a reset, and D12 another boot is refused',
  },
  {
    name: 'cloud-host-runs-the-vtpm',
    file: 'packages/core/src/claims/from-platform.ts',
    find: "platform.cloud === 'azure' && !ofCpu.hostMayInspect",
    replace: '!ofCpu.hostMayInspect',
    testFile: cloudTest,
    test: 'B11 no machine whose vTPM its host runs: gce is refused',
  },
]
