import type { PeerCertificate, TLSSocket } from 'node:tls'
import { toBase64Url, transcript, VouchsafeError } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'

/** The registered label of this use; the context is empty. @source RFC 9266 sections 2 and 4.2 */
const EXPORTER_LABEL = 'EXPORTER-Channel-Binding'
const EXPORTER_BYTES = 32

/** The part of a TLS socket that binding needs. */
export interface BindableSocket extends Pick<
  TLSSocket,
  'exportKeyingMaterial' | 'getCertificate' | 'getProtocol' | 'isSessionReused'
> {
  getPeerCertificate(): Partial<PeerCertificate>
}

export interface ChannelSide {
  /** This end of the connection. */
  readonly side: 'client' | 'server'
  /** The end that shows evidence. An answer to one end is no evidence of the other (A12). */
  readonly attester: 'client' | 'server'
  /** What is spoken over the connection, with its version: evidence made for one protocol is worth nothing in another (A11). */
  readonly protocol: string
}

/**
 * What evidence must carry as its nonce to count for this very TLS connection. Both ends compute the same value and
 * nobody sends it; where anything between them terminates TLS they differ (A13).
 *
 * @param socket - After its handshake, with keys of its own: TLS 1.3, not resumed.
 * @returns base64url of 32 bytes, 43 characters: `transcript('vouchsafe/channel/v1', [attester, protocol, SHA-256 of the
 *   attester's certificate, exported keying material])`.
 * @throws {VouchsafeError} `channel.unavailable` where there is nothing to bind to. Never carry on without (A10).
 * @source RFC 9266; RFC 8446 section 7.5
 */
export function channelBinding(socket: BindableSocket, { side, attester, protocol }: ChannelSide): string {
  const version = socket.getProtocol()
  if (version !== 'TLSv1.3') throw unavailable(`${version ?? 'no TLS'}, wanted TLSv1.3`)
  if (socket.isSessionReused()) throw unavailable('a resumed session, wanted a full handshake')
  const certificate = certificateOf(socket, side === attester ? 'own' : 'peer')
  if (certificate === undefined) throw unavailable(`the ${attester} shows evidence and no certificate`)
  const fields = [attester, protocol, nodeCrypto.digest('sha256', certificate), exported(socket)]
  return toBase64Url(transcript('vouchsafe/channel/v1', fields, nodeCrypto))
}

/** DER. Not by `getPeerX509Certificate`, which takes the certificate out of the session: a second call finds none. */
function certificateOf(socket: BindableSocket, whose: 'own' | 'peer'): Uint8Array | undefined {
  const shown: Partial<PeerCertificate> | null = whose === 'own' ? socket.getCertificate() : socket.getPeerCertificate()
  const raw = shown?.raw
  return raw === undefined ? undefined : new Uint8Array(raw) // without a certificate Node gives null or an empty object
}

function exported(socket: BindableSocket): Uint8Array {
  let material: Uint8Array
  try {
    material = new Uint8Array(socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0)))
  } catch (cause) {
    throw unavailable('the TLS library exports no keying material', cause)
  }
  if (material.length !== EXPORTER_BYTES)
    throw unavailable(`${material.length} bytes exported, wanted ${EXPORTER_BYTES}`)
  if (material.every((byte) => byte === 0)) throw unavailable('the exported keying material is all zeros')
  return material
}

function unavailable(why: string, cause?: unknown): VouchsafeError {
  return new VouchsafeError('channel.unavailable', `channel binding: ${why}`, { cause })
}
