import { within } from '../contract.ts'
import { instantOf } from '../time/calendar.ts'
import { malformed, readDer, readDerSequence, TAG, type DerNode } from './der.ts'
import { parseName, type Name } from './names.ts'

export type Extension = {
  readonly id: string
  readonly critical: boolean
  readonly value: Uint8Array<ArrayBuffer>
}

export type PublicKeyInfo = {
  readonly raw: Uint8Array<ArrayBuffer>
  readonly algorithm: string
  /** The named curve of an EC key. */
  readonly curve: string | undefined
  readonly key: Uint8Array<ArrayBuffer>
}

export type Certificate = {
  readonly raw: Uint8Array<ArrayBuffer>
  readonly tbs: Uint8Array<ArrayBuffer>
  readonly version: number
  readonly serial: bigint
  readonly issuer: Name
  readonly subject: Name
  /** Nanoseconds since 1970. */
  readonly notBefore: bigint
  readonly notAfter: bigint
  readonly publicKey: PublicKeyInfo
  readonly extensions: readonly Extension[]
  readonly signatureAlgorithm: DerNode
  readonly signature: Uint8Array<ArrayBuffer>
}

const MALFORMED = 'x509: malformed certificate'

/** Reads a certificate. Nothing is authenticated by this. */
export function parseCertificate(bytes: Uint8Array<ArrayBuffer>): Certificate {
  return within(MALFORMED, () => certificateOf(readDer(bytes)))
}

/** Reads certificates that stand one behind the other. */
export function parseCertificates(bytes: Uint8Array<ArrayBuffer>): Certificate[] {
  return within(MALFORMED, () => readDerSequence(bytes).map(certificateOf))
}

function certificateOf(node: DerNode): Certificate {
  const [tbs, algorithm, signature, extra] = node.expect(TAG.sequence).children()
  if (tbs === undefined || algorithm === undefined || signature === undefined || extra !== undefined) {
    throw malformed('a certificate has three parts')
  }
  const fields = tbs.expect(TAG.sequence).children()
  const versionField = fields[0]?.tag === 0xa0 ? fields.shift() : undefined
  const [serial, innerAlgorithm, issuer, validity, subject, keyInfo, ...optional] = fields
  if (
    serial === undefined ||
    innerAlgorithm === undefined ||
    issuer === undefined ||
    validity === undefined ||
    subject === undefined ||
    keyInfo === undefined
  ) {
    throw malformed('a certificate lacks fields')
  }
  if (!sameBytes(innerAlgorithm.raw, algorithm.raw)) throw malformed('inner and outer signature algorithms differ')
  // unique identifiers of issuer and subject, then extensions; nothing else, each at most once, in this order
  const tags = optional.map((f) => f.tag)
  if (!/^(?:129,)?(?:130,)?(?:163,)?$/.test(tags.map((tag) => `${tag},`).join(''))) throw malformed('unknown field')
  const [notBefore, notAfter] = validity.expect(TAG.sequence).children()
  if (notBefore === undefined || notAfter === undefined) throw malformed('validity')
  return {
    raw: node.raw,
    tbs: tbs.raw,
    version: versionField === undefined ? 1 : Number(only(versionField).integer()) + 1,
    serial: serial.integer(),
    issuer: parseName(issuer),
    subject: parseName(subject),
    notBefore: parseDerTime(notBefore),
    notAfter: parseDerTime(notAfter),
    publicKey: parsePublicKeyInfo(keyInfo),
    extensions: parseExtensions(optional.find((f) => f.tag === 0xa3)),
    signatureAlgorithm: algorithm.expect(TAG.sequence),
    signature: signature.bits(),
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}

/** The element inside an explicit tag. */
export function only(node: DerNode): DerNode {
  const [inner, extra] = node.children()
  if (inner === undefined || extra !== undefined) throw malformed('one element was expected')
  return inner
}

export function parsePublicKeyInfo(node: DerNode): PublicKeyInfo {
  const [algorithm, key] = node.expect(TAG.sequence).children()
  const [id, parameters] = algorithm?.expect(TAG.sequence).children() ?? []
  if (id === undefined || key === undefined) throw malformed('public key')
  return {
    raw: node.raw,
    algorithm: id.oid(),
    curve: parameters?.tag === TAG.oid ? parameters.oid() : undefined,
    key: key.bits(),
  }
}

function parseExtensions(field: DerNode | undefined): Extension[] {
  return field === undefined ? [] : extensionsOf(only(field))
}

/** The extensions in a sequence of them. */
export function extensionsOf(sequence: DerNode): Extension[] {
  return sequence
    .expect(TAG.sequence)
    .children()
    .map((extension) => {
      const [id, second, third] = extension.expect(TAG.sequence).children()
      const value = third ?? second
      if (id === undefined || second === undefined || value === undefined) throw malformed('extension')
      const critical = third !== undefined && second.boolean()
      return { id: id.oid(), critical, value: value.expect(TAG.octetString).content }
    })
}

const UTC_TIME = 23
const GENERALIZED_TIME = 24

/** UTCTime or GeneralizedTime in the forms that certificates may use: whole seconds, Z. */
function parseDerTime(node: DerNode): bigint {
  const text = String.fromCharCode(...node.content)
  const m = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text)
  const [, yearText = '', ...rest] = m ?? []
  const wanted = node.tag === UTC_TIME ? 2 : node.tag === GENERALIZED_TIME ? 4 : 0
  if (m === null || yearText.length !== wanted) throw malformed('time')
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = rest.map(Number)
  const short = Number(yearText)
  const year = wanted === 4 ? short : short < 50 ? 2000 + short : 1900 + short
  return instantOf(year, month, day, { hour, minute, second, nanosecond: 0 }, 0)
}
