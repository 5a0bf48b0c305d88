import { readFileSync } from 'node:fs'
import http from 'node:http'
import { VouchsafeError } from '@vouchsafe/core'

const MAX_BYTES = 16 * 1024
const TIMEOUT_MS = 5_000

/** Where the platform's metadata server is, seen from inside an instance. */
export const METADATA_URL = 'http://metadata.google.internal/computeMetadata/v1'

/** Where this machine's identity documents come from: the platform's metadata server, or a file that somebody keeps fresh. */
export type DocumentSource = { readonly metadata: string } | { readonly file: string }

/** A fresh document for an audience. @throws {VouchsafeError} `peer.unreachable`, `input.malformed` */
export async function identityDocument(source: DocumentSource, audience: string): Promise<string> {
  if ('file' in source) return readFileSync(source.file, 'utf8').trim()
  const url = new URL(`${source.metadata.replace(/\/$/, '')}/instance/service-accounts/default/identity`)
  url.searchParams.set('audience', audience)
  url.searchParams.set('format', 'full')
  const { status, body } = await get(url)
  if (status !== 200) throw new VouchsafeError('peer.unreachable', `metadata server: status ${status}`)
  return body.trim()
}

function get(url: URL): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) =>
      reject(new VouchsafeError('peer.unreachable', `metadata server ${url.host}: ${cause.message}`, { cause }))
    const call = http.get(url, { headers: { 'metadata-flavor': 'Google' }, timeout: TIMEOUT_MS }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
        if (body.length > MAX_BYTES) call.destroy(new Error(`more than ${MAX_BYTES} bytes`))
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.on('error', fail)
    })
    call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
    call.on('error', fail)
  })
}
