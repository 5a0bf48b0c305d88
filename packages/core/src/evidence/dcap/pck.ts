import { toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import {
  type Certificate,
  decodePemBlock,
  DerReader,
  parseCertificate,
  sameBytes,
  splitPem,
  TAG,
  type VerifiedChain,
} from '../../x509/index.ts'

/** What a provisioning certification key certificate says about the platform that holds the key. */
export interface Pck {
  /** PPID, 32 hexadecimal digits: names the platform. */
  readonly ppid: string
  /** 16 security version numbers of the platform's components. */
  readonly componentSvns: readonly number[]
  readonly pceSvn: number
  /** CPUSVN, 32 hexadecimal digits. */
  readonly cpuSvn: string
  readonly pceId: string
  /** FMSPC, 12 hexadecimal digits: family, model, stepping, platform type, customised SKU. */
  readonly fmspc: string
  readonly sgxType: 'standard' | 'scalable' | 'scalable-with-integrity'
  /** Of multi-package platforms. */
  readonly platformInstanceId?: string
  readonly configuration?: {
    readonly dynamicPlatform: boolean
    readonly cachedKeys: boolean
    readonly smtEnabled: boolean
  }
}

/** A PCK certificate with what it says, and the certificates that came along. Nothing of it is verified. */
export interface PckChain {
  readonly leaf: Certificate
  readonly pck: Pck
  readonly intermediates: readonly Certificate[]
}

/**
 * Reads the chain of a quote.
 *
 * @param pem - Leaf first, sometimes closed by a NUL as C strings are.
 * @param parse - Reads one block: platforms differ in their leaf only, so a caller may know the others already.
 * @throws {VouchsafeError} `endorsement.malformed`, `input.malformed`
 */
export async function readPckChain(pem: Uint8Array, parse: ReadBlock = readBlock): Promise<PckChain> {
  const end = pem[pem.length - 1] === 0 ? pem.length - 1 : pem.length
  const certificates: Certificate[] = []
  for (const block of splitPem(pem.subarray(0, end), 'CERTIFICATE')) certificates.push(await parse(block))
  const [leaf, ...intermediates] = certificates
  if (leaf === undefined) throw new VouchsafeError('endorsement.malformed', 'quote: no PCK chain')
  return { leaf, pck: readPck(leaf), intermediates }
}

/**
 * Intel's chains come whole, root included. Nothing else may come along: what nobody verified would be taken for verified
 * by whoever reads the chain next.
 *
 * @throws {VouchsafeError} `endorsement.untrusted`
 */
export function assertWholeChain(presented: readonly Certificate[], { path, anchor }: VerifiedChain): void {
  for (const certificate of presented)
    if (!path.includes(certificate) && !path.some((c) => sameBytes(c.der, certificate.der)))
      if (!sameBytes(anchor.certificate.der, certificate.der))
        throw new VouchsafeError(
          'endorsement.untrusted',
          `certificate ${certificate.label}: came along, and is neither on the chain nor its pinned root`,
        )
}

type ReadBlock = (block: Uint8Array) => Certificate | Promise<Certificate>

/** @internal One block of a chain, in base64. */
export function readBlock(block: Uint8Array): Certificate {
  return parseCertificate(decodePemBlock(block))
}

const SGX = '1.2.840.113741.1.13.1'
const SGX_OCTETS = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01)
const TYPES = ['standard', 'scalable', 'scalable-with-integrity'] as const

/**
 * Reads Intel's SGX extension. Each member once, none unknown.
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 * @source Intel SGX PCK Certificate and CRL Profile Specification 1.5, section 1.3.5
 */
