import { TpmError } from '../codec/errors.ts'
import { TPM_RH } from '../codec/handles.ts'
import type { Hierarchy } from '../codec/handles.ts'
import { handleName } from '../codec/name.ts'
import type { TpmEntity, TpmObject, TransientObject } from './entity.ts'
import type { Executor } from './executor.ts'

/** A hierarchy by name, or with its password as an entity. */
export type HierarchyArgument = Hierarchy | TpmEntity

/** Names are computed from what the TPM says the object is, and must be what the TPM calls it. */
export function assertName(command: string, object: TpmObject, name: Uint8Array): void {
  if (Buffer.compare(object.name, name) !== 0)
    throw new TpmError('tpm.integrity', `${command}: the name is not that of the public area`)
}

/** A hierarchy's name is its handle. */
export function hierarchyName(hierarchy: HierarchyArgument): Uint8Array {
  return typeof hierarchy === 'string' ? handleName(TPM_RH[hierarchy]) : hierarchy.name
}

/** Makes the object known to the cache from the moment the TPM has made it. */
export function adopt<T extends TransientObject>(
  tpm: Executor,
  object: T,
  handle: number,
  options: { readonly isVolatile?: boolean } = {},
): T {
  tpm.objects.adopt(object, handle, options)
  return object
}

export function flushObject(tpm: Executor): (object: TransientObject) => Promise<void> {
  return (object) => tpm.exclusively(() => tpm.objects.release(object))
}

export function assertMade<T>(made: T | undefined): T {
  if (made === undefined) throw new TpmError('internal', 'the TPM answered without a handle')
  return made
}
