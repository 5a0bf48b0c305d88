import { parseStrictJson } from '@vouchsafe/core/base'
import type { z } from 'zod'
import { ImageError, type ImageErrorCode } from '../errors.ts'

/** A JSON object whose members were not looked at yet. */
export type JsonObject = { readonly [member: string]: unknown }

/** Largest manifest or index read: the size that the distribution specification asks registries to accept. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
/** Largest image configuration read. */
export const MAX_CONFIG_BYTES = 8 * 1024 * 1024

/**
 * Parses a document that must be one JSON object. Core's one strict reader does it: no duplicate members, no bad UTF-8,
 * no deep nesting (K12). Members that a specification adds later are left to the caller to ignore.
 *
 * @throws {ImageError} `document.too-large` or `document.malformed`.
 */
export function parseJsonObject(bytes: Uint8Array, what: string, maxBytes: number): JsonObject {
  if (bytes.length > maxBytes)
    throw new ImageError('document.too-large', `${what}: ${bytes.length} bytes, at most ${maxBytes}`)
  let value: unknown
  try {
    value = parseStrictJson(bytes, { maxBytes })
  } catch (cause) {
    throw new ImageError('document.malformed', `${what}: ${(cause as Error).message}`, { cause })
  }
  return asObject(value, what)
}

/** Reads what means something of its own here: whatever is wrong with it comes out under `code`, in the same words. */
export function readAs<T>(code: ImageErrorCode, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof ImageError) || cause.code === code) throw cause
    throw new ImageError(code, cause.message, { cause })
  }
}

/** @throws {ImageError} `code`, naming the member that does not fit the schema. */
export function readShape<T>(schema: z.ZodType<T>, value: unknown, what: string, code: ImageErrorCode): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const at = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `
  throw new ImageError(code, `${what}: ${at}${issue?.message ?? 'does not fit its schema'}`)
}

export function asObject(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ImageError('document.malformed', `${what}: not an object`)
  return value as JsonObject
}

/**
 * A member that is there; inherited names such as `constructor` are not. To readers in Go case makes no difference: with
 * `Layers` beside or instead of `layers`, one digest would be two images (K12).
 *
 * @throws {ImageError} `document.malformed`
 */
export function member(object: JsonObject, name: string, what = 'document'): unknown {
  const other = Object.keys(object).find((key) => key !== name && isReadAs(key, name))
  if (other !== undefined)
    throw new ImageError('document.malformed', `${what}: ${JSON.stringify(other)} could be read as ${name}`)
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** As Go compares names: the long s is an s, the Kelvin sign a k. */
export function isReadAs(key: string, name: string): boolean {
  return key.length === name.length && key.toUpperCase().toLowerCase() === name.toLowerCase()
}

export function asArray(value: unknown, what: string, maxLength: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new ImageError('document.malformed', `${what}: not an array`)
  if (value.length > maxLength)
    throw new ImageError('document.malformed', `${what}: ${value.length} elements, at most ${maxLength}`)
  return value
}

export function asString(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new ImageError('document.malformed', `${what}: not a string`)
  return value
}

export function asSize(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new ImageError('document.malformed', `${what}: not a size in bytes`)
  return value
}

/** `null` counts as left out: Go writes empty maps and lists so. */
export function optional<T>(
  object: JsonObject,
  name: string,
  what: string,
  read: (value: unknown, what: string) => T,
): T | undefined {
  const value = member(object, name, what)
  return value === undefined || value === null ? undefined : read(value, `${what}.${name}`)
}

/** String to string, in the document's order. A `Map`: no name is special in it (K06). */
export function asStringMap(value: unknown, what: string): ReadonlyMap<string, string> {
  const entries = Object.entries(asObject(value, what))
  return new Map(entries.map(([name, text]) => [name, asString(text, `${what}[${JSON.stringify(name)}]`)]))
}

export function asStringList(value: unknown, what: string): readonly string[] {
  return asArray(value, what, 65_536).map((text, i) => asString(text, `${what}[${i}]`))
}
