import { ByteReader } from '../../codec/byte-reader.ts'
import { TpmError } from '../../codec/errors.ts'
import { decodeUtf8 } from '../efi/text.ts'
import { LAST_REGISTER } from '../tcg-log.ts'
import { parseImaTemplate } from './ima-template.ts'
import type { ImaEvent, ImaLog } from './ima-event.ts'

const MAX_LOG_BYTES = 64 * 1024 * 1024
const MAX_EVENTS = 1_000_000
const MAX_DATA_BYTES = 128 * 1024
const MAX_NAME_BYTES = 64
const OLD_NAME_BYTES = 256

/**
 * Reads `binary_runtime_measurements`, little-endian. Records of templates that are not known here keep their data and
 * replay, but have no `entry`.
 *
 * @throws {TpmError} `input.malformed`, naming record and offset; `input.too-large`.
 * @source Linux, security/integrity/ima/ima_fs.c: ima_measurements_show
 */
export function parseImaLog(bytes: Uint8Array): ImaLog {
  if (bytes.length > MAX_LOG_BYTES) throw tooLarge(`${bytes.length} bytes are over ${MAX_LOG_BYTES}`)
  const r = new ByteReader('IMA log', new Uint8Array(bytes), 'little')
  const events: ImaEvent[] = []
  while (r.remaining > 0) {
    if (events.length === MAX_EVENTS) throw tooLarge(`more than ${MAX_EVENTS} records`)
    events.push(readEvent(r, `record ${events.length}`))
  }
  return events
}

function readEvent(r: ByteReader, at: string): ImaEvent {
  const register = r.u32(`${at} register`)
  if (register > LAST_REGISTER.pcr) throw r.malformed(`${at} register`, `there is no PCR ${register}`)
  const templateHash = r.view(`${at} template hash`, 20)
  const template = decodeUtf8(r.sized32(`${at} template name`, MAX_NAME_BYTES))
  if (template === undefined || !/^[\x21-\x7e]+$/.test(template)) throw r.malformed(`${at} template name`, 'not a name')
  const templateData = template === 'ima' ? readOldData(r, at) : r.sized32(`${at} data`, MAX_DATA_BYTES)
  return imaEvent(register, templateHash, template, templateData)
}

/** The old template has its own form in the list: a digest, and a name without padding. */
function readOldData(r: ByteReader, at: string): Uint8Array {
  const data = new Uint8Array(20 + OLD_NAME_BYTES)
  data.set(r.view(`${at} digest`, 20))
  data.set(r.sized32(`${at} name`, OLD_NAME_BYTES - 1), 20)
  return data
}

export function imaEvent(
  register: number,
  templateHash: Uint8Array,
  template: string,
  templateData: Uint8Array,
): ImaEvent {
  const entry = parseImaTemplate(template, templateData)
  const violation = templateHash.every((byte) => byte === 0)
  return { register, templateHash, template, templateData, violation, ...(entry !== undefined && { entry }) }
}

function tooLarge(why: string): TpmError {
  return new TpmError('input.too-large', `IMA log: ${why}`)
}
