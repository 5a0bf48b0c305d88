import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { VouchsafeError, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { z } from 'zod'
import { SERVER_NAME } from '../protocol.ts'
import { selfSigned } from '../self-signed.ts'
import { serve } from './serve.ts'

/** USleep: `usleep SETTINGS`, with the machine’s token socket in TOKEN_SOCKET. Its log is lines of JSON on stdout. */
const settingsSchema = z.strictObject({
  audience: z.string().min(1),
  senders: z.array(z.string().regex(/^[0-9a-f]{64}$/)).min(1),
})
const MAX_TOKEN_BYTES = 64 * 1024

function log(event: string, fields: Readonly<Record<string, string | number>> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`)
}

async function main([settingsFile = '']: readonly string[], tokenSocket: string): Promise<void> {
  const json = parseStrictJson(new Uint8Array(readFileSync(settingsFile)), { maxBytes: 64 * 1024 })
  const settings = parseSchema(settingsSchema, json, 'settings')
  const { port, close } = await serve(settings, {
    identity: await selfSigned(SERVER_NAME),
    requestToken: (audience, nonce) => requestToken(tokenSocket, audience, nonce),
    log,
  })
  log('usleep.listening', { port })
  process.once('SIGTERM', close)
}

/** The machine knows which workload asks by the socket; the workload chooses audience and nonce only. */
function requestToken(socketPath: string, audience: string, nonce: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause?: unknown) =>
      reject(new VouchsafeError('peer.unreachable', 'the token socket gave no token', { cause }))
    const call = request({ socketPath, method: 'POST', path: '/v1/token', timeout: 5_000 }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_TOKEN_BYTES) call.destroy(new Error('token too long'))
        chunks.push(chunk)
      })
      response.on('end', () =>
        response.statusCode === 200 ? resolve(Buffer.concat(chunks).toString()) : fail(response.statusCode),
      )
      response.on('error', fail)
    })
    call.on('timeout', () => call.destroy(new Error('timeout')))
    call.on('error', fail)
    call.end(JSON.stringify({ audience, nonces: [nonce], token_type: 'PKI' }))
  })
}

main(process.argv.slice(2), process.env['TOKEN_SOCKET'] ?? '').catch((error: unknown) => {
  log('usleep.failed', { code: error instanceof VouchsafeError ? error.code : 'internal' })
  process.exitCode = 1
})
