import { expect, test } from 'vitest'
import type { Claims } from '../claims/claims.ts'
import { agreement, agreementBody, goodClaims } from '../testing/agreement-fixture.ts'
import { appraise } from './appraise.ts'
import { conclude } from './finding.ts'
import type { DistrustRule } from './distrust.ts'

const agreed = agreement()
const reference = { agreement: agreed, counters: { resetCount: 1, restartCount: 0 }, distrust: [] as DistrustRule[] }
const good = goodClaims(agreed)
const failing = (claims: Claims, how = reference) =>
  appraise(claims, how)
    .findings.filter((f) => f.tier !== 'affirming')
    .map((f) => f.check)
const launch = (changes: Partial<Claims['launch']>): Claims => ({ ...good, launch: { ...good.launch, ...changes } })

test('claims that fit are affirmed, with a finding for every check', () => {
  const appraisal = appraise(good, reference)
  expect(appraisal.tier).toBe('affirming')
  expect(new Set(appraisal.findings.map((f) => f.check)).size).toBe(12)
  expect(appraisal.vector).toEqual({
    'instance-identity': 'affirming',
    configuration: 'affirming',
    executables: 'affirming',
    hardware: 'affirming',
  })
})

test.each<[string, Claims, string]>([
  ['another image', launch({ image: `sha256:${'2b'.repeat(32)}` }), 'appraisal.image'],
  ['H14 other arguments', launch({ args: ['/app/run', '--dump'] }), 'appraisal.launch-arguments'],
  ['H14 an environment override', launch({ env: { DEBUG: '1' } }), 'appraisal.launch-environment'],
  [
    'H15 an environment variable that is code',
    launch({ env: { LD_PRELOAD: '/evil.so' } }),
    'appraisal.launch-environment',
  ],
  ['H17 debug', launch({ debug: true }), 'appraisal.launch-debug'],
  ['network', launch({ network: 'host' }), 'appraisal.launch-network'],
  ['H16 output to the operator', launch({ output: 'log' }), 'appraisal.launch-output'],
  ['H22 a mount', launch({ mounts: ['/srv:/srv:rw'] }), 'appraisal.launch-privileges'],
  ['H09 a capability', launch({ capabilities: ['CAP_SYS_ADMIN'] }), 'appraisal.launch-privileges'],
  ['weaker isolation', launch({ isolation: 'runc-rootless' }), 'appraisal.launch-privileges'],
  ['restarts', launch({ restart: 'always' }), 'appraisal.launch-privileges'],
  ['G01 another agreement', launch({ agreement: `sha256:${'3c'.repeat(32)}` }), 'appraisal.launch-agreement'],
  [
    'another value in a pinned register',
    { ...good, boot: { ...good.boot, registers: { ...good.boot.registers, '0': 'bb'.repeat(32) } } },
    'appraisal.boot-state',
  ],
  [
    'B17 a measurement in a register that nobody pins',
    { ...good, boot: { ...good.boot, registers: { ...good.boot.registers, '4': 'bb'.repeat(32) } } },
    'appraisal.boot-state',
  ],
  [
    'D12 a register missing',
    {
      ...good,
      boot: {
        ...good.boot,
        registers: Object.fromEntries(Object.entries(good.boot.registers).filter(([n]) => n !== '7')),
      },
    },
    'appraisal.boot-state',
  ],
  ['B09 a reset since enrolment', { ...good, boot: { ...good.boot, resetCount: 2 } }, 'appraisal.reset'],
  ['B10 a restart since enrolment', { ...good, boot: { ...good.boot, restartCount: 1 } }, 'appraisal.reset'],
])('a launch or boot with %s is contraindicated', (_what, claims, check) => {
  expect(failing(claims)).toEqual([check])
  expect(appraise(claims, reference).tier).toBe('contraindicated')
})

test('B11 L04 a TPM never satisfies an agreement that keeps the host out', () => {
  const excluding = agreement({ environment: { ...agreementBody().environment, hostExcluded: true } })
  for (const kind of ['platform-vtpm', 'tpm', 'simulated'] as const)
    expect(failing({ ...goodClaims(excluding), class: kind }, { ...reference, agreement: excluding })).toEqual([
      'appraisal.class',
    ])
})

test('a weaker class than agreed is contraindicated, a stronger one is not', () => {
  const hardened = agreement({ environment: { ...agreementBody().environment, leastClass: 'tpm' } })
  const classes = ['hardware', 'platform-vtpm', 'tpm', 'simulated'] as const
  expect(
    classes.map((c) => failing({ ...goodClaims(hardened), class: c }, { ...reference, agreement: hardened }).length),
  ).toEqual([0, 0, 0, 1])
})

test.each<DistrustRule['subject']>([
  { kind: 'machine', machine: good.machine },
  { kind: 'image', image: good.launch.image },
  { kind: 'anchor', anchor: good.anchor },
  { kind: 'register', register: 0, value: 'aa'.repeat(32) },
])('L01 distrust of a %o blocks evidence that is otherwise perfect', (subject) => {
  expect(failing(good, { ...reference, distrust: [{ id: 'r', subject, reason: 'leaked' }] })).toEqual([
    'appraisal.distrusted',
  ])
})

test('E: no findings are no good news, and an unknown tier is a bug', () => {
  expect(conclude([]).tier).toBe('none')
  expect(() =>
    conclude([{ check: 'internal', aspect: 'hardware', tier: 'great' as never, expected: '', actual: '' }]),
  ).toThrow('unknown tier')
})

test('a register that is not as agreed is explained by its first events, and one that is by none', () => {
  const other = { ...good, boot: { ...good.boot, registers: { ...good.boot.registers, '0': 'bb'.repeat(32) } } }
  const events = Array.from({ length: 40 }, (_, i) => `event ${i}`)
  const told = (claims: Claims) =>
    appraise(claims, reference, () => events).findings.filter((f) => f.check === 'appraisal.boot-state')[0]?.actual
  expect(told(good)).toBe(`register 0 is ${'aa'.repeat(32)}`)
  expect(told(other)).toBe(`register 0 is ${'bb'.repeat(32)}, made by ${events.slice(0, 16).join('; ')}; and 24 more`)
})
