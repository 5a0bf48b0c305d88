import { ByteReader } from '../../codec/byte-reader.ts'
import { ByteWriter } from '../../codec/byte-writer.ts'
import { encodeGuid, readGuid } from './guid.ts'

const X509 = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072'
const SHA256 = 'c1c41626-504c-4092-aca9-41f936934328'
const LIST_HEADER_BYTES = 28
const OWNER_BYTES = 16

export interface OwnedCertificate {
  /** GUID of whoever enrolled it; informative. */
  readonly owner: string
  /** The certificate. Not parsed here. */
  readonly der: Uint8Array
}

/** What a signature database (PK, KEK, db, dbx) holds. */
export interface SignatureDatabase {
  readonly certificates: readonly OwnedCertificate[]
  /** SHA-256 digests of images. */
  readonly hashes: readonly { readonly owner: string; readonly sha256: Uint8Array }[]
  /** Entries of other kinds, such as hashes of certificates: an appraiser that does not know them must not pass them over. */
  readonly others: readonly { readonly type: string; readonly owner: string; readonly data: Uint8Array }[]
}

/**
 * Reads a sequence of EFI_SIGNATURE_LISTs. Each list must be filled exactly: header, vendor header, and whole entries
 * (C05: elsewhere a parser that skipped the vendor header wrongly let a crafted list add hashes).
 *
 * @throws {TpmError} `input.malformed`
 * @source UEFI 2.10 section 32.4.1: Signature Database
 */
export function parseSignatureDatabase(bytes: Uint8Array): SignatureDatabase {
  const r = new ByteReader('EFI_SIGNATURE_LIST', bytes, 'little')
  const certificates: OwnedCertificate[] = []
  const hashes: { owner: string; sha256: Uint8Array }[] = []
  const others: { type: string; owner: string; data: Uint8Array }[] = []
  while (r.remaining > 0) {
    const { type, entries } = readList(r)
    for (const { owner, data } of entries)
      if (type === X509) certificates.push({ owner, der: data })
      else if (type === SHA256) hashes.push({ owner, sha256: data })
      else others.push({ type, owner, data })
  }
  return { certificates, hashes, others }
}

/** One list per certificate and one for all hashes, as firmware tools write them. `parseSignatureDatabase` gives it back. */
export function encodeSignatureDatabase(
  database: Pick<SignatureDatabase, 'certificates' | 'hashes'>,
): Uint8Array<ArrayBuffer> {
  const w = new ByteWriter('little')
  for (const { owner, der } of database.certificates) writeList(w, X509, der.length, [{ owner, data: der }])
  const hashes = database.hashes.map(({ owner, sha256 }) => ({ owner, data: sha256 }))
  if (hashes.length > 0) writeList(w, SHA256, 32, hashes)
  return w.finish()
}

function readList(r: ByteReader) {
  const type = readGuid(r, 'signatureType')
  const listBytes = r.u32('signatureListSize')
  const headerBytes = r.u32('signatureHeaderSize')
  const entryBytes = r.u32('signatureSize')
  const known = type === X509 || type === SHA256
  if (known && headerBytes !== 0)
    throw r.malformed('signatureHeaderSize', `${headerBytes}, but this type has no header`)
  if (entryBytes <= OWNER_BYTES) throw r.malformed('signatureSize', `${entryBytes} leaves no room for a signature`)
  if (type === SHA256 && entryBytes !== OWNER_BYTES + 32) throw r.malformed('signatureSize', `${entryBytes}, wanted 48`)
  const bodyBytes = listBytes - LIST_HEADER_BYTES - headerBytes
  if (bodyBytes < entryBytes || bodyBytes % entryBytes !== 0)
    throw r.malformed('signatureListSize', `${listBytes} does not hold whole entries of ${entryBytes} bytes`)
  r.view('signatureHeader', headerBytes)
  const body = r.part('signatures', bodyBytes)
  const entries: { owner: string; data: Uint8Array }[] = []
  while (body.remaining > 0) {
    const owner = readGuid(body, 'signatureOwner')
    entries.push({ owner, data: body.view('signatureData', entryBytes - OWNER_BYTES) })
  }
  return { type, entries }
}

function writeList(
  w: ByteWriter,
  type: string,
  dataBytes: number,
  entries: readonly { owner: string; data: Uint8Array }[],
) {
  const entryBytes = OWNER_BYTES + dataBytes
  w.raw(encodeGuid(type)).u32('signatureListSize', LIST_HEADER_BYTES + entries.length * entryBytes)
  w.u32('signatureHeaderSize', 0).u32('signatureSize', entryBytes)
  for (const { owner, data } of entries) w.raw(encodeGuid(owner)).raw(data)
}
