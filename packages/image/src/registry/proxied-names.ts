import { ImageError } from '../errors.ts'

/** Names of the clouds' metadata services: what `checkAddress` refuses by address. */
const NEVER: ReadonlySet<string> = new Set([
  'instance-data',
  'instance-data.ec2.internal',
  'metadata',
  'metadata.azure.internal',
  'metadata.goog',
  'metadata.google.internal',
  'metadata.tencentyun.com',
])

/**
 * What only a private network gives an address to: `.internal` and `.local` by reservation, the others by the habit
 * that RFC 6762 warns of.
 *
 * @source RFC 6761; RFC 6762, appendix G; RFC 8375; ICANN resolution 2024.07.29.06 (.internal)
 */
const PRIVATE_ENDS = ['corp', 'home', 'home.arpa', 'internal', 'intranet', 'lan', 'local', 'localdomain', 'private']

/**
 * Refuses a name that a proxy is not asked for (H13). The proxy resolves names, so the addresses behind one cannot be
 * judged here; what is left is judged instead: a name that belongs to a private network is one, and needs the same
 * permission as a private address. That a public name leads into the proxy's own network only the proxy can refuse.
 *
 * @throws {ImageError} `registry.address`.
 */
export function checkProxiedName(hostname: string, host: string, privateNetwork: boolean): void {
  if (/^\[|^[0-9.]+$/.test(hostname)) return // an address: judged already, as one
  const name = hostname.replace(/\.+$/, '')
  if (NEVER.has(name))
    throw new ImageError('registry.address', `${host}: a metadata service, which no proxy is asked for`)
  const inside = !name.includes('.') || PRIVATE_ENDS.some((end) => name.endsWith(`.${end}`))
  if (inside && !privateNetwork)
    throw new ImageError(
      'registry.address',
      `${host}: a name of a private network, which its configuration does not allow a proxy to be asked for`,
    )
}
