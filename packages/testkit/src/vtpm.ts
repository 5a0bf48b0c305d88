import { createHash, sign } from 'node:crypto'
import * as d from './der.ts'
import type { TestKey } from './x509.ts'

/** A fake vTPM: quotes by any RSA key, restricted or not, over whatever it is told its registers hold. */
export interface VtpmQuoteSpec {
  readonly key: TestKey
  readonly nonce: Uint8Array
  /** 24 values of 32 bytes; zeros unless told. */
  readonly registers?: readonly Uint8Array[]
  /** The bitmap of selected registers; all 24 unless told. */
  readonly selection?: Uint8Array
}

export interface VtpmQuote {
  readonly attest: Uint8Array
  readonly signature: Uint8Array
  readonly registers: readonly Uint8Array[]
}

export function zeroRegisters(): readonly Uint8Array[] {
  return Array.from({ length: 24 }, () => new Uint8Array(32))
}

export function makeVtpmQuote(spec: VtpmQuoteSpec): VtpmQuote {
  const registers = spec.registers ?? zeroRegisters()
  const selection = spec.selection ?? Uint8Array.of(0xff, 0xff, 0xff)
  const selected = registers.filter((_, n) => (((selection[n >> 3] ?? 0) >> (n & 7)) & 1) === 1)
  const pcrDigest = createHash('sha256')
    .update(d.join(...selected))
    .digest()
  const attest = d.join(
    Uint8Array.of(0xff, 0x54, 0x43, 0x47, 0x80, 0x18),
    sized(d.join(Uint8Array.of(0x00, 0x0b), new Uint8Array(32).fill(0x51))), // qualifiedSigner
    sized(spec.nonce),
    new Uint8Array(8), // clock
    Uint8Array.of(0, 0, 0, 7, 0, 0, 0, 1, 1), // resetCount, restartCount, safe
    new Uint8Array(8), // firmwareVersion
    Uint8Array.of(0, 0, 0, 1, 0x00, 0x0b, selection.length),
    selection,
    sized(pcrDigest),
  )
  return { attest, signature: signAttest(spec.key, attest), registers }
}

/** TPMT_SIGNATURE: RSASSA with SHA-256. */
export function signAttest(key: TestKey, attest: Uint8Array): Uint8Array {
  return d.join(Uint8Array.of(0x00, 0x14, 0x00, 0x0b), sized(sign('sha256', attest, key.privateKey)))
}

function sized(bytes: Uint8Array): Uint8Array {
  return d.join(Uint8Array.of(bytes.length >> 8, bytes.length), bytes)
}
