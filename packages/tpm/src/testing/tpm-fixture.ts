import { afterAll, beforeAll } from 'vitest'
import { Tpm } from '../tpm/tpm.ts'
import { startSwtpm } from './swtpm.ts'
import type { RunningSwtpm } from './swtpm.ts'

/** One software TPM for the tests of a file or block; `get()` inside a test. */
export function useTpm(): () => Tpm {
  let swtpm: RunningSwtpm
  let tpm: Tpm
  beforeAll(async () => {
    swtpm = await startSwtpm()
    tpm = await Tpm.open(swtpm.address)
  })
  afterAll(async () => {
    await tpm.close()
    await swtpm.stop()
  })
  return () => tpm
}

/** What a test expects of a refusal by the TPM itself. */
export function tpmRefuses(name: string, target?: { readonly kind: string; readonly number: number }) {
  return { code: 'tpm.response', response: target === undefined ? { name } : { name, target } }
}
