import { toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { type Certificate, DerReader, TAG } from '../../x509/index.ts'

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

const SGX = '1.2.840.113741.1.13.1'
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
  const componentSvns = Array.from({ length: 16 }, (_, i) =>
    members.need(i + 1, (r) => r.smallInteger(`${SGX}.2.${i + 1}`, 255)),
  )
  const pceSvn = members.need(17, (r) => r.smallInteger('PCESVN', 0xffff))
  const cpuSvn = members.need(18, (r) => r.octetString('CPUSVN'))
  if (cpuSvn.length !== 16) throw outer.malformed('CPUSVN', `${cpuSvn.length} bytes, wanted 16`)
  members.end(18)
  return { componentSvns, pceSvn, cpuSvn: toHex(cpuSvn) }
}

function readType(r: DerReader): Pck['sgxType'] {
  const content = r.take('SGXType', TAG.enumerated).content
  const type = content.length === 1 ? TYPES[content[0] ?? -1] : undefined
  if (type === undefined) throw r.malformed('SGXType', 'not a type known here')
  return type
}

function readConfiguration(outer: DerReader): NonNullable<Pck['configuration']> {
  const members = readMembers(outer.sequence('Configuration'), `${SGX}.7`)
  const flag = (n: number) => members.has(n) && members.need(n, (r) => r.boolean(`${SGX}.7.${n}`))
  const configuration = { dynamicPlatform: flag(1), cachedKeys: flag(2), smtEnabled: flag(3) }
  members.end(3)
  return configuration
}

/** A sequence of pairs (OID, value), every OID directly below `arc`. */
function readMembers(list: DerReader, arc: string) {
  const values = new Map<string, DerReader>()
  while (!list.done) {
    const pair = list.sequence('member')
    const oid = pair.oid('oid')
    if (values.has(oid)) throw list.malformed(oid, 'twice')
    values.set(oid, pair)
  }
  return {
    has: (n: number) => values.has(`${arc}.${n}`),
    need<T>(n: number, read: (r: DerReader) => T): T {
      const r = values.get(`${arc}.${n}`)
      if (r === undefined) throw list.malformed(`${arc}.${n}`, 'missing')
      const value = read(r)
      r.end()
      return value
    },
    /** Call last: nothing but members 1 to `last` may be there. */
    end(last: number): void {
      for (const oid of values.keys())
        if (!Array.from({ length: last }, (_, i) => `${arc}.${i + 1}`).includes(oid))
          throw list.malformed(oid, 'not known')
    },
  }
}
