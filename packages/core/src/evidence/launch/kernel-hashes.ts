import type { CryptoPort } from '../../base/crypto.ts'
import { concat, fromHex, utf8 } from '../../base/encoding.ts'

/** What is booted directly: the hypervisor hands it over, the firmware checks it against hashes that were measured. */
export interface DirectBoot {
  readonly kernel: Uint8Array
  /** Empty where there is none. */
  readonly initrd: Uint8Array
  /** As given to the hypervisor, without a terminating zero. */
  readonly commandLine: string
}

const TABLE = '9438d606-4f22-4cc9-b479-a793d411fd21'
const ENTRY = {
  commandLine: '97d02dd8-bd20-4c94-aa78-e7714d36ab2a',
  initrd: '44baf731-3a2f-4bd7-9af1-41e29169781d',
  kernel: '4de79437-abd2-427f-b835-d5b172d2045b',
} as const
const PAGE = 4096

/**
 * The page that QEMU writes the hashes into, as it is measured.
 *
 * @param offset - Of the table in its page.
 * @source QEMU: target/i386/sev.c, SevHashTable
 */
export function kernelHashesPage(boot: DirectBoot, offset: number, crypto: CryptoPort): Uint8Array {
  const entry = (guid: string, bytes: Uint8Array) =>
    concat(encodeGuid(guid), u16(16 + 2 + 32), crypto.digest('sha256', bytes))
  const entries = concat(
    entry(ENTRY.commandLine, utf8(`${boot.commandLine}\0`)),
    entry(ENTRY.initrd, boot.initrd),
    entry(ENTRY.kernel, boot.kernel),
  )
  const page = new Uint8Array(PAGE)
  page.set(concat(encodeGuid(TABLE), u16(16 + 2 + entries.length), entries), offset)
  return page
}

function encodeGuid(guid: string): Uint8Array {
  const [a = '', b = '', c = '', d = '', e = ''] = guid.split('-')
  return concat(...[a, b, c].map((part) => fromHex(part).reverse()), fromHex(d), fromHex(e))
}

function u16(n: number): Uint8Array {
  return Uint8Array.of(n, n >>> 8)
}
