import { X509Certificate, constants, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { SecureServerOptions } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type DistributionInputs, VouchsafeError, fromUtf8 } from '@vouchsafe/core'
import type { TenantContext } from '../services/context.ts'
import type { Store } from '../store/store.ts'
import type { DistributorConfig } from './config.ts'

type Channel = DistributionInputs['channel']

/** How clients connect, and what their connection proves. Another one can be put in its place (TD-13). */
export interface TransportCredential {
  readonly serverOptions: SecureServerOptions
  /** @throws {VouchsafeError} `appraisal.channel` for a connection that does not prove what this transport promises */
  channelOf(socket: TLSSocket): Channel
}

type Transport = DistributorConfig['transport']
type Material = Transport['certificate']

/** Loads TLS material, from files or from the tenant's named secrets. */
export async function openTransport(
  transport: Transport,
  store: Store,
  context: TenantContext,
): Promise<TransportCredential> {
  const load = (material: Material) => loadMaterial(material, store, context)
  const common: SecureServerOptions = {
    cert: await load(transport.certificate),
    key: await load(transport.key),
    minVersion: 'TLSv1.3',
    // no resumption: a session of one client must never speak for another (decision 29)
    secureOptions: constants.SSL_OP_NO_TICKET,
    ca: [],
  }
  if (transport.kind === 'tls')
    return {
      serverOptions: common,
      channelOf: (socket) => ({ transport: 'tls', address: addressOf(socket), certificate: null, account: null }),
    }
  const ca = await load(transport.clientAuthorities)
  return {
    serverOptions: { ...common, ca, requestCert: true, rejectUnauthorized: true },
    channelOf: (socket) => {
      const certificate = clientCertificate(socket)
      return {
        transport: transport.kind,
        address: addressOf(socket),
        certificate: createHash('sha256').update(certificate.raw).digest('hex'),
        account: transport.kind === 'platform' ? accountOf(certificate) : null,
      }
    },
  }
}

/** The leaf that the client proved to hold, never one of the chain behind it. */
function clientCertificate(socket: TLSSocket): X509Certificate {
  const certificate = socket.getPeerX509Certificate()
  if (!socket.authorized || certificate === undefined)
    throw new VouchsafeError('appraisal.channel', 'the client showed no certificate of a configured authority')
  return certificate
}

/** The account that a platform's certificate authority wrote into the client's certificate: one, or none at all. */
function accountOf({ subjectAltName }: X509Certificate): string {
  const emails = (subjectAltName ?? '').split(', ').filter((name) => name.startsWith('email:'))
  const [email, ...more] = emails
  if (email === undefined || more.length > 0 || email.includes('"'))
    throw new VouchsafeError('appraisal.channel', `the client certificate names ${emails.length} accounts, wanted one`)
  return email.slice('email:'.length)
}

/** As a person would write it: IPv4 without the IPv6 mapping. */
function addressOf(socket: Socket): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=[0-9.]+$)/, '')
}

async function loadMaterial(material: Material, store: Store, context: TenantContext): Promise<string> {
  if ('file' in material)
    try {
      return readFileSync(material.file, 'utf8')
    } catch (cause) {
      throw new VouchsafeError('input.malformed', `TLS material: ${material.file} cannot be read`, { cause })
    }
  const resource = await store.resource(context.tenant.id, material.resource)
  if (resource === null)
    throw new VouchsafeError('release.unknown', `TLS material: tenant ${context.tenant.id} has no ${material.resource}`)
  return fromUtf8(context.decryptResource(resource), material.resource)
}
