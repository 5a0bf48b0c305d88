/**
 * The result of a pure function of `text`: made now, or made before. Whatever it rests on is in `text`, but for what the
 * whole call shares, such as the crypto port; what a text says of itself or comes with is no part of it.
 *
 * @param what - Tells apart what is made of the same text.
 * @param make - What it throws is thrown each time; only results are kept.
 */
export type Once = <T>(what: string, text: string, make: () => T) => T

/** Keeps nothing. */
export const anew: Once = (_what, _text, make) => make()

const MAX_CHARACTERS = 32 * 1024 * 1024

/**
 * Keeps results by the whole text that they were made of, for reading many records that repeat each other. They are
 * handed out as the very same objects: treat them as read-only. Make one for one piece of work, and let it go.
 *
 * @param maxCharacters - Of texts that are kept; what is more makes it forget all of them, and nothing else.
 */
export function remembering(maxCharacters = MAX_CHARACTERS): Once {
  const kinds = new Map<string, Map<string, unknown>>()
  let characters = 0
  return <T>(what: string, text: string, make: () => T): T => {
    const known = kinds.get(what)
    if (known?.has(text) === true) return known.get(text) as T
    const value = make()
    if (text.length > maxCharacters) return value
    if (characters + text.length > maxCharacters) {
      kinds.clear()
      characters = 0
    }
    characters += text.length
    const kept = kinds.get(what) ?? new Map<string, unknown>()
    kinds.set(what, kept.set(text, value))
    return value
  }
}
