import { ImageError } from '../errors.ts'
import { type ByteString, toDisplay } from '../tar/format.ts'
import { MAX_NAME_BYTES, MAX_PATH_BYTES } from './limits.ts'

export type Target =
  | { readonly kind: 'root' }
  | { readonly kind: 'entry'; readonly parents: readonly ByteString[]; readonly name: ByteString }
  | { readonly kind: 'whiteout'; readonly parents: readonly ByteString[]; readonly name: ByteString }
  | { readonly kind: 'opaque'; readonly parents: readonly ByteString[] }

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'

/**
 * Reads an entry's name. A name is relative, goes only downwards, and says "whiteout" only in its last part (H07, H08).
 *
 * @source OCI image specification, layer: whiteouts, opaque whiteout
 */
export function parseTarget(path: ByteString): Target {
  const parts = parseParts(path, path)
  const name = parts.pop()
  if (name === undefined) return { kind: 'root' }
  const hidden = parts.find((part) => part.startsWith(WHITEOUT))
  if (hidden !== undefined) throw refused('unpack.whiteout', path, `lies below ${toDisplay(hidden)}, a whiteout`)
  if (!name.startsWith(WHITEOUT)) return { kind: 'entry', parents: parts, name }
  if (name === OPAQUE) return { kind: 'opaque', parents: parts }
  const hides = name.slice(WHITEOUT.length)
  if (hides === '' || hides === '.' || hides === '..' || hides.startsWith(WHITEOUT))
    throw refused('unpack.whiteout', path, 'is not a whiteout that the specification defines')
  return { kind: 'whiteout', parents: parts, name: hides }
}

/** The parts of a hard link's target: a name of the same archive, under the same rules. */
export function parseLinkTarget(path: ByteString, entry: ByteString): readonly ByteString[] {
  return parseParts(path, entry)
}

function parseParts(path: ByteString, entry: ByteString): ByteString[] {
  if (path.startsWith('/')) throw refused('unpack.escape', entry, `${toDisplay(path)} is absolute`)
  if (path.length > MAX_PATH_BYTES) throw refused('unpack.limit', entry, `path of ${path.length} bytes`)
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  for (const part of parts) {
    if (part === '..') throw refused('unpack.escape', entry, `${toDisplay(path)} climbs with ..`)
    if (part.length > MAX_NAME_BYTES) throw refused('unpack.limit', entry, `a name of ${part.length} bytes`)
  }
  return parts
}

function refused(code: ImageError['code'], entry: ByteString, why: string): ImageError {
  return new ImageError(code, why, { entry: toDisplay(entry) })
}
