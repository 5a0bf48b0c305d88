import { TPM_RH } from '../codec/handles.ts'
import type { Hierarchy } from '../codec/handles.ts'
import { tpmName } from '../codec/name.ts'
import { digest } from '../crypto/digest.ts'
import type { TpmPublic, TpmSensitive } from '../codec/public-area.ts'
import { adopt, assertName, flushObject } from './adopt.ts'
import { TpmObject } from './entity.ts'
import type { Executor } from './executor.ts'

/** Loads a key of which only the public part, or the whole in the clear, is known. */
export async function loadExternal(
  tpm: Executor,
  options: {
    readonly public: TpmPublic
    readonly sensitive?: TpmSensitive
    /** Where tickets made with it shall count. Default: null, the only one for keys with a sensitive part. */
    readonly hierarchy?: Hierarchy
  },
): Promise<TpmObject> {
  const hierarchy = options.hierarchy ?? 'null'
  const object = new TpmObject(options.public, flushObject(tpm), {
    authValue: options.sensitive?.authValue,
    // an external object has no ancestors: its qualified name is its name
    qualifiedName: tpmName(options.public, digest),
  })
  await tpm.run(
    'LoadExternal',
    { inPrivate: options.sensitive, inPublic: options.public, hierarchy: TPM_RH[hierarchy] },
    { adopt: (handle, { name }) => assertName('LoadExternal', adopt(tpm, object, handle), name) },
  )
  return object
}
