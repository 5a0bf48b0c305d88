import { createHash } from 'node:crypto'
import { ByteWriter } from '../codec/byte-writer.ts'
import { encodeImaTemplate } from '../eventlog/ima/ima-template.ts'
import type { ImaEntry } from '../eventlog/ima/ima-event.ts'

/** What the kernel does with one file: a record for its list, and what it extends its register with in the SHA-256 bank. */
export function imaRecord(entry: ImaEntry): { readonly bytes: Uint8Array; readonly digest: Uint8Array } {
  const data = encodeImaTemplate('ima-sig', { signature: new Uint8Array(), ...entry })
  const bytes = new ByteWriter('little')
    .u32('register', 10)
    .raw(createHash('sha1').update(data).digest())
    .sized32('name', new TextEncoder().encode('ima-sig'))
    .sized32('data', data)
    .finish()
  return { bytes, digest: new Uint8Array(createHash('sha256').update(data).digest()) }
}
