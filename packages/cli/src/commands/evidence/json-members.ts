import { VouchsafeError, parseStrictJson } from '@vouchsafe/core'

const MAX_BYTES = 32 * 1024 * 1024
const NOTHING: ReadonlySet<string> = new Set()
const OPENING_BRACE = 0x7b

/** Names of the members of a JSON object; none where the bytes are something else. */
export function membersOf(bytes: Uint8Array): ReadonlySet<string> {
  if (bytes.find((byte) => ![0x20, 0x09, 0x0a, 0x0d].includes(byte)) !== OPENING_BRACE) return NOTHING
  try {
    const json = parseStrictJson(bytes, { maxBytes: MAX_BYTES })
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? new Set(Object.keys(json)) : NOTHING
  } catch (error) {
    if (error instanceof VouchsafeError) return NOTHING
    throw error
  }
}
