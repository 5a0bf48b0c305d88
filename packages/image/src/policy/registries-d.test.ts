import path from 'node:path'
import { missingVectors, readVector, readVectorText, vectorsRoot } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { parseDigest } from '../oci/digest.ts'
import { parseReference } from '../oci/reference.ts'
import { lookasideUrl, mergeRegistriesD, readRegistriesD, storesFor } from './registries-d.ts'

const file = (text: string, what = 'a.yaml') => ({ what, bytes: new TextEncoder().encode(text) })
const app = parseReference('registry.example/team/app:1')

describe.skipIf(missingVectors())('GU-09 recorded look-ups of registries.d', () => {
  interface Recorded {
    readonly registries_d_lookup: {
      readonly configured: readonly string[]
      readonly default: string
      readonly cases: readonly (readonly [string, string])[]
    }
    readonly lookaside_url: {
      readonly digest: string
      readonly cases: readonly (readonly [string, number, string])[]
      readonly must_reject_digest: string
    }
    readonly guest_components: { readonly sigstore_path: readonly (readonly [string, string, string])[] }
  }
  const recorded = missingVectors()
    ? undefined
    : (JSON.parse(readVectorText('guest/inline/expectations.json')) as Recorded)
  const { configured = [], cases = [] } = recorded?.registries_d_lookup ?? {}
  const lines = configured.map((name) => `  "${name}": {lookaside: "https://x/${encodeURIComponent(name)}"}`)
  const config = mergeRegistriesD([
    file(`default-docker: {lookaside: "https://x/=default"}\ndocker:\n${lines.join('\n')}\n`),
  ])
  test.each(cases)('%s is found under %s', (image, wanted) => {
    const encoded = wanted === '=default' ? wanted : encodeURIComponent(wanted)
    expect(storesFor(config, parseReference(image)).lookaside).toBe(`https://x/${encoded}`)
  })

  test('addresses of signatures, and no path from a digest that is none', () => {
    const { digest, cases: urls, must_reject_digest } = recorded!.lookaside_url
    for (const [base, index, wanted] of urls)
      expect(lookasideUrl(base, '', parseDigest(digest), index + 1)).toBe(wanted)
    expect(() => parseDigest(must_reject_digest)).toThrow(expect.objectContaining({ code: 'digest.malformed' }))
    for (const [image, of, wanted] of recorded!.guest_components.sigstore_path)
      expect(lookasideUrl('file:///s', parseReference(image).path, parseDigest(of), 1)).toBe(
        `file:///s/${wanted}/signature-1`,
      )
  })

  const guest = 'guest/guest-components/image-rs/test_data/signature/sigstore_config'
  test('guest configurations give the stores that their makers state; what two files say is refused', async () => {
    const of = async (name: string) => readRegistriesD(path.join(vectorsRoot, guest, name))
    // these two hold the same entry twice, which the original guest overlooks and the reference refuses
    for (const name of ['test_case_1', 'test_case_2', 'test_case_3'])
      await of(name).then(
        (read) => expect(read.docker.size + (read.default === undefined ? 0 : 1)).toBeGreaterThan(0),
        (error: unknown) => expect(error).toMatchObject({ code: 'policy.malformed', message: /as well/ }),
      )
    const merged = mergeRegistriesD([{ what: 'res', bytes: readVector(`${guest}/get_base_url/res.yaml`) }])
    const base = (image: string) => storesFor(merged, parseReference(image)).lookaside
    expect(base('example1.com/a/b:1')).toBe('file:///var/lib/containers/sigstore')
    expect(base('example2.com/a/b:1')).toBe('file:///var/lib/containers/sigstore')
    expect(base('example3.com/a/b:1')).toBe('file:///default/sigstore')
  })

  test('the reference’s example directory reads, and what is no .yaml is left alone', async () => {
    const read = await readRegistriesD(path.join(vectorsRoot, 'guest/containers-image/docker/fixtures/registries.d'))
    expect(read.docker.size).toBeGreaterThan(3)
    expect(read.default).toBeDefined()
  })
})

test('GU-09 nothing configured means no store and no look at tags', async () => {
  expect(storesFor(await readRegistriesD('/nonexistent/registries.d'), app)).toEqual({ useSigstoreAttachments: false })
})

test('lookaside counts before its older name, and where others write to is not read', () => {
  const of = (entry: string) => storesFor(mergeRegistriesD([file(`docker: {registry.example: {${entry}}}`)]), app)
  const old = 'sigstore: "https://s", sigstore-staging: "https://ss"'
  expect(of(`lookaside: "https://l", lookaside-staging: "https://ls", ${old}`).lookaside).toBe('https://l')
  expect(of(old).lookaside).toBe('https://s')
  expect(of('lookaside-staging: "https://ls", use-sigstore-attachments: true')).toEqual({
    useSigstoreAttachments: true,
  })
})

