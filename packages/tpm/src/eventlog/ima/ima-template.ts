import { ByteReader } from '../../codec/byte-reader.ts'
import { ByteWriter } from '../../codec/byte-writer.ts'
import { TpmError } from '../../codec/errors.ts'
import { decodeUtf8 } from '../efi/text.ts'
import type { ImaEntry } from './ima-event.ts'

const MAX_FIELD_BYTES = 64 * 1024
/** The old template hashes a name padded to this size. */
const OLD_NAME_BYTES = 256
const ALGORITHM = /^[a-z0-9-]{1,32}$/

/**
 * Reads template data of the kinds `ima`, `ima-ng` and `ima-sig`; other kinds are undefined.
 *
 * @throws {TpmError} `input.malformed`
 * @source Linux, Documentation/security/IMA-templates.rst
 */
export function parseImaTemplate(template: string, data: Uint8Array): ImaEntry | undefined {
  const r = new ByteReader(`IMA template ${template}`, data, 'little')
  switch (template) {
    case 'ima': {
      const digest = r.take('d', 20)
      const name = r.view('n', OLD_NAME_BYTES)
      r.end()
      const end = name.indexOf(0)
      if (end < 0 || name.subarray(end).some((byte) => byte !== 0)) throw r.malformed('n', 'not padded with zeros')
      return { hash: 'sha1', digest, path: pathOf(r, name.subarray(0, end)) }
    }
    case 'ima-ng': {
      const entry = readDigestAndName(r)
      r.end()
      return entry
    }
    case 'ima-sig': {
      const entry = { ...readDigestAndName(r), signature: r.sized32('sig', MAX_FIELD_BYTES) }
      r.end()
      return entry
    }
    default:
      return undefined
  }
}

/**
 * Template data of an entry: what the kernel hashes.
 *
 * @throws {TpmError} `input.malformed`; `evidence.unsupported` for another template.
 */
export function encodeImaTemplate(template: string, entry: ImaEntry): Uint8Array<ArrayBuffer> {
  const path = new TextEncoder().encode(entry.path)
  const w = new ByteWriter('little')
  switch (template) {
    case 'ima': {
      if (path.length >= OLD_NAME_BYTES || entry.digest.length !== 20)
        throw new TpmError('input.malformed', 'IMA template ima: a digest of 20 bytes and a name of at most 255')
      return w
        .raw(entry.digest)
        .raw(path)
        .raw(new Uint8Array(OLD_NAME_BYTES - path.length))
        .finish()
    }
    case 'ima-ng':
    case 'ima-sig':
      w.sized32('d-ng', Uint8Array.of(...new TextEncoder().encode(`${entry.hash}:\0`), ...entry.digest))
      w.sized32('n-ng', Uint8Array.of(...path, 0))
      if (template === 'ima-sig') w.sized32('sig', entry.signature ?? new Uint8Array())
      return w.finish()
    default:
      throw new TpmError('evidence.unsupported', `IMA template ${JSON.stringify(template)} is not known`)
  }
}

function readDigestAndName(r: ByteReader): ImaEntry {
  const field = r.sized32('d-ng', MAX_FIELD_BYTES)
  const colon = field.indexOf(0x3a)
  const hash = decodeUtf8(field.subarray(0, Math.max(colon, 0))) ?? ''
  if (!ALGORITHM.test(hash) || field[colon + 1] !== 0) throw r.malformed('d-ng', 'not a hash name, a colon and a NUL')
  const name = r.sized32('n-ng', MAX_FIELD_BYTES)
  if (name.indexOf(0) !== name.length - 1) throw r.malformed('n-ng', 'not ended by its only NUL')
  return { hash, digest: field.slice(colon + 2), path: pathOf(r, name.subarray(0, -1)) }
}

function pathOf(r: ByteReader, bytes: Uint8Array): string {
  const path = decodeUtf8(bytes)
  if (path === undefined) throw r.malformed('name', 'not UTF-8')
  return path
}
