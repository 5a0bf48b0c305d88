import * as d from './der.ts'
import { sign } from 'node:crypto'
import {
  basicConstraints,
  keyUsage,
  makeCertificate,
  makeKey,
  type TestCertificate,
  type TestExtension,
  type TestKey,
} from './x509.ts'

/**
 * A fake AMD: roots of its own, AMD's real encodings. Keys are RSA-2048 where AMD's have 4096 bits, because making them
 * would take longer than all tests.
 */

export type AmdProduct = 'Milan' | 'Genoa' | 'Turin'

export interface AmdTcb {
  readonly fmc?: number
  readonly bootloader: number
  readonly tee: number
  readonly snp: number
  readonly microcode: number
}

export interface AmdAuthorities {
  readonly product: AmdProduct
  readonly ark: TestCertificate
  readonly ask: TestCertificate
  readonly asvk: TestCertificate
}

const AMD = '1.3.6.1.4.1.3704.1'

/** @param more - Further extensions of the root, such as the mark of a simulator. */
export function makeAmdAuthorities(product: AmdProduct, more: readonly TestExtension[] = []): AmdAuthorities {
  const key = () => makeKey('RSA-2048')
  const signature = 'pss-sha384'
  const root = [basicConstraints(true), keyUsage('keyCertSign', 'cRLSign'), ...more]
  const below = [basicConstraints(true, 0), keyUsage('keyCertSign')]
  const ark = makeCertificate({ subject: `ARK-${product}`, key: key(), signature, extensions: root })
  const issued = (subject: string) =>
    makeCertificate({ subject, key: key(), issuer: ark, signature, extensions: below })
  return { product, ark, ask: issued(`SEV-${product}`), asvk: issued(`SEV-VLEK-${product}`) }
}

export interface VekSpec {
  readonly authorities: AmdAuthorities
  readonly kind?: 'vcek' | 'vlek'
  readonly tcb?: AmdTcb
  readonly hwid?: Uint8Array
  readonly wrapHwid?: boolean
  readonly productName?: string
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly serial?: number
  /** Signed by this one in place of the authority that should. */
  readonly issuer?: TestCertificate
  readonly key?: TestKey
  readonly subject?: string
  /** Changes the list of extensions after it was made. */
  readonly edit?: (extensions: readonly TestExtension[]) => readonly TestExtension[]
}

export function makeVek(spec: VekSpec): TestCertificate {
  const { authorities } = spec
  const kind = spec.kind ?? 'vcek'
  const turin = authorities.product === 'Turin'
  const tcb = spec.tcb ?? defaultTcb(authorities.product)
  const int = (suffix: string, value: number) => ({ oid: `${AMD}.${suffix}`, value: d.integer(value) })
  const hwid = spec.hwid ?? testHwid(authorities.product)
  const extensions: readonly TestExtension[] = [
    int('1', turin ? 1 : 0),
    { oid: `${AMD}.2`, value: d.ia5String(spec.productName ?? authorities.product) },
    ...(turin ? [int('3.9', tcb.fmc ?? 0)] : []),
    int('3.1', tcb.bootloader),
    int('3.2', tcb.tee),
    int('3.3', tcb.snp),
    ...(turin ? [] : [int('3.4', 0)]),
    int('3.5', 0),
    int('3.6', 0),
    int('3.7', 0),
    int('3.8', tcb.microcode),
    kind === 'vcek'
      ? { oid: `${AMD}.4`, value: spec.wrapHwid ? d.octetString(hwid) : hwid }
      : { oid: `${AMD}.5`, value: d.ia5String('CN=cc-test.example.com') },
  ]
  return makeCertificate({
    subject: spec.subject ?? (kind === 'vcek' ? 'SEV-VCEK' : 'SEV-VLEK'),
    issuer: spec.issuer ?? (kind === 'vcek' ? authorities.ask : authorities.asvk),
    key: spec.key ?? makeKey('P-384'),
    serial: spec.serial ?? 0,
    signature: 'pss-sha384',
    extensions: spec.edit?.(extensions) ?? extensions,
    ...(spec.notBefore && { notBefore: spec.notBefore }),
    ...(spec.notAfter && { notAfter: spec.notAfter }),
  })
}

export function defaultTcb(product: AmdProduct): AmdTcb {
  const tcb = { bootloader: 4, tee: 0, snp: 24, microcode: 219 }
  return product === 'Turin' ? { fmc: 1, ...tcb } : tcb
}

/** Distinct bytes, so that a comparison of a part would be noticed. */
export function testHwid(product: AmdProduct): Uint8Array {
  return Uint8Array.from({ length: product === 'Turin' ? 8 : 64 }, (_, i) => i + 1)
}

