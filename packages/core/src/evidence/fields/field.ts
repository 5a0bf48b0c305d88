import { toHex } from '../../base/encoding.ts'

/** One thing that evidence says, as people read it. */
export interface EvidenceField {
  /** As the vendor spells it, such as `REPORT_DATA`. */
  readonly name: string
  readonly value: string
  /** What it means for whoever has to trust it. */
  readonly meaning: string
}

export function field(name: string, value: Uint8Array | string | number | bigint, meaning: string): EvidenceField {
  return { name, value: value instanceof Uint8Array ? toHex(value) : String(value), meaning }
}

/** A bit, by what its being set means and by what its not being set means. */
export function flag(name: string, isSet: boolean, set: string, unset: string): EvidenceField {
  return { name, value: isSet ? 'set' : 'not set', meaning: isSet ? set : unset }
}
