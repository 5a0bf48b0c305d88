import { TpmError } from '../../codec/errors.ts'
import type { HashName, VerifyCrypto } from '../../verify/crypto.ts'
import type { TcgLog } from '../tcg-log.ts'
import { readGrub, readKernel } from './boot-loader.ts'
import type { GrubFacts, KernelFacts } from './boot-loader.ts'
import { readEfiBoot } from './efi-boot.ts'
import type { EfiBootFacts, EfiBootOptions } from './efi-boot.ts'
import { proofIn } from './measured-part.ts'
import type { ProofContext } from './measured-part.ts'
import { readPlatform } from './platform.ts'
import type { PlatformFacts } from './platform.ts'
import { readSecureBoot } from './secure-boot.ts'
import type { SecureBootFacts } from './secure-boot.ts'

/** Facts, or why there are none. A part that is refused says nothing: neither good nor bad. */
export type BootPart<T> =
  { readonly kind: 'facts'; readonly facts: T } | { readonly kind: 'refused'; readonly reason: string }

/** What a boot log proves, part by part: one that firmware writes in a way of its own does not take the others with it. */
export interface BootReport {
  readonly platform: BootPart<PlatformFacts>
  readonly secureBoot: BootPart<SecureBootFacts>
  readonly efi: BootPart<EfiBootFacts>
  readonly grub: BootPart<GrubFacts>
  readonly kernel: BootPart<KernelFacts>
}

/**
 * Reads all that a boot log proves in the bank that was attested. Call it only for a log whose replay `verifyReplays` has
 * compared with a verified quote in that same bank: the facts are as good as that comparison.
 */
export function readBootReport(
  log: TcgLog,
  bank: HashName,
  crypto: Pick<VerifyCrypto, 'digest'>,
  options: EfiBootOptions,
): BootReport {
  return readBootReportIn(log, proofIn(bank, crypto), options)
}

/** As `readBootReport`, for callers that describe events as well: what is found out once is kept in `context`. */
export function readBootReportIn(log: TcgLog, context: ProofContext, options: EfiBootOptions): BootReport {
  return {
    platform: part(() => readPlatform(log, context)),
    secureBoot: part(() => readSecureBoot(log, context)),
    efi: part(() => readEfiBoot(log, context, options)),
    grub: part(() => readGrub(log, context)),
    kernel: part(() => readKernel(log, context)),
  }
}

function part<T>(read: () => T): BootPart<T> {
  try {
    return { kind: 'facts', facts: read() }
  } catch (error) {
    if (error instanceof TpmError && error.code === 'evidence.log') return { kind: 'refused', reason: error.message }
    throw error
  }
}
