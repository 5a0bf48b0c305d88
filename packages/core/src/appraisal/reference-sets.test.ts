import { describe, expect, test } from 'vitest'
import { parseAgreement } from '../agreement/agreement.ts'
import { REFERENCE_TYPE, type ReferenceEntry } from '../agreement/reference/reference-set.ts'
import { type FiledSet, openNamedSets } from '../agreement/reference/named-set.ts'
import { signEnvelope } from '../agreement/envelope.ts'
import { utf8 } from '../base/encoding.ts'
import { formatOwnerKey } from '../base/keys.ts'
import { nodeCrypto } from '../../node/index.ts'
import { agreementBody, goodClaims } from '../testing/agreement-fixture.ts'
import { generateKeyPairSync, sign } from 'node:crypto'
import { hardwareTermsSchema } from '../agreement/reference/hardware-terms.ts'
import { appraise } from './appraise.ts'
import { appraiseUnderSets } from './reference-sets.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const signer = formatOwnerKey(new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)))
const at = new Date('2026-06-01T00:00:00Z')
const provenance = { how: 'observed', source: 'd.json', inputs: {} } as const

const entry = (id: string, registers: Record<string, string>, notAfter = '2027-01-01T00:00:00Z'): ReferenceEntry => ({
  kind: 'tpm',
  id,
  registers,
  notAfter,
  provenance,
})

function filed(entries: readonly ReferenceEntry[], changes: object = {}, ended: string[] = []): FiledSet {
  const set = { vouchsafe: 'reference/v1', name: 'boots', version: 3, previous: `sha256:${'11'.repeat(32)}` }
  const bytes = utf8(JSON.stringify({ ...set, issued: '2026-05-01T00:00:00Z', entries, ...changes }))
  const envelope = signEnvelope(REFERENCE_TYPE, bytes, signer, (m) => new Uint8Array(sign(null, m, privateKey)))
  return { set: 'boots', version: { ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) }, ended }
}

/** An agreement that pins what `registers` says, and names the set. */
function agreedOn(registers: Record<string, string[]>, named: object = {}) {
  const body = agreementBody()
  const references = [{ set: 'boots', signer, atLeast: 3, ...named }]
  const environment = { ...body.environment, registers, references }
  return parseAgreement(utf8(JSON.stringify({ ...body, environment })), nodeCrypto)
}

const good = goodClaims(agreedOn({}))
const boot = Object.fromEntries(Object.entries(good.boot.registers).filter(([n, v]) => n !== '13' && !/^0*$/.test(v)))
const other = Object.fromEntries(Object.keys(boot).map((n) => [n, 'ee'.repeat(32)]))
const pinned = Object.fromEntries(Object.entries(boot).map(([n, v]) => [n, [v]]))

async function judge(sets: readonly FiledSet[], agreed = agreedOn({}), more: Record<string, string> = {}) {
  const opened = await openNamedSets(agreed.body.environment.references ?? [], sets, at, nodeCrypto)
  const reference = { agreement: agreed, counters: { resetCount: 1, restartCount: 0 }, distrust: [], sets: opened }
  const claims = goodClaims(agreed)
  return appraise({ ...claims, boot: { ...claims.boot, registers: { ...claims.boot.registers, ...more } } }, reference)
}
const against = ({ findings }: Awaited<ReturnType<typeof judge>>) =>
  [...new Set(findings.filter(({ tier }) => tier !== 'affirming').map(({ check }) => check))].sort()

