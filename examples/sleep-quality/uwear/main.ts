import { readFileSync } from 'node:fs'
import { parseSchema, parseStrictJson, VouchsafeError } from '@vouchsafe/core'
import { z } from 'zod'
import { compilePolicy } from './judge.ts'
import { pinnedRoot } from './root.ts'
import { type Outcome, sendNight } from './send-night.ts'

/** UWear: `uwear CONFIG [--json]`. Exit 0: sent. 1: refused, nothing sent. 3: bad input. 4: unreachable. 5: a bug. */
const EXIT_STATUS: Readonly<Record<string, number>> = { 'peer.unreachable': 4, internal: 5 }

const configSchema = z.strictObject({
  address: z.strictObject({ host: z.string(), port: z.number().int().min(1).max(65_535) }),
  identity: z.strictObject({ certFile: z.string(), keyFile: z.string() }),
  root: z.strictObject({ file: z.string(), from: z.string(), sha256: z.string() }),
  valuesFile: z.string(),
  dataFile: z.string(),
})

const readJson = (file: string) => parseStrictJson(new Uint8Array(readFileSync(file)), { maxBytes: 1024 * 1024 })

async function main(configFile: string): Promise<Outcome & { readonly root: 'kept' | 'downloaded' }> {
  const { identity, root, valuesFile, ...config } = parseSchema(configSchema, readJson(configFile), 'config')
  const { anchor, source } = await pinnedRoot(root)
  const outcome = await sendNight({
    ...config,
    identity: { cert: readFileSync(identity.certFile, 'utf8'), key: readFileSync(identity.keyFile, 'utf8') },
    root: anchor,
    policy: compilePolicy(readJson(valuesFile)),
  })
  return { ...outcome, root: source }
}

function asText(outcome: Outcome): string {
  const rules = outcome.rules.map(
    ({ rule, holds, why }) => `${rule}: ${holds}${why === undefined ? '' : `\n    ${why}`}`,
  )
  const end = outcome.sent
    ? ['policy check passed, the night was sent', `verdict: ${outcome.verdict.verdict}`]
    : ['policy check failed, nothing was sent']
  return [...rules, ...end].join('\n')
}

const args = process.argv.slice(2)
const json = args.includes('--json')
try {
  const outcome = await main(args.find((arg) => !arg.startsWith('--')) ?? '')
  console.log(json ? JSON.stringify(outcome) : asText(outcome))
  process.exitCode = outcome.sent ? 0 : 1
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  const code = codeOf(error)
  if (json) console.log(JSON.stringify({ error: { code, message }, sent: false }))
  else console.error(`uwear: ${code}: ${message}\nnothing was sent`)
  process.exitCode = EXIT_STATUS[code] ?? (code.startsWith('input.') ? 3 : 1)
}

function codeOf(error: unknown): string {
  if (error instanceof VouchsafeError) return error.code
  const isFileError = error instanceof Error && 'syscall' in error
  return isFileError ? 'input.malformed' : 'internal'
}
