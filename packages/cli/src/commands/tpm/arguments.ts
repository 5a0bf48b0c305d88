import { readFileSync } from 'node:fs'
import { fromHex } from '@vouchsafe/core'
import { PCR_COUNT } from '@vouchsafe/tpm/codec'
import type { HashName } from '@vouchsafe/tpm/verify'
import { UsageError } from '../../output.ts'

const BANKS = ['sha1', 'sha256', 'sha384', 'sha512'] as const satisfies readonly HashName[]

/** Registers from `0,7` or `0-7,14`: each once, ascending. */
export function parsePcrList(text: string, option: string): readonly number[] {
  const wrong = (what: string) => new UsageError(`${option} ${text}: ${what}`, `for example ${option} 0-7,14`)
  const pcrs = text.split(',').flatMap((part) => {
    const [, from = '', to = from] = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(part) ?? []
    if (from === '') throw wrong(`${JSON.stringify(part)} is no register`)
    const [first, last] = [Number(from), Number(to)]
    if (last < first || last >= PCR_COUNT) throw wrong(`registers are 0 to ${PCR_COUNT - 1}`)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
  if (new Set(pcrs).size !== pcrs.length) throw wrong('a register is named twice')
  return pcrs.toSorted((a, b) => a - b)
}

export function parseBank(text: string): HashName {
  const bank = BANKS.find((name) => name === text)
  if (bank === undefined) throw new UsageError(`no bank ${text}`, `there are ${BANKS.join(', ')}`)
  return bank
}

/** A handle in hexadecimal, `0x81000001`, of one of the kinds whose first bytes are given. */
export function parseHandle(text: string, what: string, kinds: readonly number[]): number {
  const value = /^0x[0-9a-fA-F]{1,8}$/.test(text) ? Number(text) : Number.NaN
  if (!kinds.includes(value >>> 24) || Number.isNaN(value)) {
    const example = `0x${(kinds[0] ?? 0).toString(16).padStart(2, '0')}000001`
    throw new UsageError(`${JSON.stringify(text)} is not ${what}`, `for example ${example}`)
  }
  return value
}

export const HANDLE_KIND = { nv: 0x01, 'hmac-session': 0x02, 'saved-session': 0x03, transient: 0x80, persistent: 0x81 }

/** A handle as people write it. */
export function formatHandle(handle: number): string {
  return `0x${handle.toString(16).padStart(8, '0')}`
}

/** A verifier's nonce. Without one nothing is fresh. */
export function parseNonce(text: string): Uint8Array {
  const nonce = fromHex(text, '--nonce')
  if (nonce.length === 0)
    throw new UsageError('an empty nonce proves no freshness', 'take the nonce that the verifier gave you')
  return nonce
}

/** A password from a file, without the line's end: passwords are never arguments. */
export function readPassword(file: string | undefined): { readonly authValue?: Uint8Array } {
  if (file === undefined) return {}
  const bytes = new Uint8Array(readFileSync(file === '-' ? 0 : file))
  const end = bytes.at(-1) === 0x0a ? bytes.length - 1 : bytes.length
  if (end === 0) throw new UsageError(`${file}: the password is empty`, 'leave --auth-file out where there is none')
  return { authValue: bytes.slice(0, end) }
}
