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
 * @param parse - Reads a block above the leaf: platforms differ in their leaf only, so a caller may know the others already.
 * @throws {VouchsafeError} `endorsement.malformed`, `input.malformed`
 */
export async function readPckChain(pem: Uint8Array, parse: ReadBlock = readBlock): Promise<PckChain> {
  const end = pem[pem.length - 1] === 0 ? pem.length - 1 : pem.length
  const certificates: Certificate[] = []
  for (const block of splitPem(pem.subarray(0, end), 'CERTIFICATE')) {
    const certificate = certificates.length === 0 ? readBlock(block) : parse(block)
    certificates.push(certificate instanceof Promise ? await certificate : certificate)
  }
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

const TYPES = ['standard', 'scalable', 'scalable-with-integrity'] as const

/**
 * Reads Intel's SGX extension. Each member once, none unknown.
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 * @source Intel SGX PCK Certificate and CRL Profile Specification 1.5, section 1.3.5
 */
export function readPck(certificate: Certificate): Pck {
  const what = `certificate ${certificate.label}: SGX extension`
  const extension = certificate.extensions.get(SGX.arc)
  if (extension === undefined) throw new VouchsafeError('endorsement.malformed', `${what} is missing`)
  const outer = new DerReader(what, extension.value)
  const found: { -readonly [K in keyof Pck]?: Pck[K] } = {}
  let tcb: ReturnType<typeof readTcb> | undefined
  const has = readMembers(outer.sequence('SGXExtensions'), SGX, (n, r) => {
    if (n === 1) found.ppid = hex(r, 'PPID', 16)
    else if (n === 2) tcb = readTcb(r)
    else if (n === 3) found.pceId = hex(r, 'PCEID', 2)
    else if (n === 4) found.fmspc = hex(r, 'FMSPC', 6)
    else if (n === 5) found.sgxType = readType(r)
    else if (n === 6) found.platformInstanceId = hex(r, 'PlatformInstanceID', 16)
    else found.configuration = readConfiguration(r)
  })
  outer.end()
  const { ppid, pceId, fmspc, sgxType, platformInstanceId, configuration } = found
  if (!ppid || !tcb || !pceId || !fmspc || !sgxType)
    throw outer.malformed(`${SGX.arc}.${[1, 2, 3, 4, 5].find((n) => !has(n))}`, 'missing')
  return {
    ppid,
    componentSvns: tcb.componentSvns,
    pceSvn: tcb.pceSvn,
    cpuSvn: tcb.cpuSvn,
    pceId,
    fmspc,
    sgxType,
    ...(platformInstanceId !== undefined && { platformInstanceId }),
    ...(configuration !== undefined && { configuration }),
  }
}

function readTcb(outer: DerReader): Pick<Pck, 'componentSvns' | 'pceSvn' | 'cpuSvn'> {
  const componentSvns = new Array<number>(16).fill(0)
  let pceSvn = 0
  let cpuSvn = ''
  const has = readMembers(outer.sequence('TCB'), TCB, (n, r) => {
    if (n <= 16) componentSvns[n - 1] = r.smallInteger('component SVN', 255)
    else if (n === 17) pceSvn = r.smallInteger('PCESVN', 0xffff)
    else cpuSvn = hex(r, 'CPUSVN', 16)
  })
  for (let n = 1; n <= TCB.last; n++) if (!has(n)) throw outer.malformed(`${TCB.arc}.${n}`, 'missing')
  return { componentSvns, pceSvn, cpuSvn }
}

function hex(r: DerReader, field: string, length: number): string {
  const value = r.octetString(field)
  if (value.length !== length) throw r.malformed(field, `${value.length} bytes, wanted ${length}`)
  return toHex(value)
}

function readType(r: DerReader): Pck['sgxType'] {
  const content = r.take('SGXType', TAG.enumerated).content
  const type = content.length === 1 ? TYPES[content[0] ?? -1] : undefined
  if (type === undefined) throw r.malformed('SGXType', 'not a type known here')
  return type
}

function readConfiguration(outer: DerReader): NonNullable<Pck['configuration']> {
  const flags = [false, false, false]
  readMembers(outer.sequence('Configuration'), CONFIGURATION, (n, r) => {
    flags[n - 1] = r.boolean('configuration')
  })
  const [dynamicPlatform = false, cachedKeys = false, smtEnabled = false] = flags
  return { dynamicPlatform, cachedKeys, smtEnabled }
}

/** A sequence whose members are told apart by the last number of their OIDs, 1 to `last`. */
interface Members {
  readonly arc: string
  /** Of the arc, whose OID every member is directly below. */
  readonly octets: Uint8Array
  readonly last: number
}

const SGX: Members = {
  arc: '1.2.840.113741.1.13.1',
  octets: Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01),
  last: 7,
}
const TCB: Members = { arc: `${SGX.arc}.2`, octets: Uint8Array.of(...SGX.octets, 2), last: 18 }
const CONFIGURATION: Members = { arc: `${SGX.arc}.7`, octets: Uint8Array.of(...SGX.octets, 7), last: 3 }

/**
 * Reads pairs (OID, value), in any order, none of them unknown or twice.
 *
 * @returns Whether there was a member of that number.
 */
function readMembers(
  list: DerReader,
  { arc, octets, last }: Members,
  read: (n: number, value: DerReader) => void,
): (n: number) => boolean {
  let seen = 0 // a bit for each
  while (!list.done) {
    const pair = list.sequence('member')
    const n = pair.oidBelow('oid', octets)
    if (n === undefined) throw list.malformed('member', `not directly below ${arc}`)
    if (n < 1 || n > last) throw list.malformed(`${arc}.${n}`, 'not known')
    if ((seen & (1 << n)) !== 0) throw list.malformed(`${arc}.${n}`, 'twice')
    seen |= 1 << n
    read(n, pair)
    pair.end()
  }
  return (n) => (seen & (1 << n)) !== 0
}
