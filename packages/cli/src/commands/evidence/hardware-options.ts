import { readFileSync } from 'node:fs'
import { AmdKds, CollateralKeeper, importCollateralBundle, IntelPcs, MemoryCollateralStore } from '@vouchsafe/client'
import { evidence, fromHex, fromUtf8, VouchsafeError, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { parsePemOrDer } from '../../certificate-file.ts'
import { UsageError, withHint } from '../../output.ts'
import { timeOf } from './anchor.ts'
import type { VerifyOptions } from './format.ts'

/** What hardware evidence is held against, from the command line. */
export interface HardwareTrust {
  readonly at: Date
  readonly anchors: readonly x509.Anchor[]
  readonly snpRoots: readonly evidence.SnpRoot[]
  /** Collateral out of a bundle; null where its owner chose to go without. */
  readonly collateral: { readonly amd: AmdKds; readonly intel: IntelPcs } | null
}

/** Roots are the vendors’ own, unless others are named. */
export async function hardwareTrust(options: VerifyOptions): Promise<HardwareTrust> {
  const at = timeOf(options.at)
  const given = (options.trustRoot ?? []).flatMap(readCertificates).map((der) => x509.parseCertificate(der))
  const selfIssued = given.filter((c) => x509.sameBytes(c.issuer.raw, c.subject.raw))
  const anchors = selfIssued.map((c) =>
    x509.parseAnchor(c.der, { class: 'hardware', name: `${c.label} (--trust-root)` }),
  )
  const snpRoots = anchors.length === 0 ? evidence.amdSnpRoots() : evidence.snpRootsOf(anchors, given)
  const intel = anchors.length === 0 ? [evidence.intelSgxRoot()] : anchors
  const trust = { at, anchors, snpRoots, collateral: null }
  if (options.withoutCollateral === true) {
    if (options.collateral !== undefined)
      throw new UsageError('--collateral and --without-collateral', 'give one of them')
    return trust
  }
  if (options.collateral === undefined) return trust
  const store = new MemoryCollateralStore()
  await importCollateralBundle(new Uint8Array(readFileSync(options.collateral)), store)
  const keeper = new CollateralKeeper({ store, upstream: 'offline', timing: { clock: () => at } })
  return {
    ...trust,
    collateral: {
      amd: new AmdKds({ keeper, roots: snpRoots, crypto: nodeCrypto }),
      intel: new IntelPcs({ keeper, anchors: intel, crypto: nodeCrypto }),
    },
  }
}

/** Collateral must be given, or gone without in so many words: an unchecked platform must not look like a checked one. */
export function assertCollateralChosen({ collateral }: HardwareTrust, options: VerifyOptions, what: string): void {
  if (collateral === null && options.withoutCollateral !== true)
    throw withHint(
      new VouchsafeError('endorsement.unavailable', `no collateral was given: ${what} cannot be judged`),
      'fetch it with: vouchsafe evidence bundle --for FILE --out bundle.json, and give it with --collateral; or go without: --without-collateral',
    )
}

/** Bytes that the evidence must carry; `not-checked` only where that was asked for. */
export function expectedNonce(options: VerifyOptions, length: number): Uint8Array | 'not-checked' {
  if (options.withoutNonce === true) {
    if (options.nonce !== undefined) throw new UsageError('--nonce and --without-nonce', 'give one of them')
    return 'not-checked'
  }
  if (options.nonce === undefined)
    throw new UsageError(
      'against which nonce?',
      `give the ${length} bytes that you asked for with --nonce HEX; a recording is looked at with --without-nonce`,
    )
  const nonce = fromHex(options.nonce.toLowerCase(), '--nonce')
  if (nonce.length !== length)
    throw new UsageError(
      `--nonce has ${nonce.length} bytes, this evidence carries ${length}`,
      'give all of them: padding is part of what was signed',
    )
  return nonce
}

/** DER of all certificates in a file of PEM, or of the one in a file of DER. */
export function readCertificates(file: string): readonly Uint8Array[] {
  const bytes = new Uint8Array(readFileSync(file))
  if (bytes[0] === 0x30) return [parsePemOrDer(bytes, file)]
  return x509.parsePem(fromUtf8(bytes, file), 'CERTIFICATE')
}
