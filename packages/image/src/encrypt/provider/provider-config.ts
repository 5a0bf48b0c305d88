import { asObject, asString, asStringList, member, optional, readAs } from '../../oci/json.ts'
import { malformed, readEncryptionJson } from '../read-json.ts'
import type { ProviderCommand } from './command.ts'

/** How a provider is reached. */
export type ProviderAddress =
  | { readonly kind: 'command'; readonly command: ProviderCommand }
  | { readonly kind: 'grpc'; readonly address: string; readonly tls?: ProviderTls }
  /** Upstream's guests alone speak these. */
  | { readonly kind: 'unsupported'; readonly how: 'ttrpc' | 'native' }

/** Files, as the configuration names them. */
export interface ProviderTls {
  readonly rootCaFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly serverName?: string
}

/**
 * Reads the file that `OCICRYPT_KEYPROVIDER_CONFIG` names for stock tools: `key-providers`, by name. A command counts
 * before gRPC, and that before the others.
 *
 * @throws {ImageError} `encryption.malformed`; also where TLS would not check the server.
 */
export function parseProviderConfig(bytes: Uint8Array, what: string): ReadonlyMap<string, ProviderAddress> {
  const file = readEncryptionJson(bytes, what)
  return readAs('encryption.malformed', () => {
    const providers = asObject(member(file, 'key-providers') ?? {}, `${what}: key-providers`)
    return new Map(Object.entries(providers).map(([name, entry]) => [name, readAddress(entry, `${what}: ${name}`)]))
  })
}

function readAddress(entry: unknown, name: string): ProviderAddress {
  const object = asObject(entry, name)
  const command = optional(object, 'cmd', name, asObject)
  if (command !== undefined) {
    const args = optional(command, 'args', name, asStringList) ?? []
    return { kind: 'command', command: { path: asString(member(command, 'path'), `${name}.cmd.path`), args } }
  }
  const address = optional(object, 'grpc', name, asString)
  const tls = optional(object, 'grpc-tls', name, asObject)
  if (address !== undefined) return { kind: 'grpc', address, ...(tls === undefined ? {} : { tls: readTls(tls, name) }) }
  if (optional(object, 'ttrpc', name, asString) !== undefined) return { kind: 'unsupported', how: 'ttrpc' }
  if (optional(object, 'native', name, asString) !== undefined) return { kind: 'unsupported', how: 'native' }
  throw malformed(name, 'has none of cmd, grpc, ttrpc, native')
}

function readTls(tls: ReturnType<typeof asObject>, name: string): ProviderTls {
  if (member(tls, 'insecure-skip-verify') === true)
    throw malformed(`${name}.grpc-tls`, 'insecure-skip-verify would hand keys to whoever answers')
  const file = (member: string) => {
    const value = optional(tls, member, name, asString)
    return value === '' ? undefined : value
  }
  const [rootCaFile, certFile, keyFile, serverName] = ['root-ca-file', 'cert-file', 'key-file', 'server-name'].map(file)
  return {
    ...(rootCaFile === undefined ? {} : { rootCaFile }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
    ...(serverName === undefined ? {} : { serverName }),
  }
}