describe('KB-11 a boot is held against the values of a set that the agreement names', () => {
  test('and is affirmed under one that fits, until that value ends', async () => {
    const appraisal = await judge([filed([entry('other', other), entry('mine', boot, '2026-07-01T00:00:00Z')])])
    expect(appraisal).toMatchObject({ tier: 'affirming', until: '2026-07-01T00:00:00Z' })
  })

  test('of two that fit, the one that ends later', async () => {
    const two = filed([entry('one', boot, '2026-07-01T00:00:00Z'), entry('two', boot)])
    expect(await judge([two])).toMatchObject({ tier: 'affirming', until: '2027-01-01T00:00:00Z' })
  })

  test('what the agreement pins itself still holds, and ends with the agreement only', async () => {
    const appraisal = await judge([filed([entry('other', other)])], agreedOn(pinned))
    expect(appraisal.tier).toBe('affirming')
    expect(appraisal.until).toBeUndefined()
  })

  test.each<[string, () => readonly FiledSet[], readonly string[]]>([
    ['is not there', () => [], ['appraisal.boot-state', 'appraisal.reference']],
    ['F02 has no value at all', () => [filed([])], ['appraisal.boot-state']],
    ['has a value of another boot', () => [filed([entry('other', other)])], ['appraisal.boot-state']],
    ['F02 has a value that pins nothing', () => [filed([entry('empty', {})])], ['appraisal.boot-state']],
    ['has a value that is over', () => [filed([entry('mine', boot, at.toISOString())])], ['appraisal.boot-state']],
    ['has a value that its owner ended', () => [filed([entry('mine', boot)], {}, ['mine'])], ['appraisal.boot-state']],
    [
      'F10 is older than agreed',
      () => [filed([entry('mine', boot)], { version: 2 })],
      ['appraisal.boot-state', 'appraisal.reference'],
    ],
    [
      'calls itself otherwise',
      () => [filed([entry('mine', boot)], { name: 'others' })],
      ['appraisal.boot-state', 'appraisal.reference'],
    ],
    [
      'F09 was changed after it was signed',
      () => {
        const set = filed([entry('mine', boot)])
        const payload = `${set.version.payload.slice(0, -8)}AAAAAAA=`
        return [{ ...set, version: { ...set.version, payload } }]
      },
      ['appraisal.boot-state', 'appraisal.reference'],
    ],
  ])('a set that %s accepts nothing', async (_what, sets, codes) => {
    const appraisal = await judge(sets())
    expect(against(appraisal)).toEqual(codes)
  })

  test('B17 a register that was measured into and that the value leaves open is refused', async () => {
    const set = filed([entry('mine', boot)])
    expect(against(await judge([set], agreedOn({}), { '4': 'dd'.repeat(32) }))).toEqual(['appraisal.boot-state'])
  })

  test('F02 a machine that measured nothing at all is refused where nothing is pinned', async () => {
    const nothing = Object.fromEntries(Object.keys(boot).map((n) => [n, '00'.repeat(32)]))
    expect(against(await judge([filed([])], agreedOn({}), nothing))).toEqual(['appraisal.boot-state'])
  })

  test('F09 a set of another signer than the agreement names accepts nothing', async () => {
    const stranger = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
    const agreed = agreedOn({}, { signer: formatOwnerKey(new Uint8Array(stranger)) })
    const appraisal = await judge([filed([entry('mine', boot)])], agreed)
    expect(against(appraisal)).toEqual(['appraisal.boot-state', 'appraisal.reference'])
  })

  test('a named set that is missing stands against a boot that the agreement pins itself', async () => {
    expect(against(await judge([], agreedOn(pinned)))).toEqual(['appraisal.reference'])
  })

  test('sets that nobody opened count as missing', () => {
    const agreed = agreedOn(pinned)
    const reference = { agreement: agreed, counters: { resetCount: 1, restartCount: 0 }, distrust: [] }
    const { findings } = appraise(goodClaims(agreed), reference)
    expect(findings.filter((f) => f.tier !== 'affirming').map((f) => f.check)).toEqual(['appraisal.reference'])
  })

  test.each(['snp', 'tdx'] as const)(
    'F02 a value for %s opens no agreement that does not speak of it',
    async (kind) => {
      const common = { id: 'mine', notAfter: '2027-01-01T00:00:00Z', provenance }
      const m = 'aa'.repeat(48)
      const value: ReferenceEntry =
        kind === 'snp'
          ? { kind, ...common, measurement: m }
          : { kind, ...common, mrTd: m, rtmr0: m, rtmr1: m, rtmr2: m, rtmr3: m }
      const asked = async (terms: object) => {
        const { environment } = agreedOn({}).body
        const opened = await openNamedSets(environment.references ?? [], [filed([value])], at, nodeCrypto)
        const hardware = hardwareTermsSchema.parse({ chips: 'any-genuine', ...terms })
        const judged: unknown[] = []
        appraiseUnderSets(
          { ...environment, hardware },
          opened,
          kind,
          (under) => (judged.push(under.hardware?.[kind]), []),
        )
        return judged
      }
      expect(await asked({})).toEqual([undefined])
      expect(await asked({ [kind]: {} })).toHaveLength(2)
    },
  )

  test('an agreement names a set once', () => {
    const body = agreementBody()
    const references = [1, 2].map((atLeast) => ({ set: 'boots', signer, atLeast }))
    const twice = { ...body, environment: { ...body.environment, references } }
    expect(() => parseAgreement(utf8(JSON.stringify(twice)), nodeCrypto)).toThrow(
      expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining('references') }),
    )
  })
})
