import { readFileSync } from 'node:fs'
import { fromBase64Url, fromUtf8, p256JwkSchema, parseSchema, parseStrictJson, verifyToken } from '@vouchsafe/core'
import { Command } from 'commander'
import { z } from 'zod'
import { EXIT, UsageError } from '../output.ts'
import { type Done, outputOf, verb } from './options.ts'
import { getVerb } from './token-get.ts'

const trustSchema = z.looseObject({
  issuer: z.string(),
  audience: z.string(),
  keys: z.array(p256JwkSchema.extend({ kid: z.string() })),
})

/** `vouchsafe token …`: attestation results as JWT. */
export function tokenCommand(done: Done): Command {
  return new Command('token')
    .description('attestation results')
    .addCommand(getVerb(done))
    .addCommand(
      verb('inspect', 'show what a token says; believes nothing of it')
        .argument('<file>', '- for standard input')
        .action((file: string, options: { json?: boolean }) => {
          const [head = '', body = ''] = readText(file).split('.')
          const read = (part: string, what: string) =>
            parseStrictJson(fromUtf8(fromBase64Url(part, what)), { maxBytes: 65_536 })
          const token = { header: read(head, 'header'), payload: read(body, 'payload') }
          outputOf(options).answer({ verified: false, ...token }, `NOT VERIFIED\n${JSON.stringify(token, null, 2)}`)
          done(EXIT.yes)
        }),
    )
    .addCommand(
      verb('verify', 'verify a token against a tenant’s published keys')
        .argument('<file>', '- for standard input')
        .requiredOption(
          '--trust <file>',
          'issuer, audience and keys, as GET /v1/tenants/NAME answers; keep your own copy',
        )
        .option('--at <time>', 'as of this time (ISO 8601)')
        .action(async (file: string, options: { json?: boolean; trust: string; at?: string }) => {
          const trust = parseSchema(
            trustSchema,
            parseStrictJson(readFileSync(options.trust), { maxBytes: 65_536 }),
            options.trust,
          )
          const at = options.at === undefined ? new Date() : new Date(options.at)
          if (Number.isNaN(at.getTime()))
            throw new UsageError(`--at ${options.at} is not a time`, 'for example --at 2026-11-22T00:00:00Z')
          const keys = new Map(trust.keys.map(({ kid, ...jwk }) => [kid, jwk]))
          const payload = await verifyToken(readText(file), {
            issuer: trust.issuer,
            audience: trust.audience,
            keys,
            at,
          })
          outputOf(options).answer(
            { verified: true, payload },
            `verified: ${payload.sub} until ${new Date(payload.exp * 1000).toISOString()}${payload['vouchsafe.simulated'] ? '  SIMULATED' : ''}\nbound to key ${payload.cnf.jkt}: worthless without it`,
          )
          done(EXIT.yes)
        }),
    )
}

function readText(file: string): string {
  return readFileSync(file === '-' ? 0 : file, 'utf8').trim()
}
