import { describe, expect, test } from 'vitest'
import { newKey } from '../testing/signing.ts'
import { digestOf } from '../oci/digest.ts'
import { signBundle } from '../sign/sign-bundle.ts'
import { type BuildIdentity, builderId, parseBuildIdentity, writeBuildIdentity } from './build-identity.ts'
import { parseProvenance, provenanceStatement, verifyProvenance } from './provenance.ts'
import { parseStatement, PREDICATES, writeStatement } from './statement.ts'

const key = newKey()
const root = 'a'.repeat(40)
const identity: BuildIdentity = { source: 'git+https://git.example/team/app', rootCommit: root, key: key.public }
const checkedOut = { commit: 'c'.repeat(40), tree: 'd'.repeat(40), roots: [root], files: 1 }
const digest = digestOf(new Uint8Array(1))
const at = new Date('2026-11-01T00:00:00Z')
const base = { reference: `registry.example/base@${digest}`, digest }
const statement = provenanceStatement(digest, { identity, checkedOut, description: 'app.json', base, at })
const bundle = (bytes: Uint8Array, by = key) => ({ kind: 'bundle', place: 'p', bundle: signBundle(bytes, by) }) as const
const expected = { identity, commit: checkedOut.commit, digest }

describe('a provenance', () => {
  test('CS-04 says which commit, tree and base, by whom, in the words of SLSA', () => {
    expect(parseStatement(statement)).toEqual({
      subjects: [{ digest: new Map([['sha256', digest.slice(7)]]) }],
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: {
        buildDefinition: {
          buildType: 'vouchsafe:image-build:v1',
          externalParameters: { source: identity.source, commit: checkedOut.commit, description: 'app.json' },
          internalParameters: {},
          resolvedDependencies: [
            {
              uri: `${identity.source}@${checkedOut.commit}`,
              digest: { gitCommit: checkedOut.commit, gitTree: checkedOut.tree },
            },
            { uri: base.reference, digest: { sha256: digest.slice(7) } },
          ],
        },
        runDetails: {
          builder: { id: `vouchsafe:build-identity:sha256:${key.public.id}` },
          metadata: { finishedOn: '2026-11-01T00:00:00.000Z' },
        },
      },
    })
    expect(verifyProvenance(bundle(statement), expected)).toEqual({
      builder: builderId(identity),
      source: identity.source,
      commit: checkedOut.commit,
      tree: checkedOut.tree,
      description: 'app.json',
      base,
      finished: at,
    })
  })

  test('CS-04 of a commit that comes from another repository is not signed by this identity', () => {
    for (const roots of [['b'.repeat(40)], [root, 'b'.repeat(40)], []])
      expect(() =>
        provenanceStatement(digest, { identity, checkedOut: { ...checkedOut, roots }, description: 'app.json', at }),
      ).toThrow(expect.objectContaining({ code: 'build.input', message: expect.stringContaining(identity.source) }))
  })

  const other = newKey()
  test.each<[string, () => unknown, string, string]>([
    ['by another key', () => verifyProvenance(bundle(statement, other), expected), 'signature.unverified', 'p'],
    [
      'from another commit',
      () => verifyProvenance(bundle(statement), { ...expected, commit: 'e'.repeat(40) }),
      'signature.mismatch',
      `built from commit ${checkedOut.commit}`,
    ],
    [
      'about another image',
      () => verifyProvenance(bundle(statement), { ...expected, digest: digestOf(new Uint8Array(2)) }),
      'signature.mismatch',
      'another image',
    ],
    [
      'from another repository',
      () =>
        verifyProvenance(bundle(statement), {
          ...expected,
          identity: { ...identity, source: 'git+https://git.example/x' },
        }),
      'signature.mismatch',
      'built from git+https://git.example/team/app',
    ],
    [
      'in which the key calls itself another builder',
      () => {
        const named = provenanceStatement(digest, {
          identity: { ...identity, key: other.public },
          checkedOut,
          description: 'app.json',
          at,
        })
        return verifyProvenance(bundle(named), expected)
      },
      'signature.mismatch',
      'built by vouchsafe:build-identity',
    ],
    [
      'that is another statement by that key',
      () => {
        const sbom = writeStatement({ subjects: [{ digest }], predicateType: PREDICATES.spdx, predicate: {} })
        return verifyProvenance(bundle(sbom), expected)
      },
      'signature.mismatch',
      'no provenance',
    ],
  ])('CS-04 %s is refused', (_what, verify, code, message) => {
    expect(verify).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }))
  })

  type Json = Record<string, any>
  test.each<[string, (predicate: Json) => void, string]>([
    [
      'a parameter that nobody knows',
      (p) => (p['buildDefinition'].externalParameters.patch = 'x'),
      'externalParameters',
    ],
    ['an internal parameter', (p) => (p['buildDefinition'].internalParameters.debug = true), 'internalParameters'],
    ['another build type', (p) => (p['buildDefinition'].buildType = 'x'), 'buildType'],
    ['no commit', (p) => delete p['buildDefinition'].externalParameters.commit, 'commit'],
    ['no materials', (p) => (p['buildDefinition'].resolvedDependencies = []), 'resolvedDependencies'],
    ['a third material', (p) => p['buildDefinition'].resolvedDependencies.push({}), 'resolvedDependencies'],
    [
      'a commit beside the one asked for',
      (p) => (p['buildDefinition'].resolvedDependencies[0].digest.gitCommit = root),
      'asked for',
    ],
    ['no time', (p) => delete p['runDetails'].metadata.finishedOn, 'finishedOn'],
    ['by-products', (p) => (p['runDetails'].byproducts = []), 'runDetails'],
  ])('CS-04 with %s is refused', (_what, change, message) => {
    const predicate = structuredClone(parseStatement(statement).predicate) as Json
    parseProvenance(predicate)
    change(predicate)
    expect(() => parseProvenance(predicate)).toThrow(
      expect.objectContaining({ code: 'statement.malformed', message: expect.stringContaining(message) }),
    )
  })
})

describe('a build identity', () => {
  const json = () => JSON.parse(writeBuildIdentity(identity)) as Record<string, unknown>
  const parse = (value: unknown) => parseBuildIdentity(new TextEncoder().encode(JSON.stringify(value)))

  test('CS-04 is one key for one repository', () => {
    expect(parse(json())).toEqual({ ...identity, key: expect.objectContaining({ id: key.public.id }) })
  })

  test.each<[string, object, string]>([
    ['a second key', { keys: [] }, 'document.malformed'],
    ['no source', { source: undefined }, 'document.malformed'],
    ['a source with a user', { source: 'git+https://me:pw@git.example/app' }, 'document.malformed'],
    ['a source with a commit', { source: 'git+https://git.example/app#main' }, 'document.malformed'],
    ['a short root', { rootCommit: 'abc' }, 'document.malformed'],
    ['another version', { vouchsafe: 'build-identity/v2' }, 'document.malformed'],
    ['a private key', { key: key.public.id }, 'key.malformed'],
  ])('CS-04 with %s is refused', (_what, change, code) => {
    expect(() => parse({ ...json(), ...change })).toThrow(expect.objectContaining({ code }))
  })
})
