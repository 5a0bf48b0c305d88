import { CONTEXT } from '../codec/commands/system.ts'
import { encode, parse } from '../codec/table.ts'
import { adopt, assertMade, assertName, flushObject } from './adopt.ts'
import { TpmObject, TpmSequence } from './entity.ts'
import type { TransientObject } from './entity.ts'
import type { Executor } from './executor.ts'

/**
 * Saves a loaded object as bytes, which load again in this TPM until its next reset. They are encrypted by the TPM, and
 * hold no password.
 */
export async function saveContext(tpm: Executor, object: TpmObject): Promise<Uint8Array> {
  const { context } = await tpm.run('ContextSave', { saveHandle: object })
  return encode('TPMS_CONTEXT', CONTEXT, context)
}

/** Loads what `saveContext` gave. */
export async function loadContext(
  tpm: Executor,
  saved: Uint8Array,
  options: { readonly authValue?: Uint8Array } = {},
): Promise<TpmObject> {
  const context = parse('TPMS_CONTEXT', CONTEXT, saved)
  let placeholder: TransientObject | undefined
  await tpm.run(
    'ContextLoad',
    { context },
    { adopt: (handle) => (placeholder = adopt(tpm, new TpmSequence(flushObject(tpm), undefined), handle)) },
  )
  const nameless = assertMade(placeholder)
  const { outPublic, name, qualifiedName } = await tpm.run('ReadPublic', { objectHandle: nameless })
  const object = new TpmObject(outPublic, flushObject(tpm), { ...options, qualifiedName })
  tpm.objects.replace(nameless, object)
  assertName('ContextLoad', object, name)
  return object
}
