import { toHex } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { readSignatureAlgorithm, type SignatureAlgorithm } from './algorithm.ts'
import { contextTag, DerReader, TAG } from './der.ts'
import { readExtensions, type Extension } from './extensions.ts'
import { readName, type Name } from './name.ts'
import { OID } from './oids.ts'
import { sameBytes } from './same-bytes.ts'

/** A version 2 revocation list as parsed. Nothing in it is authenticated: `verifyChain` checks it. */
export interface RevocationList {
  readonly der: Uint8Array
  readonly tbs: Uint8Array
  readonly issuer: Name
  readonly thisUpdate: Date
  readonly nextUpdate: Date
  /** Grows with every list of one issuer; undefined where the issuer leaves it out. */
  readonly number?: bigint
  /** Serial number, in lower-case hexadecimal of its content octets, to the date of revocation. */
  readonly revoked: ReadonlyMap<string, Date>
  readonly extensions: ReadonlyMap<string, Extension>
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
}

const MAX_BYTES = 16 * 1024 * 1024

/**
 * Reads one certificate revocation list, strictly. Lists without `nextUpdate` are refused (nobody could tell when they
 * are stale), and so are indirect and partial lists, by their critical extensions.
 *
 * @param der - Copied.
 * @throws {VouchsafeError} `endorsement.malformed`, naming the field and its offset; `input.too-large` over 16 MiB.
 * @source RFC 5280 section 5.1
 */
export function parseRevocationList(der: Uint8Array): RevocationList {
  if (der.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `revocation list: over ${MAX_BYTES} bytes`)
  const bytes = new Uint8Array(der)
  const outer = new DerReader('revocation list', bytes)
  const r = outer.sequence('CertificateList')
  outer.end()
  const element = r.take('tbsCertList', TAG.sequence)
  const t = new DerReader('revocation list', element.content, element.raw.length - element.content.length)
  if (t.smallInteger('version') !== 1) throw t.malformed('version', 'not version 2')
  const tbsAlgorithm = t.take('signature', TAG.sequence).raw
  const issuer = readName(t, 'issuer')
  const thisUpdate = t.time('thisUpdate')
  const nextUpdate = t.time('nextUpdate')
  const revoked = readEntries(t.optionalInside('revokedCertificates', TAG.sequence))
  const explicit = t.optionalInside('crlExtensions', contextTag(0, 'constructed'))
  const extensions: ReadonlyMap<string, Extension> = explicit ? readExtensions(explicit) : new Map()
  explicit?.end()
  t.end()
  refuseCritical(t, extensions)
  const algorithmBytes = r.take('signatureAlgorithm', TAG.sequence).raw
  if (!sameBytes(algorithmBytes, tbsAlgorithm))
    throw r.malformed('signatureAlgorithm', 'differs from the one inside the signed part')
  const signatureAlgorithm = readSignatureAlgorithm(
    new DerReader('revocation list', algorithmBytes),
    'signatureAlgorithm',
  )
  const signature = r.bitStringOctets('signatureValue')
  r.end()
  const number = readNumber(extensions.get(OID.crlNumber))
  return {
    der: bytes,
    tbs: element.raw,
    issuer,
    thisUpdate,
    nextUpdate,
    ...(number !== undefined && { number }),
    revoked,
    extensions,
    signatureAlgorithm,
    signature,
  }
}

function readEntries(list: DerReader | undefined): ReadonlyMap<string, Date> {
  const revoked = new Map<string, Date>()
  while (list !== undefined && !list.done) {
    const entry = list.sequence('revokedCertificate')
    const serial = toHex(entry.integer('userCertificate'))
    const date = entry.time('revocationDate')
    if (!entry.done) refuseCritical(entry, readExtensions(entry))
    entry.end()
    // a certificate may be listed twice (hold, then revoked): the first date counts
    if (!revoked.has(serial)) revoked.set(serial, date)
  }
  return revoked
}

function refuseCritical(where: DerReader, extensions: ReadonlyMap<string, Extension>): void {
  for (const { oid, critical } of extensions.values())
    if (critical) throw where.malformed('extensions', `critical extension ${oid} is not understood`)
}

function readNumber(extension: Extension | undefined): bigint | undefined {
  if (extension === undefined) return undefined
  const r = new DerReader('revocation list: cRLNumber', extension.value)
  const number = r.bigInteger('cRLNumber')
  r.end()
  return number
}
