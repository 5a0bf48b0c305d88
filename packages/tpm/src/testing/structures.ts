import { readFileSync } from 'node:fs'

export interface RecordedStructure {
  readonly type: string
  readonly what: string
  readonly raw: Uint8Array
}

/** The structures that a TPM once gave, from `vectors/tpm`. */
export function recordedStructures(): readonly RecordedStructure[] {
  const file = new URL('../../../../vectors/tpm/structures.json', import.meta.url)
  const { structures } = JSON.parse(readFileSync(file, 'utf8')) as {
    structures: { type: string; what: string; hex: string }[]
  }
  return structures.map(({ type, what, hex }) => ({ type, what, raw: new Uint8Array(Buffer.from(hex, 'hex')) }))
}

export function recorded(type: string, what: string): Uint8Array {
  const found = recordedStructures().find((structure) => structure.type === type && structure.what === what)
  if (found === undefined) throw new Error(`no recorded ${type} ${what}`)
  return found.raw
}
