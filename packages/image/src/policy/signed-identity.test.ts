import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { parseReference, referenceText } from '../oci/reference.ts'
import { hasPrefix, matchesIdentity, readReference, remapReference, type SignedIdentity } from './signed-identity.ts'

interface Tables {
  readonly matchExact_symmetric: readonly { a: string; b: string; match: boolean }[]
  readonly matchRepository_symmetric: readonly { a: string; b: string; match: boolean }[]
  readonly matchRepoDigestOrExact: readonly { image: string; signed: string; match: boolean }[]
  readonly remapIdentity_prefix_matches: readonly { ref: string; prefix: string; match: boolean }[]
  readonly remapIdentity_rewrite: readonly {
    prefix: string
    signedPrefix: string
    ref: string
    result: string | null
  }[]
  readonly remapIdentity_match: readonly {
    prefix: string
    signedPrefix: string
    image: string
    signed: string
    match: boolean
  }[]
}

/** An image that cannot be read is asked for by nobody. */
function matches(rule: SignedIdentity, image: string, signed: string): boolean {
  const asked = readReference(image)
  return asked !== undefined && matchesIdentity(rule, asked, signed)
}

describe.skipIf(missingVectors())('GU-09 H03 the recorded tables of signed identities', () => {
  const tables = missingVectors()
    ? ({} as Tables)
    : (JSON.parse(readVectorText('guest/inline/signed-identity-matching.json')) as Tables)
  const both = (rows: Tables['matchExact_symmetric'] = []) =>
    rows.flatMap(({ a, b, match }) => [
      { a, b, match },
      { a: b, b: a, match },
    ])

  test.each(both(tables.matchExact_symmetric))('matchExact: $a, $b: $match', ({ a, b, match }) => {
    expect(matches({ type: 'matchExact' }, a, b)).toBe(match)
    expect(matches({ type: 'exactReference', dockerReference: a }, 'example.com/other:1', b)).toBe(match)
    if (match) expect(matches({ type: 'matchRepoDigestOrExact' }, a, b)).toBe(true)
  })

  test.each(both(tables.matchRepository_symmetric))('matchRepository: $a, $b: $match', ({ a, b, match }) => {
    expect(matches({ type: 'matchRepository' }, a, b)).toBe(match)
    expect(matches({ type: 'exactRepository', dockerRepository: a }, 'example.com/other:1', b)).toBe(match)
    if (!match) expect(matches({ type: 'matchRepoDigestOrExact' }, a, b)).toBe(false)
  })

  test.each(tables.matchRepoDigestOrExact ?? [])('matchRepoDigestOrExact: $image, $signed: $match', (row) => {
    expect(matches({ type: 'matchRepoDigestOrExact' }, row.image, row.signed)).toBe(row.match)
  })

  test.each(tables.remapIdentity_prefix_matches ?? [])('$prefix before $ref: $match', ({ ref, prefix, match }) => {
    const reference = readReference(ref)
    expect(reference !== undefined && hasPrefix(reference, prefix)).toBe(match)
  })

  test.each(tables.remapIdentity_rewrite ?? [])('$ref with $prefix → $signedPrefix: $result', (row) => {
    const mapped = remapReference(parseReference(row.ref), row.prefix, row.signedPrefix)
    expect(mapped === undefined ? null : referenceText(mapped)).toBe(row.result)
  })

  test.each(tables.remapIdentity_match ?? [])('remapIdentity: $image signed as $signed: $match', (row) => {
    const { prefix, signedPrefix } = row
    expect(matches({ type: 'remapIdentity', prefix, signedPrefix }, row.image, row.signed)).toBe(row.match)
  })
})

test('H03 a name without tag and digest stands for no image: it equals nothing, not even itself', () => {
  const asked = parseReference('example.com/app')
  expect(matchesIdentity({ type: 'matchExact' }, asked, 'example.com/app')).toBe(false)
  expect(matchesIdentity({ type: 'matchExact' }, parseReference('example.com/app:1'), 'example.com/app:1')).toBe(true)
})

test('H03 a signature that names nothing matches no rule but the one that says so', () => {
  const asked = parseReference('example.com/app:1')
  for (const type of ['matchExact', 'matchRepoDigestOrExact', 'matchRepository'] as const)
    expect(matchesIdentity({ type }, asked, undefined)).toBe(false)
  expect(matchesIdentity({ type: 'vouchsafeDigestOnly' }, asked, undefined)).toBe(true)
})
