import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseSchema, parseStrictJson, pinPkiRoot, VouchsafeError, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'

const WELL_KNOWN = '/.well-known/attestation-pki-root'
const MAX_BYTES = 64 * 1024
const pageSchema = z.looseObject({ root_ca_uri: z.string() })

export interface RootPin {
  readonly file: string
  /** Where to download it, once: `http://host:port`. Plain HTTP will do, since only the fingerprint is believed. */
  readonly from: string
  /** All of the SHA-256, from somewhere else than `from`. */
  readonly sha256: string
}

/**
 * The root under which tokens count. Downloaded when the file is not there, kept when it is, compared with the pin in
 * either case, and written only after that.
 *
 * @throws {VouchsafeError} `peer.unreachable`, and what `pinPkiRoot` throws
 */
export async function pinnedRoot({ file, from, sha256 }: RootPin) {
  const kept = existsSync(file)
  const pem = kept ? readFileSync(file, 'utf8') : await download(from)
  const [der = new Uint8Array(), ...others] = x509.parsePem(pem, 'CERTIFICATE')
  if (others.length > 0) throw new VouchsafeError('endorsement.malformed', 'root: more than one certificate')
  const anchor = pinPkiRoot(der, { sha256, class: 'simulated', name: 'attestation root' }, nodeCrypto)
  if (!kept) writeFileSync(file, pem, { flag: 'wx' })
  return { anchor, source: kept ? ('kept' as const) : ('downloaded' as const) }
}

async function download(from: string): Promise<string> {
  const page = parseStrictJson(await get(new URL(WELL_KNOWN, from)), { maxBytes: MAX_BYTES })
  const uri = URL.parse(parseSchema(pageSchema, page, 'root page').root_ca_uri)
  // a page that sends us elsewhere would choose whom this machine talks to
  if (uri?.origin !== new URL(from).origin)
    throw new VouchsafeError('peer.untrusted', `root page: names another origin than ${from}`)
  return get(uri)
}

async function get(url: URL): Promise<string> {
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(5_000) })
    const text = await response.text()
    if (response.ok && text.length <= MAX_BYTES) return text
    throw new Error(`status ${response.status}, ${text.length} characters`)
  } catch (cause) {
    throw new VouchsafeError('peer.unreachable', `${url.href}: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
    })
  }
}
