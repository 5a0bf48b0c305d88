import { lookup as systemLookup, type LookupAddress } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { ImageError } from '../errors.ts'

/** Never a registry: link-local with the clouds' metadata services, unspecified, multicast, reserved. */
const NEVER = new BlockList()
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  NEVER.addSubnet(net, prefix, 'ipv4')
NEVER.addAddress('100.100.100.200', 'ipv4') // metadata of one cloud, inside the carrier range
NEVER.addAddress('168.63.129.16', 'ipv4') // the host's agent of another
for (const [net, prefix] of [
  ['::', 128],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  NEVER.addSubnet(net, prefix, 'ipv6')
NEVER.addAddress('fd00:ec2::254', 'ipv6')
NEVER.addAddress('fd20:ce::254', 'ipv6')

/** Only for hosts whose configuration says so. */
const PRIVATE = new BlockList()
for (const [net, prefix] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
] as const)
  PRIVATE.addSubnet(net, prefix, 'ipv4')
PRIVATE.addSubnet('::1', 128, 'ipv6')
PRIVATE.addSubnet('fc00::', 7, 'ipv6')
PRIVATE.addSubnet('fec0::', 10, 'ipv6') // site-local: given up by the standards, still routed by some

/**
 * Refuses an address that no registry has (H13). Addresses of IPv6 that carry one of IPv4 are judged by that one.
 *
 * @throws {ImageError} `registry.address`.
 */
export function checkAddress(address: string, host: string, privateNetwork: boolean): void {
  for (const candidate of [address, ...embeddedIpv4(address)]) {
    const family = isIP(candidate) === 6 ? 'ipv6' : 'ipv4'
    if (NEVER.check(candidate, family))
      throw new ImageError('registry.address', `${host}: ${address} is a link-local, metadata or reserved address`)
    if (!privateNetwork && PRIVATE.check(candidate, family))
      throw new ImageError(
        'registry.address',
        `${host}: ${address} is in a private network, which its configuration does not allow`,
      )
  }
}

/**
 * A resolver for one connection: what it lets through is what is connected to, so a name cannot be checked with one
 * address and used with another.
 */
export function guardedLookup(
  host: string,
  privateNetwork: boolean,
  lookup: typeof systemLookup = systemLookup,
): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, '', 0)
      try {
        for (const { address } of addresses) checkAddress(address, host, privateNetwork)
      } catch (refusal) {
        return callback(refusal as Error, '', 0)
      }
      const [first] = addresses
      if (options.all === true) callback(null, addresses)
      else if (first === undefined) callback(new Error(`no address for ${hostname}`), '', 0)
      else callback(null, first.address, first.family)
    })
  }
}

/** A host written as an address is connected to without a look-up, so it is checked here. */
export function checkLiteralHost(hostname: string, host: string, privateNetwork: boolean): void {
  const bare = hostname.replace(/^\[|\]$/g, '')
  if (isIP(bare) !== 0) checkAddress(bare, host, privateNetwork)
}

/** ::ffff:a.b.c.d, 64:ff9b::a.b.c.d (NAT64), 2002:… (6to4): the IPv4 address inside. */
function embeddedIpv4(address: string): string[] {
  if (isIP(address) !== 6) return []
  const groups = expandIpv6(address)
  const v4 = (high: number, low: number) => [`${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`]
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups
  if (a === 0x2002) return v4(b, c)
  const nat64 = a === 0x64 && b === 0xff9b
  const mapped = a === 0 && b === 0 && c === 0 && d === 0 && (e === 0 || e === 0xffff) && (f === 0 || f === 0xffff)
  return (nat64 || mapped) && !(mapped && g === 0 && h <= 1) ? v4(g, h) : []
}

function expandIpv6(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address.replace(/%.*$/, ''))
  const hex =
    dotted === null
      ? address.replace(/%.*$/, '')
      : `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`
  const [head = '', tail] = hex.split('::')
  const parse = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const start = parse(head)
  const end = parse(tail ?? '')
  return tail === undefined ? start : [...start, ...new Array<number>(8 - start.length - end.length).fill(0), ...end]
}
