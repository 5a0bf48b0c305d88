import { ALGORITHMS, softwareHash } from './algorithms.ts'
import type { DigestFunction, TpmHash } from './algorithms.ts'
import { ByteWriter } from './byte-writer.ts'
import { encodeTpmNvPublic } from './nv-public.ts'
import type { TpmNvPublic } from './nv-public.ts'
import { encodeTpmPublic, parseTpmPublic } from './public-area.ts'
import type { TpmPublic } from './public-area.ts'

/**
 * The Name of an object: what a TPM means by "this key". Bytes are parsed first, so a name never stands for something
 * that is not a public area. An object without a name algorithm has the empty name.
 *
 * @throws {TpmError} `input.malformed`; `evidence.algorithm` when the name algorithm cannot be computed here.
 * @source TPM 2.0 Library, Part 1: Architecture: Names
 */
export function tpmName(area: TpmPublic | Uint8Array, digest: DigestFunction): Uint8Array<ArrayBuffer> {
  const parsed = area instanceof Uint8Array ? parseTpmPublic(area) : area
  if (parsed.nameAlg === 'null') return new Uint8Array()
  return tagged(parsed.nameAlg, digest, encodeTpmPublic(parsed))
}

/** The Name of an NV index. It changes when the index is first written, since TPMA_NV_WRITTEN is part of it. */
export function tpmNvName(area: TpmNvPublic, digest: DigestFunction): Uint8Array<ArrayBuffer> {
  return tagged(area.nameAlg, digest, encodeTpmNvPublic(area))
}

/** The Name of what has no public area: a hierarchy, a PCR, a session. */
export function handleName(handle: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(handle >>> 24, handle >>> 16, handle >>> 8, handle)
}

/**
 * The Qualified Name of an object: its name and that of every ancestor, hashed together.
 * @param parent - The parent's qualified name; for a primary key `handleName(hierarchy)`.
 */
export function tpmQualifiedName(parent: Uint8Array, area: TpmPublic, digest: DigestFunction): Uint8Array<ArrayBuffer> {
  if (area.nameAlg === 'null') return new Uint8Array()
  return tagged(area.nameAlg, digest, parent, tpmName(area, digest))
}

function tagged(hash: TpmHash, digest: DigestFunction, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const value = digest(softwareHash(hash), ...parts)
  return new ByteWriter('big', 2 + value.length).u16('nameAlg', ALGORITHMS[hash]).raw(value).finish()
}
