import { expect, test } from 'vitest'
import type { Claims } from '../claims/claims.ts'
import { agreement, goodClaims } from '../testing/agreement-fixture.ts'
import { type DistrustRule, distrustRuleSchema, isDistrusted } from './distrust.ts'

const tpm = goodClaims(agreement())
const chip = 'c1'.repeat(64)
const milan: Claims = {
  ...tpm,
  format: 'snp',
  platform: {
    ...tpm.platform,
    vendor: 'amd',
    family: 'Milan',
    chip,
    firmware: '1.55.29',
    microcode: 219,
    measurement: 'ab'.repeat(48),
  },
}
const xeon: Claims = {
  ...tpm,
  format: 'tdx',
  platform: {
    ...tpm.platform,
    vendor: 'intel',
    family: '00806f050000',
    chip: '00'.repeat(16),
    firmware: '0501060000000000',
    microcode: 7,
    advisories: ['INTEL-SA-00837'],
    tcbDate: '2025-01-01T00:00:00.000Z',
    measurement: 'cd'.repeat(48),
  },
}
const hidden: Claims = { ...milan, platform: { ...milan.platform, chip: 'hidden' } }

type Subject = DistrustRule['subject']
test.each<[string, Subject, readonly Claims[]]>([
  ['a chip: never a hidden one (D07)', { kind: 'chip', chip }, [milan]],
  ['hidden chips, which no list of chips reaches (D07)', { kind: 'hidden-chips' }, [hidden]],
  ['a product line (L01)', { kind: 'family', family: 'Milan' }, [milan, hidden]],
  ['microcode below', { kind: 'microcode', family: 'Milan', below: 220 }, [milan, hidden]],
  ['microcode that is new enough', { kind: 'microcode', family: 'Milan', below: 219 }, []],
  ['microcode of another line', { kind: 'microcode', family: 'Genoa', below: 65_535 }, []],
  ['a version of the firmware', { kind: 'firmware', family: 'Milan', firmware: '1.55.29' }, [milan, hidden]],
  ['a measurement (D21)', { kind: 'measurement', measurement: 'cd'.repeat(48) }, [xeon]],
  ['an advisory (L03)', { kind: 'advisory', advisory: 'INTEL-SA-00837' }, [xeon]],
  // who names no date is not known to be newer
  ['a TCB before a date', { kind: 'tcb-before', date: '2025-06-01T00:00:00Z' }, [milan, hidden, xeon]],
  ['a TCB before an earlier date', { kind: 'tcb-before', date: '2024-06-01T00:00:00Z' }, [milan, hidden]],
])('distrusts %s', (_what, subject, reached) => {
  const rule = distrustRuleSchema.parse({ id: 'rule', subject, reason: 'broken' })
  const everything = [tpm, milan, hidden, xeon]
  expect(everything.filter((claims) => isDistrusted(rule, claims))).toEqual(reached)
})
