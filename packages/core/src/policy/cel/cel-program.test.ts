import { describe, expect, test } from 'vitest'
import { compileCel, evaluateCel, toCelVariables } from './cel-program.ts'

/** A token's content as cloud attribute conditions see it. */
const token = {
  iss: 'https://confidentialcomputing.googleapis.com',
  sub: 'https://www.googleapis.com/compute/v1/projects/p/zones/z/instances/i',
  iat: 1_700_000_000,
  swname: 'CONFIDENTIAL_SPACE',
  swversion: ['240500'],
  dbgstat: 'disabled-since-boot',
  google_service_accounts: ['workload@operator.iam.gserviceaccount.com'],
  submods: {
    confidential_space: { support_attributes: ['LATEST', 'STABLE', 'USABLE'] },
    container: {
      image_digest: 'sha256:ab',
      image_reference: 'europe-docker.pkg.dev/p/r/i@sha256:ab',
      image_signatures: [{ key_id: 'k1', signature_algorithm: 'ECDSA_P256_SHA256' }],
      env_override: { MODE: 'strict' },
    },
    gce: { project_id: 'operator' },
  },
}
const evaluate = (text: string) =>
  evaluateCel([compileCel(text, ['assertion'])], toCelVariables({ assertion: token })).map((a) =>
    a.kind === 'value' ? a.value : a.kind,
  )

describe('attribute conditions as they are written for cloud providers', () => {
  test.each([
    `assertion.swname == 'CONFIDENTIAL_SPACE' && 'STABLE' in assertion.submods.confidential_space.support_attributes && assertion.submods.gce.project_id == 'operator' && 'workload@operator.iam.gserviceaccount.com' in assertion.google_service_accounts`,
    `assertion.submods.container.image_digest == "sha256:ab" && assertion.dbgstat == "disabled-since-boot"`,
    `assertion.submods.container.image_signatures.exists(s, s.key_id in ["k1", "k2"])`,
    `['ECDSA_P256_SHA256:k1'] == assertion.submods.container.image_signatures.map(s, s.signature_algorithm + ":" + s.key_id)`,
    `assertion.submods.container.image_reference.startsWith("europe-docker.pkg.dev/p/") && assertion.sub.endsWith("/i") && assertion.iss.contains("googleapis")`,
    `assertion.submods.container.image_reference.split("@")[1] == assertion.submods.container.image_digest`,
    `assertion.sub.matches("^https://www[.]googleapis[.]com/.*/instances/i$") && size(assertion.swversion) == 1`,
    `has(assertion.submods.container.env_override.MODE) && !has(assertion.submods.container.cmd_override)`,
    `assertion.iat + 3600 > 1700000000 && int(assertion.swversion[0]) >= 240500`,
    `assertion.google_service_accounts.all(a, a.endsWith(".iam.gserviceaccount.com")) && assertion.swname.lowerAscii() == "confidential_space"`,
    `timestamp(assertion.iat) < timestamp("2024-01-01T00:00:00Z")`,
    `assertion["submods"]["gce"]["project_id"] == "operator" ? true : false`,
  ])('%s', (text) => {
    expect(evaluate(text).every((answer) => answer === true)).toBe(true)
  })

  test('a claim that is missing, inherited or of another type is an error or false, never true', () => {
    for (const text of [
      'assertion.nothing == "x"',
      'assertion.submods.nothing.deeper == 1',
      'assertion.__proto__ == assertion.__proto__',
      'has(assertion.constructor)',
      'has(assertion.toString)',
      '"toString" in assertion',
      'assertion.iat == "1700000000"',
      'assertion.swname',
    ])
      expect(evaluate(text)).not.toContain(true)
  })

  test('each term of a conjunction is asked once, and an error in one leaves the others their answers', () => {
    expect(
      evaluate('assertion.swname == "CONFIDENTIAL_SPACE" && assertion.nothing == 1 && assertion.iat == 1'),
    ).toEqual([true, 'error', false])
  })
})

describe('F07 what an expression may cost is bounded', () => {
  const slow = (text: string) => {
    const started = performance.now()
    const answers = evaluate(text)
    return { bound: answers.includes('bound'), ms: performance.now() - started }
  }
  const ten = '[1,2,3,4,5,6,7,8,9,10]'

  test.each([
    ['nested loops', `${`${ten}.exists(x, `.repeat(8)}false${')'.repeat(8)}`],
    ['a text that doubles', `["x"]${'.map(a, a + a)'.repeat(200)}.size() == 1`],
    ['a list that holds itself twice, again and again', `["x"]${'.map(a, [a, a])'.repeat(150)} == ["x"]`],
    ['a text that is replaced into a larger one', `"a"${`.replace("", "${'b'.repeat(40)}")`.repeat(12)}.size() == 1`],
    [
      'many expensive terms',
      Array.from(
        { length: 20 },
        () => `${ten}.all(a, ${ten}.all(b, ${ten}.all(c, ${ten}.all(d, a + b + c + d > 0))))`,
      ).join(' && '),
    ],
  ])('%s', (_what, text) => {
    const { bound, ms } = slow(text)
    expect(bound).toBe(true)
    expect(ms).toBeLessThan(10_000)
  })

  test.each([
    ['4 KiB', `"${'x'.repeat(4095)}" == "x"`, 'over 4096 bytes'],
    ['brackets', `${'('.repeat(65)}true${')'.repeat(65)}`, 'nested 65 deep'],
    ['negations', `${'!'.repeat(3000)}true`, 'nested 3000 deep'],
    ['members', `assertion${'.a'.repeat(300)} == 1`, 'a tree'],
  ])('text over its limit of %s is refused before it is parsed or planned', (_what, text, why) => {
    expect(() => compileCel(text, ['assertion'])).toThrow(
      expect.objectContaining({ code: 'policy.invalid', message: expect.stringContaining(why) }),
    )
  })

  test('brackets inside texts do not nest', () => {
    expect(evaluate(`'${'('.repeat(100)}' != "${'['.repeat(100)}"`)).toEqual([true])
  })
})
