import { readFileSync } from 'node:fs'
import { parseSchema, parseStrictJson, VouchsafeError } from '@vouchsafe/core'
import { z } from 'zod'
import { compilePolicy } from './judge.ts'
import { pinnedRoot } from './root.ts'
import { type Outcome, sendNight } from './send-night.ts'

/**
 * UWear: `uwear CONFIG [--json]`. Where USleep is stands in the configuration, or is told at launch: REMOTE_ADDRESS=HOST:PORT.
 * Exit 0: sent. 1: refused, nothing sent. 3: bad input. 4: unreachable. 5: a bug.
 */
const EXIT_STATUS: Readonly<Record<string, number>> = { 'peer.unreachable': 4, internal: 5 }

const addressSchema = z.strictObject({ host: z.string().min(1), port: z.number().int().min(1).max(65_535) })
const configSchema = z.strictObject({
  address: addressSchema.exactOptional(),
  identity: z.strictObject({ certFile: z.string(), keyFile: z.string() }),
  root: z.strictObject({ file: z.string(), from: z.string(), sha256: z.string() }),
  valuesFile: z.string(),
  dataFile: z.string(),
})

const readJson = (file: string) => parseStrictJson(new Uint8Array(readFileSync(file)), { maxBytes: 1024 * 1024 })

async function main(
  configFile: string,
  remote: string | undefined,
): Promise<Outcome & { readonly root: 'kept' | 'downloaded' }> {
  const { identity, root, valuesFile, dataFile, address } = parseSchema(configSchema, readJson(configFile), 'config')
  const to = addressOf(address, remote)
  const { anchor, source } = await pinnedRoot(root)
  const outcome = await sendNight({
    address: to,
    dataFile,
    identity: { cert: readFileSync(identity.certFile, 'utf8'), key: readFileSync(identity.keyFile, 'utf8') },
    root: anchor,
    policy: compilePolicy(readJson(valuesFile)),
  })
  return { ...outcome, root: source }
}

type Address = z.infer<typeof addressSchema>

/** The address from one place: two would leave open which was meant. */
function addressOf(configured: Address | undefined, remote: string | undefined): Address {
  if ((configured === undefined) === (remote === undefined))
    throw new VouchsafeError(
      'input.malformed',
      'the address stands in the configuration or in REMOTE_ADDRESS, in one of them',
    )
  if (configured !== undefined) return configured
  const [host = '', port = '', ...more] = remote?.split(':') ?? []
  return parseSchema(addressSchema, { host, port: more.length === 0 ? Number(port) : Number.NaN }, 'REMOTE_ADDRESS')
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
  const outcome = await main(args.find((arg) => !arg.startsWith('--')) ?? '', process.env['REMOTE_ADDRESS'])
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
