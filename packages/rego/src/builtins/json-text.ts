import {
  BoxedNumber,
  fromJson,
  isArray,
  isObject,
  isSet,
  jsonMembers,
  sortedElements,
  ValueError,
  type Value,
} from '../value/index.ts'
import { BuiltinError } from './contract.ts'

/** A JSON string literal as Go writes it: also `<`, `>`, `&` and the line separators are escaped. */
export function jsonString(s: string): string {
  // bytes that are not UTF-8 print as the escape of U+FFFD
  const quoted = JSON.stringify(s).replaceAll(/\\ud[c-f][0-9a-f]{2}/g, String.raw`\ufffd`)
  return quoted.replaceAll(/[<>&\u2028\u2029]/g, (ch) => `\\u${ch.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

type Layout = { readonly prefix: string; readonly indent: string }

/** JSON text as Go's encoder writes it; laid out over lines if `layout` is given. */
export function marshal(v: Value, layout?: Layout): string {
  const text = write(v, layout, 0)
  return layout === undefined ? text : layout.prefix + text
}

function write(v: Value, layout: Layout | undefined, depth: number): string {
  if (typeof v === 'string') return jsonString(v)
  if (v instanceof BoxedNumber) return v.text
  if (isArray(v) || isSet(v)) {
    const elements = isArray(v) ? v : sortedElements(v)
    return enclose(
      '[',
      ']',
      elements.map((x) => write(x, layout, depth + 1)),
      layout,
      depth,
    )
  }
  if (!isObject(v)) return String(v)
  const colon = layout === undefined ? ':' : ': '
  const members = jsonMembers(v).map(([k, x]) => jsonString(k) + colon + write(x, layout, depth + 1))
  return enclose('{', '}', members, layout, depth)
}

function enclose(
  open: string,
  close: string,
  parts: readonly string[],
  layout: Layout | undefined,
  depth: number,
): string {
  if (layout === undefined || parts.length === 0) return open + parts.join(',') + close
  const line = `\n${layout.prefix}${layout.indent.repeat(depth)}`
  return `${open}${line}${layout.indent}${parts.join(`,${line}${layout.indent}`)}${line}${close}`
}

/** Reads JSON text from a policy or claim. */
export function unmarshal(text: string): Value {
  try {
    return fromJson(text)
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    const cutShort = error.code === 'value.malformed' && isPrefix(text)
    throw new BuiltinError(cutShort ? 'unexpected EOF' : error.message, 'eval_builtin_error', { cause: error })
  }
}

/** Roughly: does the text stop in the middle of a value? Only words an error, never decides. */
function isPrefix(text: string): boolean {
  const t = text.trimEnd()
  return t === '' || /[[{,:]$/.test(t)
}
