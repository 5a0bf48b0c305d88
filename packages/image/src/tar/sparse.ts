import { ImageError } from '../errors.ts'
import { BLOCK, type ByteString, toByteString } from './format.ts'
import { natural } from './header.ts'
import { decimal } from './pax.ts'

/** A stretch of a sparse file that is stored; everything else reads as zeros. */
export interface Extent {
  readonly offset: number
  readonly length: number
}

export interface SparseMap {
  /** The size of the file, holes included. */
  readonly realSize: number
  readonly extents: readonly Extent[]
}

export const MAX_EXTENTS = 65_536

/**
 * Ascending, without overlap, inside the file, and together exactly what is stored. Each stretch but the last fills
 * whole blocks: of others GNU tar takes the next stretch from the next block, and Go's reader from the next byte.
 *
 * @throws {ImageError} `tar.malformed`.
 */
export function checkSparse(map: SparseMap, storedBytes: number): SparseMap {
  let end = 0
  let stored = 0
  for (const { offset, length } of map.extents) {
    if (stored % BLOCK !== 0 && length > 0)
      throw new ImageError('tar.malformed', 'sparse map with a stretch in the middle that is no multiple of 512')
    if (offset < end || offset + length > map.realSize || !Number.isSafeInteger(offset + length))
      throw new ImageError('tar.malformed', 'sparse map overlaps, or reaches beyond the file')
    end = offset + length
    stored += length
  }
  if (stored !== storedBytes)
    throw new ImageError('tar.malformed', `sparse map covers ${stored} bytes, ${storedBytes} are stored`)
  return map
}

/** The entries of an old GNU sparse header or of one of its extension blocks; the first empty one ends the list. */
export function readGnuExtents(block: Uint8Array, at: number, count: number): Extent[] {
  const extents: Extent[] = []
  for (let i = 0; i < count; i++) {
    const start = at + i * 24
    if (block[start] === 0 && block[start + 12] === 0) break
    const offset = natural(block, [start, 12], 'sparse offset')
    const length = natural(block, [start + 12, 12], 'sparse length')
    extents.push({ offset, length })
  }
  return extents
}

export type PaxSparse =
  | { readonly kind: 'map'; readonly realSize: number; readonly name?: ByteString; readonly extents: readonly Extent[] }
  /** Format 1.0: the map is in front of the data. */
  | { readonly kind: 'in-data'; readonly realSize: number; readonly name?: ByteString }

/**
 * Only what all readers understand alike: a version in full or none at all, one size, one map. Go's reader takes a file
 * without a map, or with half a version, for a plain one, under another name.
 *
 * @source GNU tar manual, Storing Sparse Files: PAX formats 0.0, 0.1 and 1.0
 */
export function readPaxSparse(fields: readonly (readonly [string, ByteString])[]): PaxSparse | undefined {
  if (fields.length === 0) return undefined
  const one = new Map(fields)
  const [major, minor] = [one.get('major'), one.get('minor')]
  if ((major === undefined) !== (minor === undefined))
    throw new ImageError('tar.malformed', 'sparse format with half a version')
  const version = `${major ?? '0'}.${minor ?? '0'}`
  const size = one.get('realsize') ?? one.get('size')
  const name = one.get('name')
  if (size === undefined) throw new ImageError('tar.malformed', 'sparse file without its size')
  if (one.has('realsize') && one.has('size') && one.get('size') !== size)
    throw new ImageError('tar.malformed', 'sparse file with two sizes')
  const common = { realSize: decimal(size, 'sparse size'), ...(name === undefined ? {} : { name }) }
  if (version === '1.0') return { kind: 'in-data', ...common }
  if (version !== '0.0' && version !== '0.1')
    throw new ImageError('tar.malformed', `sparse format ${version} is unknown`)
  const extents = pair(mapNumbers(one.get('map'), fields).map((text) => decimal(text, 'sparse map')))
  const stated = one.get('numblocks')
  if (stated !== undefined && decimal(stated, 'sparse numblocks') !== extents.length)
    throw new ImageError('tar.malformed', `sparse map has ${extents.length} extents, its header says ${stated}`)
  return { kind: 'map', ...common, extents }
}

/** Offsets and lengths in turn: one list in format 0.1, a record for each in format 0.0. */
function mapNumbers(list: ByteString | undefined, fields: readonly (readonly [string, ByteString])[]): ByteString[] {
  const records = fields.filter(([key]) => key === 'offset' || key === 'numbytes')
  if ((list === undefined) === (records.length === 0))
    throw new ImageError(
      'tar.malformed',
      list === undefined ? 'sparse file without a map' : 'sparse file with two maps',
    )
  if (list !== undefined) return list.split(',').filter((text) => text !== '')
  return records.map(([key, value], i) => {
    if (key !== (i % 2 === 0 ? 'offset' : 'numbytes')) throw new ImageError('tar.malformed', 'sparse map out of order')
    return value
  })
}

/** Reads the map of format 1.0, block by block: a count, then offsets and lengths, one decimal number a line. */
export class InDataMapReader {
  #text = ''
  readonly #numbers: number[] = []

  /** @returns The extents, once `block` completes them. */
  add(block: Uint8Array): readonly Extent[] | undefined {
    const lines = (this.#text + toByteString(block)).split('\n')
    this.#text = lines.pop() ?? ''
    for (const line of lines) {
      this.#numbers.push(decimal(line, 'sparse map'))
      const count = this.#numbers[0] ?? 0
      if (count > MAX_EXTENTS)
        throw new ImageError('tar.malformed', `sparse map of ${count} extents, at most ${MAX_EXTENTS}`)
      if (this.#numbers.length === 1 + 2 * count) return pair(this.#numbers.slice(1))
    }
    if (this.#text.length > 32) throw new ImageError('tar.malformed', 'sparse map without line breaks')
    return undefined
  }
}

function pair(numbers: readonly number[]): Extent[] {
  if (numbers.length % 2 !== 0) throw new ImageError('tar.malformed', 'sparse map with an odd number of numbers')
  if (numbers.length > 2 * MAX_EXTENTS) throw new ImageError('tar.malformed', `sparse map over ${MAX_EXTENTS} extents`)
  const extents: Extent[] = []
  for (let i = 0; i < numbers.length; i += 2) extents.push({ offset: numbers[i] ?? 0, length: numbers[i + 1] ?? 0 })
  return extents
}
