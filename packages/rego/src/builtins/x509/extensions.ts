import { bytesToText } from '../../value/index.ts'
import { formatAddress } from '../ip.ts'
import type { Extension } from './certificate.ts'
import { readDer, TAG, type DerNode } from './der.ts'

export const EXTENSION = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
} as const

function find(extensions: readonly Extension[], id: string): DerNode | undefined {
  const found = extensions.find((e) => e.id === id)
  return found === undefined ? undefined : readDer(found.value)
}

export type BasicConstraints = { readonly isCa: boolean; readonly maxPathLength: number | undefined }

export function basicConstraints(extensions: readonly Extension[]): BasicConstraints | undefined {
  const fields = find(extensions, EXTENSION.basicConstraints)?.expect(TAG.sequence).children()
  if (fields === undefined) return undefined
  const isCa = fields[0]?.tag === TAG.boolean && fields[0].boolean()
  const length = fields.find((f) => f.tag === TAG.integer)
  return { isCa, maxPathLength: length === undefined ? undefined : Number(length.integer()) }
}

/** Bit i is usage i of RFC 5280 (digitalSignature is bit 0, keyCertSign bit 5); undefined without the extension. */
export function keyUsage(extensions: readonly Extension[]): number | undefined {
  const bytes = find(extensions, EXTENSION.keyUsage)?.bits()
  if (bytes === undefined) return undefined
  let out = 0
  for (let i = 0; i < 9; i++) if ((((bytes[i >> 3] ?? 0) >> (7 - (i & 7))) & 1) === 1) out |= 1 << i
  return out
}

export const KEY_CERT_SIGN = 1 << 5

/** Purposes as dotted identifiers; undefined without the extension, which allows all. */
export function extendedKeyUsage(extensions: readonly Extension[]): readonly string[] | undefined {
  return find(extensions, EXTENSION.extendedKeyUsage)
    ?.expect(TAG.sequence)
    .children()
    .map((n) => n.oid())
}

export type AlternativeNames = {
  readonly dns: readonly string[]
  readonly email: readonly string[]
  readonly uri: readonly string[]
  readonly ip: readonly string[]
}

export function alternativeNames(extensions: readonly Extension[]): AlternativeNames {
  const all = find(extensions, EXTENSION.alternativeNames)?.expect(TAG.sequence).children() ?? []
  const texts = (tag: number): string[] => all.filter((n) => n.tag === tag).map((n) => bytesToText(n.content))
  const addresses = all.filter((n) => n.tag === 0x87).map((n) => addressText(n.content))
  return { email: texts(0x81), dns: texts(0x82), uri: texts(0x86), ip: addresses }
}

function addressText(bytes: Uint8Array): string {
  let n = 0n
  for (const b of bytes) n = (n << 8n) | BigInt(b)
  return formatAddress(bytes.length === 4 ? 4 : 6, n)
}

export function subjectKeyId(extensions: readonly Extension[]): Uint8Array | undefined {
  return find(extensions, EXTENSION.subjectKeyId)?.expect(TAG.octetString).content
}

export function authorityKeyId(extensions: readonly Extension[]): Uint8Array | undefined {
  return find(extensions, EXTENSION.authorityKeyId)
    ?.children()
    .find((n) => n.tag === 0x80)?.content
}

/** Locations by access method: OCSP servers and issuers' certificates. */
export function authorityInfo(extensions: readonly Extension[]): {
  readonly ocsp: string[]
  readonly issuers: string[]
} {
  const entries = (find(extensions, EXTENSION.authorityInfoAccess)?.children() ?? []).map((n) => n.children())
  const locations = (method: string): string[] =>
    entries.flatMap(([id, at]) => (id?.oid() === method && at?.tag === 0x86 ? [bytesToText(at.content)] : []))
  return { ocsp: locations('1.3.6.1.5.5.7.48.1'), issuers: locations('1.3.6.1.5.5.7.48.2') }
}

export function crlDistributionPoints(extensions: readonly Extension[]): string[] {
  const points = find(extensions, EXTENSION.crlDistributionPoints)?.children() ?? []
  return points
    .flatMap((p) => p.children().filter((n) => n.tag === 0xa0))
    .flatMap((p) => p.children().filter((n) => n.tag === 0xa0))
    .flatMap((names) => names.children().filter((n) => n.tag === 0x86))
    .map((n) => bytesToText(n.content))
}

export function policyIdentifiers(extensions: readonly Extension[]): string[] {
  const policies = find(extensions, EXTENSION.certificatePolicies)?.children() ?? []
  return policies.flatMap((p) => p.children().slice(0, 1)).map((n) => n.oid())
}