test.each([
  ['an unknown member', 'docker: {a.example: {lookasid: "https://x"}}', 'Unrecognized key'],
  ['an unknown section', 'podman: {}', 'Unrecognized key'],
  ['a namespace twice', 'docker: {a.example: {}, a.example: {}}', 'unique'],
  ['a word for yes', 'docker: {a.example: {use-sigstore-attachments: "yes"}}', 'use-sigstore-attachments'],
])('GU-29 registries.d with %s is refused, with the name of the file', (_what, text, message) => {
  expect(() => mergeRegistriesD([file(text, '/etc/x.yaml')])).toThrow(
    expect.objectContaining({
      code: 'policy.malformed',
      message: expect.stringMatching(new RegExp(`^/etc/x.yaml: .*${message}`, 's')),
    }),
  )
})

test.each(['ftp://x', ':x', 'x', 'https://x/sigs?of=all', 'file:///sigs#1'])(
  'GU-29 the store %j is refused when it is to be used, and only then',
  (lookaside) => {
    const config = mergeRegistriesD([file(`docker: {a.example: {lookaside: ${JSON.stringify(lookaside)}}}`)])
    expect(storesFor(config, app)).toEqual({ useSigstoreAttachments: false })
    expect(() => storesFor(config, parseReference('a.example/b:1'))).toThrow(
      expect.objectContaining({ code: 'policy.malformed', message: expect.stringContaining(lookaside) }),
    )
  },
)

test.each([
  ['an alias', 'default-docker: &a {lookaside: file:///x}\ndocker: {a.example: *a}'],
  ['a name that is no text', 'docker: {? {a: 1} : {lookaside: file:///x}}'],
  ['a tag that nobody knows', 'docker: {a.example: !own {lookaside: file:///x}}'],
  ['a name twice', 'docker: {a.example: {lookaside: file:///x}, a.example: {}}'],
  ['bytes that are no UTF-8', Uint8Array.of(0x64, 0xff)],
])('GU-29 %s is refused', (_what, file) => {
  const bytes = typeof file === 'string' ? new TextEncoder().encode(file) : file
  expect(() => mergeRegistriesD([{ what: 'a.yaml', bytes }])).toThrow(
    expect.objectContaining({ code: 'policy.malformed', message: expect.stringMatching(/^a\.yaml: /) }),
  )
})

test('GU-29 the same namespace in two files is refused with both names', () => {
  const twice = [file('docker: {a.example: {}}', 'a.yaml'), file('docker: {a.example: {}}', 'b.yaml')]
  expect(() => mergeRegistriesD(twice)).toThrow('b.yaml: docker.a.example is in a.yaml as well')
  const defaults = [file('default-docker: {}', 'a.yaml'), file('default-docker: {}', 'b.yaml')]
  expect(() => mergeRegistriesD(defaults)).toThrow('b.yaml: default-docker is in a.yaml as well')
})

test('GU-09 a wildcard speaks for the hosts below it, after all that is named, as skopeo has it', () => {
  const config = mergeRegistriesD([
    file(`docker:
  "*.example": {lookaside: "https://wide"}
  "*.team.example": {lookaside: "https://team", use-sigstore-attachments: true}
  "a.team.example:5000": {lookaside: "https://host"}
`),
  ])
  const of = (image: string) => storesFor(config, parseReference(image))
  expect(of('b.team.example:5000/x:1')).toMatchObject({ lookaside: 'https://team', useSigstoreAttachments: true })
  expect(of('a.team.example:5000/x:1')).toMatchObject({ lookaside: 'https://host', useSigstoreAttachments: true })
  expect(of('team.example/x:1').lookaside).toBe('https://wide')
  expect(of('example/x:1').lookaside).toBeUndefined()
})

test('a namespace is found in whatever case its host was written, and is one with its other spellings', () => {
  const upper = 'docker: {"Registry.Example/team": {lookaside: "https://x/sigs"}}'
  expect(storesFor(mergeRegistriesD([file(upper)]), app).lookaside).toBe('https://x/sigs')
  const again = file('docker: {"registry.example/team": {lookaside: "https://y/sigs"}}', 'b.yaml')
  expect(() => mergeRegistriesD([file(upper), again])).toThrow(
    expect.objectContaining({ code: 'policy.malformed', message: expect.stringContaining('a.yaml as well') }),
  )
})
