import { createHash } from 'node:crypto'
import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library'
import { PackageURL } from 'packageurl-js'
import type { InstalledPackage } from '../../diff/packages.ts'
import { type Digest, digestHex } from '../../oci/digest.ts'
import { PREDICATES } from '../statement.ts'
import type { ListedContents } from './list-contents.ts'

export type SbomFormat = 'spdx' | 'cyclonedx'

/** What a list of contents is about. The same input gives the same bytes. */
export interface SbomSubject {
  readonly digest: Digest
  /** `registry.example/team/app` */
  readonly name: string
  /** When the list was made, or the image: whoever wants reproducible lists gives the image's own time. */
  readonly at: Date
}

/** An SBOM as the predicate of a statement. */
export interface Sbom {
  readonly format: SbomFormat
  readonly predicateType: string
  readonly document: object
}

/** @source SPDX 2.3, JSON; CycloneDX 1.6, JSON; package URL specification */
export function writeSbom(format: SbomFormat, subject: SbomSubject, contents: ListedContents): Sbom {
  const document = format === 'spdx' ? spdx(subject, contents) : cyclonedx(subject, contents)
  return { format, predicateType: PREDICATES[format], document }
}

/** `pkg:deb/debian/libc6@2.36-9?arch=amd64` */
export function packageUrl(one: InstalledPackage, distribution: string | undefined): string {
  const { name, version, architecture } = one
  if (one.system === 'npm') {
    const slash = name.startsWith('@') ? name.indexOf('/') : -1
    const namespace = slash < 0 ? undefined : name.slice(0, slash)
    return new PackageURL('npm', namespace, name.slice(slash + 1), version, undefined, undefined).toString()
  }
  const namespace = distribution ?? (one.system === 'deb' ? 'debian' : 'alpine')
  const qualifiers = architecture === undefined ? undefined : { arch: architecture }
  return new PackageURL(one.system, namespace, name, version, qualifiers, undefined).toString()
}

/** Of a package in its document. Its URL would not do: npm's of two packages that differ by capitals is the same. */
function idOf(one: InstalledPackage): string {
  const named = JSON.stringify([one.system, one.name, one.version, one.architecture])
  return `package-${createHash('sha256').update(named).digest('hex').slice(0, 24)}`
}

function imageUrl({ name, digest }: SbomSubject): string {
  const short = name.slice(name.lastIndexOf('/') + 1)
  return new PackageURL('oci', undefined, short, digest, { repository_url: name }, undefined).toString()
}

function spdx(subject: SbomSubject, { packages, distribution }: ListedContents): object {
  const root = 'SPDXRef-image'
  const listed = packages.map((one) => ({ one, id: `SPDXRef-${idOf(one)}`, purl: packageUrl(one, distribution) }))
  const described = {
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: 'NOASSERTION',
    copyrightText: 'NOASSERTION',
  }
  const reference = (referenceLocator: string) => [
    { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator },
  ]
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: subject.name,
    documentNamespace: `urn:vouchsafe:sbom:${subject.digest}`,
    creationInfo: { created: seconds(subject.at), creators: ['Tool: vouchsafe-0.1.0'] },
    packages: [
      {
        SPDXID: root,
        name: subject.name,
        versionInfo: subject.digest,
        primaryPackagePurpose: 'CONTAINER',
        ...described,
        checksums: [{ algorithm: subject.digest.slice(0, 6).toUpperCase(), checksumValue: digestHex(subject.digest) }],
        externalRefs: reference(imageUrl(subject)),
      },
      ...listed.map(({ id, purl, one }) => ({
        SPDXID: id,
        name: one.name,
        versionInfo: one.version,
        ...described,
        externalRefs: reference(purl),
      })),
    ],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: root },
      ...listed.map(({ id }) => ({ spdxElementId: root, relationshipType: 'CONTAINS', relatedSpdxElement: id })),
    ],
  }
}

function cyclonedx(subject: SbomSubject, { packages, distribution }: ListedContents): object {
  const url = imageUrl(subject)
  const component = new Models.Component(Enums.ComponentType.Container, subject.name, {
    version: subject.digest,
    bomRef: url,
  })
  const bom = new Models.Bom({ metadata: new Models.Metadata({ component, timestamp: new Date(seconds(subject.at)) }) })
  for (const one of packages) {
    const purl = packageUrl(one, distribution)
    const slash = one.name.startsWith('@') ? one.name.indexOf('/') : -1
    bom.components.add(
      new Models.Component(Enums.ComponentType.Library, one.name.slice(slash + 1), {
        ...(slash < 0 ? {} : { group: one.name.slice(0, slash) }),
        version: one.version,
        bomRef: idOf(one),
        purl,
      }),
    )
  }
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6))
  return JSON.parse(serializer.serialize(bom, { sortLists: true })) as object
}

function seconds(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, 'Z')
}
