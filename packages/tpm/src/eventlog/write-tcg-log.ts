import { ALGORITHMS, DIGEST_BYTES } from '../codec/algorithms.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { TpmError } from '../codec/errors.ts'
import type { Bank } from './bank.ts'
import { EV } from './event-types.ts'
import { LAST_REGISTER, SPEC_ID_03 } from './tcg-log.ts'
import type { TcgEvent, TcgLog } from './tcg-log.ts'

/**
 * Writes a boot log: what firmware and boot loaders would have written. `parseTcgLog` gives it back, for every log with
 * its digests in the order of its banks.
 *
 * @throws {TpmError} `input.malformed` for a register, a digest or a bank that does not fit the log.
 */
export function writeTcgLog(log: TcgLog): Uint8Array<ArrayBuffer> {
  const w = new ByteWriter('little', 4096)
  const { banks } = log
  if (log.format === 'crypto-agile') writeHeader(w, log.header, banks)
  else if (banks.length !== 1 || banks[0] !== 'sha1')
    throw new TpmError('input.malformed', 'event log: the older form holds SHA-1 digests only')
  for (const event of log.events) {
    writeRegister(w, log, event)
    w.u32('type', event.type)
    if (event.digests.size !== banks.length)
      throw new TpmError(
        'input.malformed',
        `event ${event.position}: ${event.digests.size} digests for ${banks.length}`,
      )
    if (log.format === 'crypto-agile') w.u32('digest count', banks.length)
    for (const bank of banks) {
      if (log.format === 'crypto-agile') w.u16('digest algorithm', ALGORITHMS[bank])
      w.raw(digestFor(event, bank))
    }
    w.sized32('data', event.data)
  }
  return w.finish()
}

/** Builds a crypto-agile log event by event, numbering them as it goes. */
export function newTcgLog(
  banks: readonly Bank[],
  events: readonly Omit<TcgEvent, 'position'>[],
): TcgLog & { readonly format: 'crypto-agile' } {
  const header = { register: 0, platformClass: 0, errata: 0, uintnSize: 2, vendorInfo: new Uint8Array() }
  const numbered = events.map((event, i) => ({ ...event, position: i + 1 }))
  return { format: 'crypto-agile', space: 'pcr', header, banks, events: numbered }
}

function writeHeader(w: ByteWriter, header: (TcgLog & { format: 'crypto-agile' })['header'], banks: readonly Bank[]) {
  w.u32('register', header.register).u32('type', EV.NO_ACTION).raw(new Uint8Array(20))
  const sizeAt = w.length
  w.u32('size', 0).raw(SPEC_ID_03)
  w.u32('platformClass', header.platformClass)
  w.u8('specVersionMinor', 0).u8('specVersionMajor', 2).u8('specErrata', header.errata)
  w.u8('uintnSize', header.uintnSize)
  w.u32('numberOfAlgorithms', banks.length)
  for (const bank of banks) w.u16('algorithm', ALGORITHMS[bank]).u16('digestSize', DIGEST_BYTES[bank])
  w.u8('vendorInfoSize', header.vendorInfo.length).raw(header.vendorInfo)
  w.patchU32(sizeAt, w.length - sizeAt - 4)
}

function writeRegister(w: ByteWriter, log: TcgLog, event: TcgEvent): void {
  if (event.register === 'none' && event.type === EV.NO_ACTION) {
    w.u32('register', 0xffffffff)
    return
  }
  if (event.register === 'none' || event.register > LAST_REGISTER[log.space])
    throw new TpmError('input.malformed', `event ${event.position}: register ${event.register} cannot be measured into`)
  w.u32('register', event.register)
}

function digestFor(event: TcgEvent, bank: Bank): Uint8Array {
  const digest = event.digests.get(bank)
  if (digest?.length !== DIGEST_BYTES[bank])
    throw new TpmError('input.malformed', `event ${event.position}: no ${bank} digest of ${DIGEST_BYTES[bank]} bytes`)
  return digest
}
