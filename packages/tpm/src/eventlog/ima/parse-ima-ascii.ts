import { TpmError } from '../../codec/errors.ts'
import { LAST_REGISTER } from '../tcg-log.ts'
import type { ImaEntry, ImaEvent, ImaLog } from './ima-event.ts'
import { encodeImaTemplate } from './ima-template.ts'
import { imaEvent } from './parse-ima.ts'

const MAX_TEXT_LENGTH = 128 * 1024 * 1024

/**
 * Reads `ascii_runtime_measurements`: a line each of register, template hash, template name and the template's fields.
 * Names may hold spaces, so a line is only what it seems once `replayIma` has found its template hash to fit.
 *
 * @throws {TpmError} `input.malformed`, naming the line; `evidence.unsupported` for other templates than `ima`, `ima-ng` and
 *   `ima-sig`, whose data cannot be had back from text; `input.too-large`.
 * @source Linux, security/integrity/ima/ima_fs.c: ima_ascii_measurements_show
 */
export function parseImaAsciiLog(text: string): ImaLog {
  if (text.length > MAX_TEXT_LENGTH)
    throw new TpmError('input.too-large', `IMA log: ${text.length} characters are over ${MAX_TEXT_LENGTH}`)
  const lines = text.split('\n')
  if (lines.pop() !== '') throw malformed(lines.length + 1, 'does not end')
  return lines.map((line, i) => parseLine(line, i + 1))
}

function parseLine(line: string, number: number): ImaEvent {
  const [, register, hash, template, fields] =
    /^ ?(\d{1,2}) ([0-9a-f]{40}) ([\x21-\x7e]{1,64}) ([^\n]*)$/.exec(line) ?? []
  if (register === undefined || hash === undefined || template === undefined || fields === undefined)
    throw malformed(number, 'is not register, hash, template and fields')
  if (Number(register) > LAST_REGISTER.pcr) throw malformed(number, `there is no PCR ${register}`)
  return imaEvent(
    Number(register),
    fromHex(hash),
    template,
    encodeImaTemplate(template, entryOf(template, fields, number)),
  )
}

function entryOf(template: string, fields: string, number: number): ImaEntry {
  const form = template === 'ima' ? /^()([0-9a-f]{40}) (.*)$/ : /^([a-z0-9-]{1,32}):((?:[0-9a-f]{2})*) (.*)$/
  const [, hash, digest, rest] = form.exec(fields) ?? []
  if (digest === undefined || rest === undefined) throw malformed(number, 'has no digest and name')
  const entry = { hash: hash || 'sha1', digest: fromHex(digest), path: rest }
  if (template !== 'ima-sig') return entry
  // the kernel writes a space before the signature also where there is none
  const [, path, signature] = /^(.*) ((?:[0-9a-f]{2})*)$/.exec(rest) ?? []
  if (path === undefined || signature === undefined) throw malformed(number, 'has no signature field')
  return { ...entry, path, signature: fromHex(signature) }
}

function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16))
}

function malformed(line: number, why: string): TpmError {
  return new TpmError('input.malformed', `IMA log: line ${line} ${why}`)
}
