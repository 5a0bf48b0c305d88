import { decodeBase64 } from '../base64.ts'
import { BuiltinError } from '../contract.ts'

export type PemBlock = { readonly label: string; readonly bytes: Uint8Array<ArrayBuffer> }

const BEGIN = '-----BEGIN '
const DASHES = '-----'

/** The first block of a text and what follows it; undefined if there is none. */
export function firstPemBlock(text: string): { readonly block: PemBlock; readonly rest: string } | undefined {
  for (let at = text.indexOf(BEGIN); at >= 0; at = text.indexOf(BEGIN, at + 1)) {
    const labelEnd = text.indexOf(DASHES, at + BEGIN.length)
    if (labelEnd < 0) return undefined
    const label = text.slice(at + BEGIN.length, labelEnd)
    const end = `${DASHES}END ${label}${DASHES}`
    const endAt = text.indexOf(end, labelEnd)
    const bytes = endAt < 0 ? undefined : decodeBody(text.slice(labelEnd + DASHES.length, endAt))
    if (bytes !== undefined) {
      return { block: { label, bytes }, rest: text.slice(endAt + end.length).replace(/^[ \t]*\r?\n?/, '') }
    }
  }
  return undefined
}

/** All blocks of a text. */
export function pemBlocks(text: string): PemBlock[] {
  const out: PemBlock[] = []
  for (let next = firstPemBlock(text); next !== undefined; next = firstPemBlock(next.rest)) out.push(next.block)
  return out
}

function decodeBody(body: string): Uint8Array<ArrayBuffer> | undefined {
  // header lines (`Proc-Type: …`) end with an empty line
  const afterHeaders = body.includes(':') ? body.slice(Math.max(0, body.search(/\r?\n\r?\n/))) : body
  try {
    return decodeBase64(afterHeaders.replaceAll(/[ \t\r\n]/g, ''), 'standard', true)
  } catch (error) {
    if (error instanceof BuiltinError) return undefined
    throw error
  }
}
