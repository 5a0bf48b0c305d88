import { createHash } from 'node:crypto'
import { appendFileSync, readFileSync } from 'node:fs'
import { parseSchema, parseStrictJson, toBase64, VouchsafeError } from '@vouchsafe/core'
import { TpmError } from '@vouchsafe/tpm/codec'
import { z } from 'zod'
import type { Verdict } from './format.ts'

const MAX_LINE = 64 * 1024 * 1024

const entrySchema = z.strictObject({
  vouchsafe: z.literal('verification/v1'),
  at: z.iso.datetime(),
  /** What the verifier calls the machine or the occasion. */
  name: z.string().nullable(),
  /** The name of its attestation key, where the evidence was authentic. */
  machine: z.string().nullable(),
  challenge: z.string().nullable(),
  evidenceSha256: z.string(),
  /** All of it, base64. */
  evidence: z.string(),
  outcome: z.enum(['accepted', 'refused']),
  code: z.string().nullable(),
  /** What was found; null when nothing could be. */
  claims: z.unknown(),
})
export type VerificationEntry = z.infer<typeof entrySchema>

interface NewEntry {
  readonly evidence: Uint8Array
  readonly nonce: string | undefined
  readonly name?: string
}

/** Appends what was asked, what was shown, and what came of it. It holds evidence, which names machines; never a token (DEF-43). */
export function appendVerification(
  file: string,
  { evidence, nonce, name, ...outcome }: NewEntry & ({ readonly verdict: Verdict } | { readonly error: unknown }),
): void {
  const verdict = 'verdict' in outcome ? outcome.verdict : undefined
  const entry: VerificationEntry = {
    vouchsafe: 'verification/v1',
    at: new Date().toISOString(),
    name: name ?? null,
    machine: verdict?.machine ?? null,
    challenge: nonce ?? null,
    evidenceSha256: createHash('sha256').update(evidence).digest('hex'),
    evidence: toBase64(evidence),
    outcome: verdict?.accepted === true ? 'accepted' : 'refused',
    code: 'error' in outcome ? codeOf(outcome.error) : null,
    claims: verdict?.json ?? null,
  }
  appendFileSync(file, `${JSON.stringify(entry)}\n`, { mode: 0o600 })
}

function codeOf(error: unknown): string {
  return error instanceof VouchsafeError || error instanceof TpmError ? error.code : 'usage'
}

/** All entries of a log, oldest first. @throws {VouchsafeError} `input.malformed`, naming the line. */
export function readVerifications(file: string): readonly VerificationEntry[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, i) =>
      line === '' ? [] : [parseSchema(entrySchema, parseStrictJson(line, { maxBytes: MAX_LINE }), `${file}:${i + 1}`)],
    )
}
