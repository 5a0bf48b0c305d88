import { Tpm } from '@vouchsafe/tpm'
import { TpmError } from '@vouchsafe/tpm/codec'
import type { Command } from 'commander'
import { withHint } from '../../output.ts'
import { verb } from '../options.ts'

/** What every verb that opens a TPM is given. */
export interface TpmVerbOptions {
  readonly tpm?: string
  readonly json?: boolean
}

/** A verb with `--tpm` and `--json`. */
export function tpmVerb(name: string, description: string): Command {
  return verb(name, description).option(
    '--tpm <address>',
    'device, device:/dev/tpmrm0, swtpm:path=SOCKET, swtpm:host=H,port=P, or mssim:host=H,port=P (default: $VOUCHSAFE_TPM, then device)',
  )
}

/** Opens the TPM that the options name, for `run` alone. What the TPM refuses comes with what to try next. */
export async function withTpm<T>(options: TpmVerbOptions, run: (tpm: Tpm) => Promise<T>): Promise<T> {
  try {
    await using tpm = await Tpm.open(options.tpm ?? process.env['VOUCHSAFE_TPM'] ?? 'device')
    return await run(tpm)
  } catch (error) {
    const name = error instanceof TpmError ? error.response?.name : undefined
    const hint = name === undefined ? undefined : NEXT_STEPS[name]
    throw hint === undefined ? error : withHint(error, hint)
  }
}

const SEE_HANDLES = 'see what there is with: vouchsafe tpm keys list, vouchsafe tpm nv list'
const OTHER_TPM = 'it was made for another TPM or key, or was altered; compare with: vouchsafe tpm identity'

/** What to do about an answer of the TPM, by the name of its response code. */
const NEXT_STEPS: Readonly<Record<string, string>> = {
  TPM_RC_POLICY_FAIL:
    'registers or password are not those that it was sealed to; compare: vouchsafe tpm pcrs, vouchsafe tpm events diff OLD NEW',
  TPM_RC_AUTH_FAIL: 'give the right password with --auth-file; wrong ones count, and then the TPM locks for a while',
  TPM_RC_BAD_AUTH: 'give the right password with --auth-file',
  TPM_RC_AUTH_UNAVAILABLE: 'the attributes forbid this; see them with: vouchsafe tpm nv list, vouchsafe tpm keys list',
  TPM_RC_LOCKOUT: 'too many wrong passwords: wait, or reset the counter with the lockout password',
  TPM_RC_INTEGRITY: OTHER_TPM,
  TPM_RC_VALUE: OTHER_TPM,
  TPM_RC_TICKET: OTHER_TPM,
  TPM_RC_SIZE: 'it was made for another kind of key; name the right one with --ek or --parent',
  TPM_RC_ECC_POINT: 'it was made for another kind of key; name the right one with --ek or --parent',
  TPM_RC_HANDLE: SEE_HANDLES,
  TPM_RC_REFERENCE_H0: SEE_HANDLES,
  TPM_RC_NV_DEFINED: 'something is kept under this handle already; see: vouchsafe tpm keys list, vouchsafe tpm nv list',
  TPM_RC_NV_UNINITIALIZED: 'it was defined and never written: vouchsafe tpm nv write INDEX FILE',
  TPM_RC_NV_AUTHORIZATION: 'another authority may do this; see: vouchsafe tpm nv list, then try --authority',
  TPM_RC_NV_LOCKED: 'it is locked until the TPM restarts, or for good; see: vouchsafe tpm nv list',
  TPM_RC_NV_RANGE: 'it is smaller than that; see: vouchsafe tpm nv list',
  TPM_RC_NV_SPACE: 'make room first: vouchsafe tpm nv remove INDEX, vouchsafe tpm keys evict HANDLE',
  TPM_RC_OBJECT_MEMORY: 'somebody left objects loaded: vouchsafe tpm keys flush',
  TPM_RC_SESSION_MEMORY: 'somebody left sessions open: vouchsafe tpm keys flush',
  TPM_RC_INITIALIZE: 'firmware starts a TPM; give a software TPM the flag startup-clear',
}
