import { contextTag, DerReader, latin1, TAG } from './der.ts'
import { readName, type Name } from './name.ts'
import { OID } from './oids.ts'

export interface Extension {
  readonly oid: string
  readonly critical: boolean
  /** What the OCTET STRING holds. Not DER for every extension: AMD's HWID is raw bytes. */
  readonly value: Uint8Array
}

export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
export type KeyUsage = (typeof KEY_USAGES)[number]

export interface AlternativeNames {
  readonly dns: readonly string[]
  readonly uris: readonly string[]
  readonly directoryNames: readonly Name[]
  /** Tag numbers of the general names that are of none of the kinds above. */
  readonly otherTags: readonly number[]
}

/** The standard extensions, read. Absent means that the certificate does not carry it. */
export interface StandardExtensions {
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number }
  readonly keyUsage?: ReadonlySet<KeyUsage>
  readonly extendedKeyUsage?: readonly string[]
  readonly subjectKeyId?: Uint8Array
  readonly authorityKeyId?: Uint8Array
  readonly subjectAlternativeNames?: AlternativeNames
}

/** Reads `Extensions`. An OID that stands there twice is refused: one reader takes the first, another the last (D06). */
export function readExtensions(outer: DerReader): ReadonlyMap<string, Extension> {
  const list = outer.sequence('extensions')
  const extensions = new Map<string, Extension>()
  do {
    const r = list.sequence('Extension')
    const oid = r.oid('extnID')
    let critical = false
    if (r.peek() === TAG.boolean) {
      critical = r.boolean('critical')
      if (!critical) throw r.malformed('critical', 'default value encoded')
    }
    const value = r.octetString('extnValue')
    r.end()
    if (extensions.has(oid)) throw list.malformed('Extension', `${oid} twice`)
    if (extensions.size === 64) throw list.malformed('Extension', 'over 64 extensions')
    extensions.set(oid, { oid, critical, value })
  } while (!list.done)
  return extensions
}

/** @source RFC 5280 section 4.2.1 */
export function readStandardExtensions(what: string, extensions: ReadonlyMap<string, Extension>): StandardExtensions {
  const read = <T>(oid: string, name: string, parse: (r: DerReader) => T): T | undefined => {
    const extension = extensions.get(oid)
    if (extension === undefined) return undefined
    const r = new DerReader(`${what}: ${name}`, extension.value)
    const value = parse(r)
    r.end()
    return value
  }
  const found: { -readonly [K in keyof StandardExtensions]: StandardExtensions[K] } = {}
  const basicConstraints = read(OID.basicConstraints, 'basicConstraints', readBasicConstraints)
  if (basicConstraints !== undefined) found.basicConstraints = basicConstraints
  const keyUsage = read(OID.keyUsage, 'keyUsage', readKeyUsage)
  if (keyUsage !== undefined) found.keyUsage = keyUsage
  const extendedKeyUsage = read(OID.extendedKeyUsage, 'extKeyUsage', readExtendedKeyUsage)
  if (extendedKeyUsage !== undefined) found.extendedKeyUsage = extendedKeyUsage
  const subjectKeyId = read(OID.subjectKeyIdentifier, 'subjectKeyIdentifier', readKeyId)
  if (subjectKeyId !== undefined) found.subjectKeyId = subjectKeyId
  const authorityKeyId = read(OID.authorityKeyIdentifier, 'authorityKeyIdentifier', readAuthorityKeyId)
  if (authorityKeyId !== undefined) found.authorityKeyId = authorityKeyId
  const names = read(OID.subjectAltName, 'subjectAltName', readGeneralNames)
  if (names !== undefined) found.subjectAlternativeNames = names
  return found
}

function readKeyId(r: DerReader): Uint8Array {
  return r.octetString('keyIdentifier')
}

function readBasicConstraints(outer: DerReader): { ca: boolean; pathLength?: number } {
  const r = outer.sequence('BasicConstraints')
  const ca = r.peek() === TAG.boolean && r.boolean('cA')
  const pathLength = r.peek() === TAG.integer ? r.smallInteger('pathLenConstraint', 255) : undefined
  r.end()
  if (pathLength !== undefined && !ca) throw r.malformed('pathLenConstraint', 'on a certificate that is no CA')
  return pathLength === undefined ? { ca } : { ca, pathLength }
}

function readKeyUsage(r: DerReader): ReadonlySet<KeyUsage> {
  const usages = r.bitNames('KeyUsage').map((bit) => {
    const usage = KEY_USAGES[bit]
    if (usage === undefined) throw r.malformed('KeyUsage', `bit ${bit} has no meaning`)
    return usage
  })
  if (usages.length === 0) throw r.malformed('KeyUsage', 'no usage at all')
  return new Set(usages)
}

function readExtendedKeyUsage(outer: DerReader): readonly string[] {
  const r = outer.sequence('ExtKeyUsageSyntax')
  const oids: string[] = []
  do oids.push(r.oid('KeyPurposeId'))
  while (!r.done)
  return oids
}

function readAuthorityKeyId(outer: DerReader): Uint8Array | undefined {
  const r = outer.sequence('AuthorityKeyIdentifier')
  const keyId = r.optional('keyIdentifier', contextTag(0))?.content
  // issuer and serial may follow; they only help to find an issuer, and we do not need the help
  r.optional('authorityCertIssuer', contextTag(1, 'constructed'))
  r.optional('authorityCertSerialNumber', contextTag(2))
  r.end()
  return keyId
}

function readGeneralNames(outer: DerReader): AlternativeNames {
  const r = outer.sequence('GeneralNames')
  const dns: string[] = []
  const uris: string[] = []
  const directoryNames: Name[] = []
  const otherTags: number[] = []
  do {
    if (r.peek() === contextTag(4, 'constructed')) {
      const explicit = r.inside('directoryName', contextTag(4, 'constructed'))
      directoryNames.push(readName(explicit, 'directoryName'))
      explicit.end()
      continue
    }
    const { tag, content } = r.any('GeneralName')
    if (tag === contextTag(2)) dns.push(latin1(content))
    else if (tag === contextTag(6)) uris.push(latin1(content))
    else if ((tag & 0xc0) === 0x80) otherTags.push(tag & 0x1f)
    else throw r.malformed('GeneralName', `tag 0x${tag.toString(16)}`)
  } while (!r.done)
  return { dns, uris, directoryNames, otherTags }
}

/** URLs at which the issuer's certificate is offered. A hint from the certificate's maker: fetch with care, trust nothing. */
export function caIssuerUrls(extensions: ReadonlyMap<string, Extension>): readonly string[] {
  const extension = extensions.get(OID.authorityInfoAccess)
  if (extension === undefined) return []
  const outer = new DerReader('authorityInfoAccess', extension.value)
  const r = outer.sequence('AuthorityInfoAccessSyntax')
  outer.end()
  const urls: string[] = []
  while (!r.done) {
    const description = r.sequence('AccessDescription')
    const method = description.oid('accessMethod')
    const { tag, content } = description.any('accessLocation')
    description.end()
    if (method === OID.caIssuers && tag === contextTag(6)) urls.push(latin1(content))
  }
  return urls
}
