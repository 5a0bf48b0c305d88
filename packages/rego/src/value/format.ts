import { isNumber, numberText } from './number.ts'
import { objectEntries, sortedElements } from './order.ts'
import { quoteText } from './quote.ts'
import { isArray, RegoSet, type RegoMap, type RegoRecord, type Value } from './value.ts'

/** A value in Rego syntax: what `print`, `%v` and templates show for composites, and the canonical form of a value. */
export function formatValue(v: Value): string {
  if (typeof v === 'string') return quoteText(v)
  if (v === null || typeof v === 'boolean') return String(v)
  if (isNumber(v)) return numberText(v)
  if (isArray(v)) return `[${v.map(formatValue).join(', ')}]`
  if (v instanceof RegoSet) return v.size === 0 ? 'set()' : `{${sortedElements(v).map(formatValue).join(', ')}}`
  return `{${objectEntries(v as RegoRecord | RegoMap)
    .map(([k, x]) => `${formatValue(k)}: ${formatValue(x)}`)
    .join(', ')}}`
}
