import { writeFileSync } from 'node:fs'
import { toBase64 } from '@vouchsafe/core'
import { type Output, UsageError } from '../../output.ts'

/** Writes what others may read. */
export function writePublicFile(file: string, bytes: Uint8Array | string): void {
  writeFileSync(file, bytes)
}

/** Writes what only its owner may read. */
export function writePrivateFile(file: string, bytes: Uint8Array): void {
  writeFileSync(file, bytes, { mode: 0o600 })
}

/**
 * Gives a secret: to a file that only its owner can read, to a pipe as it is, or with `--json` as base64. Never to a
 * terminal unasked.
 */
export function giveSecret(output: Output, secret: Uint8Array, out: string | undefined): void {
  if (out !== undefined) {
    writePrivateFile(out, secret)
    output.answer({ file: out, bytes: secret.length }, `${out}: ${secret.length} bytes`)
  } else if (output.json) output.answer({ secret: toBase64(secret) }, '')
  else if (process.stdout.isTTY)
    throw new UsageError('a secret is not shown on a terminal', 'write it to a file with --out FILE, or pipe it')
  else process.stdout.write(secret)
}