/** Every field of a report by its meaning; what is left out is as a healthy platform has it. */
export interface SnpReportSpec {
  readonly product: AmdProduct
  readonly version?: number
  readonly guestSvn?: number
  readonly policy?: bigint
  readonly familyId?: Uint8Array
  readonly imageId?: Uint8Array
  readonly vmpl?: number
  readonly signatureAlgorithm?: number
  readonly platformInfo?: bigint
  readonly keyInfo?: number
  readonly reportData?: Uint8Array
  readonly measurement?: Uint8Array
  readonly hostData?: Uint8Array
  readonly idKeyDigest?: Uint8Array
  readonly authorKeyDigest?: Uint8Array
  readonly reportId?: Uint8Array
  readonly migrationAgentReportId?: Uint8Array
  readonly tcb?: AmdTcb
  readonly currentTcb?: AmdTcb
  readonly committedTcb?: AmdTcb
  readonly launchTcb?: AmdTcb
  /** Overrides all eight bytes of REPORTED_TCB. */
  readonly rawReportedTcb?: Uint8Array
  readonly cpu?: readonly [family: number, model: number, stepping: number]
  readonly chipId?: Uint8Array
  readonly currentFirmware?: readonly [build: number, minor: number, major: number]
  readonly committedFirmware?: readonly [build: number, minor: number, major: number]
  readonly launchMitigations?: bigint
  readonly currentMitigations?: bigint
}

const CPU = { Milan: [0x19, 1, 1], Genoa: [0x19, 0x11, 1], Turin: [0x1a, 2, 1] } as const

/** The 1184 bytes of a report, with a signature of zeros. */
export function encodeSnpReport(spec: SnpReportSpec): Uint8Array {
  const out = new Uint8Array(1184)
  const data = new DataView(out.buffer)
  const version = spec.version ?? 3
  const tcb = spec.tcb ?? defaultTcb(spec.product)
  const put = (at: number, bytes: Uint8Array | undefined) => bytes && out.set(bytes, at)
  data.setUint32(0x00, version, true)
  data.setUint32(0x04, spec.guestSvn ?? 0, true)
  data.setBigUint64(0x08, spec.policy ?? 0x3_0000n, true)
  put(0x10, spec.familyId)
  put(0x20, spec.imageId)
  data.setUint32(0x30, spec.vmpl ?? 0, true)
  data.setUint32(0x34, spec.signatureAlgorithm ?? 1, true)
  put(0x38, encodeTcb(spec.product, spec.currentTcb ?? tcb))
  data.setBigUint64(0x40, spec.platformInfo ?? 0x25n, true)
  data.setUint32(0x48, spec.keyInfo ?? 0, true)
  put(0x50, spec.reportData)
  put(0x90, spec.measurement)
  put(0xc0, spec.hostData)
  put(0xe0, spec.idKeyDigest)
  put(0x110, spec.authorKeyDigest)
  put(0x140, spec.reportId)
  put(0x160, spec.migrationAgentReportId ?? new Uint8Array(32).fill(0xff))
  put(0x180, spec.rawReportedTcb ?? encodeTcb(spec.product, tcb))
  if (version >= 3) put(0x188, Uint8Array.from(spec.cpu ?? CPU[spec.product]))
  put(0x1a0, spec.chipId ?? testHwid(spec.product))
  put(0x1e0, encodeTcb(spec.product, spec.committedTcb ?? tcb))
  put(0x1e8, Uint8Array.from(spec.currentFirmware ?? [29, 55, 1]))
  put(0x1ec, Uint8Array.from(spec.committedFirmware ?? spec.currentFirmware ?? [29, 55, 1]))
  put(0x1f0, encodeTcb(spec.product, spec.launchTcb ?? tcb))
  if (version >= 5) {
    data.setBigUint64(0x1f8, spec.launchMitigations ?? 1n, true)
    data.setBigUint64(0x200, spec.currentMitigations ?? 1n, true)
  }
  return out
}

/** Signs whatever stands in the first 0x2a0 bytes, sound or not. */
export function signSnpReport(report: Uint8Array, key: TestKey): Uint8Array {
  const signature = sign('sha384', report.subarray(0, 0x2a0), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  const out = new Uint8Array(report)
  out.fill(0, 0x2a0)
  out.set(Uint8Array.from(signature.subarray(0, 48)).reverse(), 0x2a0)
  out.set(Uint8Array.from(signature.subarray(48)).reverse(), 0x2a0 + 72)
  return out
}

export function makeSnpReport(spec: SnpReportSpec, vek: TestCertificate): Uint8Array {
  return signSnpReport(encodeSnpReport(spec), vek.key)
}

function encodeTcb(product: AmdProduct, tcb: AmdTcb): Uint8Array {
  return product === 'Turin'
    ? Uint8Array.of(tcb.fmc ?? 0, tcb.bootloader, tcb.tee, tcb.snp, 0, 0, 0, tcb.microcode)
    : Uint8Array.of(tcb.bootloader, tcb.tee, 0, 0, 0, 0, tcb.snp, tcb.microcode)
}

/** The host's certificate table: 24 bytes an entry, a terminator, then the contents. */
export function encodeSnpCertificateTable(
  entries: readonly (readonly [guid: string, content: Uint8Array])[],
): Uint8Array {
  const header = new Uint8Array((entries.length + 1) * 24)
  const data = new DataView(header.buffer)
  let offset = header.length
  for (const [i, [guid, content]] of entries.entries()) {
    header.set(Buffer.from(guid.replaceAll('-', ''), 'hex'), i * 24)
    data.setUint32(i * 24 + 16, offset, true)
    data.setUint32(i * 24 + 20, content.length, true)
    offset += content.length
  }
  return d.join(header, ...entries.map(([, content]) => content))
}
