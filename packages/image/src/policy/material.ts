import { readFile, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ImageError } from '../errors.ts'
import type { ImagePolicy } from './parse-policy.ts'

/** Reads what a policy names: a path, a `file://` URL, or a `kbs://` resource of the guest's broker. */
export type MaterialReader = (location: string) => Promise<Uint8Array>

const MAX_MATERIAL_BYTES = 4 * 1024 * 1024

/**
 * Reads from this machine's files, and from the broker where a function for that is given (GU-10). A resource that was
 * not given is an error, never an empty key list.
 *
 * @throws {ImageError} `policy.material`, naming the file or address and why (GU-29).
 */
export function readMaterialFrom(ports: { readonly resource?: (uri: string) => Promise<Uint8Array> }): MaterialReader {
  return async (location) => {
    const scheme = /^([a-z][a-z0-9+]*):\/\//.exec(location)?.[1]
    if (scheme === undefined || scheme === 'file') return readLocal(location)
    if (scheme !== 'kbs' && scheme !== 'kbs+plugin')
      throw new ImageError('policy.material', `${location}: neither a file nor a kbs:// resource`)
    if (ports.resource === undefined)
      throw new ImageError('policy.material', `${location}: no broker is at hand to ask for it`)
    try {
      const bytes = await ports.resource(location)
      if (bytes.length <= MAX_MATERIAL_BYTES) return bytes
    } catch (cause) {
      throw new ImageError('policy.material', `${location}: ${(cause as Error).message}`, { cause })
    }
    throw new ImageError('policy.material', `${location}: over ${MAX_MATERIAL_BYTES} bytes`)
  }
}

/** Every place that a policy takes keys or certificates from: the members whose names end in `Path` or `Paths`. */
export function materialNamedBy(policy: ImagePolicy): readonly string[] {
  const lists = [policy.default, ...[...policy.transports.values()].flatMap((scopes) => [...scopes.values()])]
  return [...new Set(lists.flat().flatMap(placesIn))]
}

function placesIn(value: object): readonly string[] {
  return Object.entries(value).flatMap(([name, member]: [string, unknown]) => {
    if (typeof member === 'string') return name.endsWith('Path') ? [member] : []
    // parameters of a scheme may hold anything under these names
    if (Array.isArray(member) && name.endsWith('Paths')) return member.filter((place) => typeof place === 'string')
    return typeof member === 'object' && member !== null ? placesIn(member) : []
  })
}

async function readLocal(location: string): Promise<Uint8Array> {
  try {
    const file = location.startsWith('file://') ? fileURLToPath(location) : location
    const { size } = await stat(file)
    if (size > MAX_MATERIAL_BYTES) throw new Error(`${size} bytes, at most ${MAX_MATERIAL_BYTES}`)
    return new Uint8Array(await readFile(file))
  } catch (cause) {
    throw new ImageError('policy.material', `${location}: ${(cause as Error).message}`, { cause })
  }
}
