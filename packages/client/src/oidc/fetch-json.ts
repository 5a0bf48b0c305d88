import { createHash, type X509Certificate } from 'node:crypto'
import https from 'node:https'
import type { TLSSocket } from 'node:tls'
import { type Json, parseStrictJson } from '@vouchsafe/core'
import type { OidcIssuer } from './issuer.ts'
import { OidcRefusal } from './refusal.ts'

const MAX_BYTES = 256 * 1024

export interface FetchedJson {
  readonly json: Json
  /** From Cache-Control; undefined where the server does not say. */
  readonly maxAgeSeconds: number | undefined
}

/**
 * Fetches one JSON document from exactly the host named: HTTPS with the issuer's authorities and pins, no redirect (E17),
 * no compression, at most 256 KiB, within `timeoutMs`.
 *
 * @throws {OidcRefusal} `keys-untrusted` for what is not the issuer's answer; `keys-unavailable` when there is none.
 */
export async function fetchJson(url: URL, issuer: OidcIssuer, timeoutMs: number): Promise<FetchedJson> {
  const { body, cacheControl } = await get(url, issuer, timeoutMs)
  try {
    return { json: parseStrictJson(body, { maxBytes: MAX_BYTES }), maxAgeSeconds: maxAge(cacheControl) }
  } catch (cause) {
    throw new OidcRefusal('keys-untrusted', `${url.href}: ${(cause as Error).message}`, { cause })
  }
}

function get(url: URL, issuer: OidcIssuer, timeoutMs: number): Promise<{ body: Uint8Array; cacheControl: string }> {
  return new Promise((resolve, reject) => {
    const call = https.get(
      {
        host: url.hostname,
        port: url.port === '' ? 443 : Number(url.port),
        path: url.pathname,
        headers: { accept: 'application/json', 'accept-encoding': 'identity' },
        agent: false, // a connection of its own: none that another issuer's trust has opened
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true,
        ...(issuer.certificateAuthorities !== undefined && { ca: issuer.certificateAuthorities }),
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        const refuse = (reason: 'keys-untrusted' | 'keys-unavailable', why: string) =>
          call.destroy(new OidcRefusal(reason, `${url.href}: ${why}`))
        const { statusCode = 0, headers } = response
        if (statusCode >= 300 && statusCode < 400)
          return void refuse('keys-untrusted', `redirects to ${headers.location ?? 'nowhere'}, which is not followed`)
        if (statusCode !== 200) return void refuse('keys-unavailable', `answers ${statusCode}`)
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > MAX_BYTES) refuse('keys-untrusted', `answers with more than ${MAX_BYTES} bytes`)
          else chunks.push(chunk)
        })
        response.on('end', () =>
          resolve({ body: new Uint8Array(Buffer.concat(chunks)), cacheControl: headers['cache-control'] ?? '' }),
        )
        response.on('error', (cause) => reject(translated(url, cause)))
      },
    )
    call.on('socket', (socket) =>
      socket.once('secureConnect', () => {
        const pins = issuer.serverKeysSha256
        const certificate = (socket as TLSSocket).getPeerX509Certificate()
        if (pins !== undefined && (certificate === undefined || !pins.includes(spkiSha256(certificate))))
          call.destroy(new OidcRefusal('keys-untrusted', `${url.host}: its TLS key is not one of those pinned`))
      }),
    )
    call.on('error', (cause) => reject(translated(url, cause)))
  })
}

function spkiSha256(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('hex')
}

function translated(url: URL, cause: Error & { code?: string }): OidcRefusal {
  if (cause instanceof OidcRefusal) return cause
  const isTrust = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|ERR_TLS|ERR_SSL/.test(cause.code ?? '')
  return new OidcRefusal(
    isTrust ? 'keys-untrusted' : 'keys-unavailable',
    `${url.href}: ${cause.code ?? cause.message}`,
    {
      cause,
    },
  )
}

function maxAge(cacheControl: string): number | undefined {
  const seconds = /(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])/.exec(cacheControl)?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}
