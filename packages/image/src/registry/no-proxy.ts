import { BlockList, isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/** Never through a proxy: there it would be another machine's loopback. */
const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

interface Target {
  /** Lower case, without brackets and without a dot at the end. */
  readonly host: string
  readonly port: string
}
type Matcher = (target: Target) => boolean

/**
 * Reads NO_PROXY as Go's httpproxy does, which skopeo, crane, cosign and docker have: names with all below them, names
 * below one (`.name`, `*.name`), addresses, networks (CIDR), each but networks with a port where one is meant, and `*`.
 * What cannot be read matches nothing, so such a host goes through the proxy. Beyond Go: `[::1]` without a port is an
 * address, and all of `.localhost` is loopback.
 *
 * @returns Whether a URL goes past the proxy.
 */
export function parseNoProxy(text: string): (url: URL) => boolean {
  const matchers = text
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .map(parseEntry)
  return (url) => {
    const target = targetOf(url)
    return isLoopback(target.host) || matchers.some((matches) => matches(target))
  }
}

function targetOf(url: URL): Target {
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '')
  return { host, port: url.port !== '' ? url.port : url.protocol === 'https:' ? '443' : '80' }
}

function isLoopback(host: string): boolean {
  const family = isIP(host)
  return family === 0
    ? host === 'localhost' || host.endsWith('.localhost')
    : LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4')
}

function parseEntry(entry: string): Matcher {
  if (entry === '*') return () => true
  const network = parseNetwork(entry)
  if (network !== undefined) return ({ host }) => contains(network, host)
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::([0-9]+))?$/.exec(entry) ?? []
  const name = bracketed ?? plain ?? entry
  const fits: Matcher = (target) => port === undefined || target.port === port
  if (isIP(name) !== 0) {
    const alone = new BlockList()
    alone.addAddress(name, isIP(name) === 6 ? 'ipv6' : 'ipv4')
    return (target) => fits(target) && contains(alone, target.host)
  }
  const below = /^\*?\./.test(name)
  const domain = domainToASCII(name.replace(/^\*?\./, '').replace(/\.$/, ''))
  if (domain === '') return () => false
  return (target) =>
    fits(target) &&
    isIP(target.host) === 0 &&
    (target.host.endsWith(`.${domain}`) || (!below && target.host === domain))
}

function parseNetwork(entry: string): BlockList | undefined {
  const [, address = '', prefix = ''] = /^([^/]*)\/([0-9]{1,3})$/.exec(entry) ?? []
  const family = isIP(address)
  if (family === 0 || Number(prefix) > (family === 6 ? 128 : 32)) return undefined
  const network = new BlockList()
  network.addSubnet(address, Number(prefix), family === 6 ? 'ipv6' : 'ipv4')
  return network
}

/** An address of IPv6 that carries one of IPv4 is that one, to BlockList as to Go. */
function contains(network: BlockList, host: string): boolean {
  const family = isIP(host)
  return family !== 0 && network.check(host, family === 6 ? 'ipv6' : 'ipv4')
}
