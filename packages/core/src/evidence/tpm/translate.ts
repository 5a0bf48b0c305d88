import { TpmError } from '@vouchsafe/tpm/codec'
import { ERROR_CODES, type ErrorCode, VouchsafeError } from '../../base/errors.ts'

/** The border at which `tpm`'s coded errors become ours: same code where the table has it, once (decision 21). */
export async function translated<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    if (!(cause instanceof TpmError)) throw cause
    // a quote over another transcript is stale to the TPM library; here it was made for another request
    const code = cause.code === 'evidence.stale' ? 'evidence.binding' : cause.code
    throw new VouchsafeError(code in ERROR_CODES ? (code as ErrorCode) : 'internal', cause.message, { cause })
  }
}