export function readPck(certificate: Certificate): Pck {
  const what = `certificate ${certificate.label}: SGX extension`
  const extension = certificate.extensions.get(SGX)
  if (extension === undefined) throw new VouchsafeError('endorsement.malformed', `${what} is missing`)
  const outer = new DerReader(what, extension.value)
  const members = readMembers(outer.sequence('SGXExtensions'), SGX)
  outer.end()
  const octets = (n: number, length: number) => {
    const value = members.need(n, (r) => r.octetString(`${SGX}.${n}`))
    if (value.length !== length) throw outer.malformed(`${SGX}.${n}`, `${value.length} bytes, wanted ${length}`)
    return toHex(value)
  }
  const pck = {
    ppid: octets(1, 16),
    ...members.need(2, readTcb),
    pceId: octets(3, 2),
    fmspc: octets(4, 6),
    sgxType: members.need(5, readType),
    ...(members.has(6) && { platformInstanceId: octets(6, 16) }),
    ...(members.has(7) && { configuration: members.need(7, readConfiguration) }),
  }
  members.end(7)
  return pck
}

function readTcb(outer: DerReader): Pick<Pck, 'componentSvns' | 'pceSvn' | 'cpuSvn'> {
  const members = readMembers(outer.sequence('TCB'), `${SGX}.2`)
  const componentSvns: number[] = []
  for (let n = 1; n <= 16; n++) componentSvns.push(members.need(n, readSvn))
  const pceSvn = members.need(17, (r) => r.smallInteger('PCESVN', 0xffff))
  const cpuSvn = members.need(18, (r) => r.octetString('CPUSVN'))
  if (cpuSvn.length !== 16) throw outer.malformed('CPUSVN', `${cpuSvn.length} bytes, wanted 16`)
  members.end(18)
  return { componentSvns, pceSvn, cpuSvn: toHex(cpuSvn) }
}

function readSvn(r: DerReader): number {
  return r.smallInteger('component SVN', 255)
}

function readType(r: DerReader): Pck['sgxType'] {
  const content = r.take('SGXType', TAG.enumerated).content
  const type = content.length === 1 ? TYPES[content[0] ?? -1] : undefined
  if (type === undefined) throw r.malformed('SGXType', 'not a type known here')
  return type
}

function readConfiguration(outer: DerReader): NonNullable<Pck['configuration']> {
  const members = readMembers(outer.sequence('Configuration'), `${SGX}.7`)
  const flag = (n: number) => members.has(n) && members.need(n, (r) => r.boolean('configuration'))
  const configuration = { dynamicPlatform: flag(1), cachedKeys: flag(2), smtEnabled: flag(3) }
  members.end(3)
  return configuration
}

/** A sequence of pairs (OID, value), every OID directly below `arc`, told apart by its last number. */
function readMembers(list: DerReader, arc: string) {
  const above = encodeArc(arc)
  const values: (DerReader | undefined)[] = new Array(MEMBERS).fill(undefined)
  while (!list.done) {
    const pair = list.sequence('member')
    const number = pair.oidBelow('oid', above)
    if (number === undefined) throw list.malformed('member', `not directly below ${arc}`)
    if (number >= MEMBERS) throw list.malformed(`${arc}.${number}`, 'not known')
    if (values[number] !== undefined) throw list.malformed(`${arc}.${number}`, 'twice')
    values[number] = pair
  }
  return {
    has: (n: number) => values[n] !== undefined,
    need<T>(n: number, read: (r: DerReader) => T): T {
      const r = values[n]
      if (r === undefined) throw list.malformed(`${arc}.${n}`, 'missing')
      const value = read(r)
      r.end()
      return value
    },
    /** Call last: nothing but members 1 to `last` may be there. */
    end(last: number): void {
      for (let n = 0; n < MEMBERS; n++)
        if (values[n] !== undefined && (n < 1 || n > last)) throw list.malformed(`${arc}.${n}`, 'not known')
    },
  }
}

/** No sequence here has members of a higher number than 18. */
const MEMBERS = 19

/** Content octets of the SGX arc, and of what lies one below it. */
function encodeArc(arc: string): Uint8Array {
  const below = arc.slice(SGX.length + 1)
  return below === '' ? SGX_OCTETS : Uint8Array.of(...SGX_OCTETS, Number(below))
}
