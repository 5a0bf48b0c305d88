import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDigest } from '../../oci/digest.ts'
import { resolveImage } from '../../oci/chain.ts'
import { image } from '../../testing/pull.ts'
import { file } from '../../testing/unpack.ts'
import { describeContents, listContents } from './list-contents.ts'
import { packageUrl, writeSbom } from './write-sbom.ts'

const PLATFORM = { platform: { os: 'linux', architecture: 'amd64' } }
const DPKG = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u7

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
`
const APK = `P:musl
V:1.2.4-r2
A:x86_64

P:zlib
V:1.3-r0
A:x86_64
`
const LOCK = JSON.stringify({
  lockfileVersion: 3,
  packages: {
    '': { name: 'app' },
    'node_modules/@scope/kept': { version: '2.0.0' },
    'node_modules/a/node_modules/inner': { version: '1.1.0' },
    'node_modules/tool': { version: '9.0.0', dev: true },
    'node_modules/linked': { link: true, version: '1.0.0' },
  },
})
const files = (record: Record<string, string>) =>
  new Map(Object.entries(record).map(([path, text]) => [path, new TextEncoder().encode(text)]))
const subject = {
  digest: parseDigest(`sha256:${'a'.repeat(64)}`),
  name: 'registry.example/team/app',
  at: new Date('2026-11-01T12:00:00.500Z'),
}
const names = (record: Record<string, string>) =>
  describeContents(files(record)).packages.map(({ system, name, version }) => `${system} ${name} ${version}`)

describe('CS-08 what an image holds', () => {
  test('Debian: what is installed, not what left its settings behind', () => {
    expect(names({ 'var/lib/dpkg/status': DPKG })).toEqual(['deb libc6 2.36-9+deb12u7'])
  })

  test('Alpine', () => {
    expect(names({ 'lib/apk/db/installed': APK })).toEqual(['apk musl 1.2.4-r2', 'apk zlib 1.3-r0'])
  })

  test('npm: what is installed counts; a lock only where nothing is', () => {
    const kept = '{"name":"kept","version":"2.1.0"}'
    const lock = { 'app/package-lock.json': LOCK }
    expect(names(lock)).toEqual(['npm @scope/kept 2.0.0', 'npm inner 1.1.0'])
    expect(names({ ...lock, 'app/node_modules/kept/package.json': kept })).toEqual(['npm kept 2.1.0'])
    expect(names({ 'other/package-lock.json': '{', 'p/package-lock.json': '{"packages":7}' })).toEqual([])
  })

  test('a package that calls itself nothing, as fixtures inside packages do, is none', () => {
    const nameless = {
      'app/node_modules/kept/package.json': '{"name":"kept","version":"2.1.0"}',
      'app/node_modules/kept/test/node_modules/x/package.json': '{"name":"","version":"1.0.0"}',
      'var/lib/dpkg/status': 'Package:\nVersion: 1.0\n',
    }
    expect(names(nameless)).toEqual(['npm kept 2.1.0'])
    const lock = JSON.stringify({ packages: { 'node_modules/': { version: '1' }, 'node_modules/y': { version: '' } } })
    expect(names({ 'app/package-lock.json': lock })).toEqual([])
    const contents = describeContents(files(nameless))
    for (const format of ['spdx', 'cyclonedx'] as const)
      expect(JSON.stringify(writeSbom(format, subject, contents).document)).toContain('pkg:npm/kept@2.1.0')
  })

  test('a package by a name that npm would not take is none: whatever an image holds, its list is written', () => {
    const odd = ['@scope/', '@scope', 'a/b/c', 'a b', '\ud800', '@s/\udfff']
    const inside = Object.fromEntries(
      odd.map((name, i) => [`app/node_modules/${i}/package.json`, JSON.stringify({ name, version: '1.0.0' })]),
    )
    const locked = Object.fromEntries(odd.map((name) => [`node_modules/${name}`, { version: '1.0.0' }]))
    const lock = { 'app/package-lock.json': JSON.stringify({ packages: locked }) }
    expect(names(inside)).toEqual([])
    expect(names(lock)).toEqual([])
    expect(names({ 'app/node_modules/x/package.json': '{"name":"x","version":"\\ud800"}' })).toEqual([])
    expect(names({ 'lib/apk/db/installed': 'P: \nV:1\n' })).toEqual([])
  })

  test('read from the verified layers of an image, with removals of later layers', async () => {
    const { source, digest } = await image([
      [
        file('lib/apk/db/installed', APK),
        file('etc/os-release', 'NAME=x\nID=alpine\n'),
        file('app/package-lock.json', LOCK),
      ],
      [file('app/.wh.package-lock.json', '')],
    ])
    const contents = await listContents(source, await resolveImage(source, digest, PLATFORM))
    expect(contents.distribution).toBe('alpine')
    expect(contents.packages.map(({ name }) => name)).toEqual(['musl', 'zlib'])
  })
})

test('package URLs name distribution, scope and architecture', () => {
  expect(packageUrl({ system: 'deb', name: 'libc6', version: '2.36-9', architecture: 'amd64' }, 'ubuntu')).toBe(
    'pkg:deb/ubuntu/libc6@2.36-9?arch=amd64',
  )
  expect(packageUrl({ system: 'apk', name: 'musl', version: '1' }, undefined)).toBe('pkg:apk/alpine/musl@1')
  expect(packageUrl({ system: 'npm', name: '@scope/kept', version: '2.0.0' }, 'debian')).toBe(
    'pkg:npm/%40scope/kept@2.0.0',
  )
})

describe('CS-08 CS-09 SBOM documents', () => {
  const contents = describeContents(
    files({ 'var/lib/dpkg/status': DPKG, 'app/package-lock.json': LOCK, 'etc/os-release': 'ID=debian\n' }),
  )

  test('SPDX 2.3: the image contains each package, by an id of its own', () => {
    const { document, predicateType } = writeSbom('spdx', subject, contents)
    expect(predicateType).toBe('https://spdx.dev/Document')
    expect(document).toMatchObject({
      spdxVersion: 'SPDX-2.3',
      dataLicense: 'CC0-1.0',
      SPDXID: 'SPDXRef-DOCUMENT',
      documentNamespace: `urn:vouchsafe:sbom:${subject.digest}`,
      creationInfo: { created: '2026-11-01T12:00:00Z', creators: ['Tool: vouchsafe-0.1.0'] },
    })
    const { packages, relationships } = document as {
      packages: { SPDXID: string; name: string; externalRefs: { referenceLocator: string }[] }[]
      relationships: { relationshipType: string; relatedSpdxElement: string }[]
    }
    expect(packages.map(({ externalRefs }) => externalRefs[0]?.referenceLocator)).toEqual([
      `pkg:oci/app@sha256:${'a'.repeat(64)}?repository_url=registry.example%2Fteam%2Fapp`,
      'pkg:deb/debian/libc6@2.36-9+deb12u7?arch=amd64',
      'pkg:npm/%40scope/kept@2.0.0',
      'pkg:npm/inner@1.1.0',
    ])
    expect(new Set(packages.map(({ SPDXID }) => SPDXID)).size).toBe(4)
    expect(packages.every(({ SPDXID }) => /^SPDXRef-[A-Za-z0-9.-]+$/.test(SPDXID))).toBe(true)
    expect(relationships.map(({ relatedSpdxElement }) => relatedSpdxElement)).toEqual(
      packages.map(({ SPDXID }) => SPDXID),
    )
  })

  test('CycloneDX 1.6: components with package URLs, about the image', () => {
    const { document, predicateType } = writeSbom('cyclonedx', subject, contents)
    expect(predicateType).toBe('https://cyclonedx.org/bom')
    expect(document).toMatchObject({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      metadata: { component: { type: 'container', name: subject.name, version: subject.digest } },
    })
    const { components } = document as { components: { name: string; group?: string; purl: string }[] }
    expect(components.map(({ group, name }) => `${group ?? ''}/${name}`).sort()).toEqual([
      '/inner',
      '/libc6',
      '@scope/kept',
    ])
  })

  test('two packages of one package URL, as npm once had with capitals, keep an id each, the same every time', () => {
    const twins = ['JSONStream', 'jsonstream'].map((name) => ({ system: 'npm', name, version: '1.0.0' }) as const)
    const write = (format: 'spdx' | 'cyclonedx') => writeSbom(format, subject, { packages: twins }).document
    const { packages } = write('spdx') as { packages: { SPDXID: string }[] }
    expect(new Set(packages.map(({ SPDXID }) => SPDXID)).size).toBe(3)
    const { components } = write('cyclonedx') as { components: { 'bom-ref': string }[] }
    expect(new Set(components.map((component) => component['bom-ref'])).size).toBe(2)
    expect(write('cyclonedx')).toEqual(write('cyclonedx'))
  })

  test('whatever packages call themselves, both documents are written', () => {
    const word = fc.string({
      unit: fc.constantFrom('a', 'É', '@', '/', ' ', '%', '?', '#', '\t', '\ud800'),
      maxLength: 5,
    })
    const packages = fc.array(fc.record({ name: word, version: word }), { maxLength: 4 })
    const database = (all: readonly { name: string; version: string }[]) =>
      files({
        ...Object.fromEntries(all.map((one, i) => [`app/node_modules/p${i}/package.json`, JSON.stringify(one)])),
        'lib/apk/db/installed': all.map(({ name, version }) => `P:${name}\nV:${version}\n`).join('\n'),
        'var/lib/dpkg/status': all.map(({ name, version }) => `Package: ${name}\nVersion: ${version}\n`).join('\n'),
      })
    fc.assert(
      fc.property(packages, (all) => {
        const listed = describeContents(database(all))
        for (const format of ['spdx', 'cyclonedx'] as const) writeSbom(format, subject, listed)
      }),
      { numRuns: 300, seed: 7 },
    )
  })

  test('the same image gives the same bytes', () => {
    for (const format of ['spdx', 'cyclonedx'] as const)
      expect(JSON.stringify(writeSbom(format, subject, contents))).toBe(
        JSON.stringify(writeSbom(format, subject, contents)),
      )
  })
})
