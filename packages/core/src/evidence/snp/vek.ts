import { VouchsafeError } from '../../base/errors.ts'
import { attribute, type Certificate, DerReader, OID } from '../../x509/index.ts'
import { SNP_PRODUCTS, type SnpProduct, type SnpTcb } from './tcb.ts'

/** What a versioned chip or loaded endorsement key certificate says about the key, beside X.509. */
export interface Vek {
  readonly kind: 'vcek' | 'vlek'
  readonly product: SnpProduct
  /** The TCB that the key was derived for. */
  readonly tcb: SnpTcb
  /** HWID: 64 bytes, 8 on Turin. VCEK only: a VLEK belongs to a cloud provider, not to a chip. */
  readonly hwid?: Uint8Array
  /** CSP_ID of a VLEK: `CN=cc-us-east-2.amazonaws.com`. */
  readonly provider?: string
}

const AMD = '1.3.6.1.4.1.3704.1'
const PARTS = { bootloader: `${AMD}.3.1`, tee: `${AMD}.3.2`, snp: `${AMD}.3.3`, microcode: `${AMD}.3.8` } as const
const FMC = `${AMD}.3.9`
const STRUCT_VERSION = `${AMD}.1`
const PRODUCT_NAME = `${AMD}.2`
const HWID = `${AMD}.4`
const CSP_ID = `${AMD}.5`
const BELOW_AMD = `${AMD}.`
const RESERVED_PARTS = [4, 5, 6, 7].map((n) => `${AMD}.3.${n}`)
const KNOWN = new Set(
  [1, 2, 4, 5, '3.1', '3.2', '3.3', '3.4', '3.5', '3.6', '3.7', '3.8', '3.9'].map((n) => `${AMD}.${n}`),
)

/**
 * Reads AMD's extensions, each by its exact OID; the certificate's parser has refused doubles (D06).
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 * @source AMD Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface Specification 1.00, table 9
 */
export function readVek(certificate: Certificate): Vek {
  const fail = (why: string) => new VouchsafeError('endorsement.malformed', `certificate ${certificate.label}: ${why}`)
  const kind = { 'SEV-VCEK': 'vcek', 'SEV-VLEK': 'vlek' }[attribute(certificate.subject, OID.commonName) ?? '']
  if (kind !== 'vcek' && kind !== 'vlek') throw fail('subject: common name is neither SEV-VCEK nor SEV-VLEK')
  for (const oid of certificate.extensions.keys())
    if (oid.startsWith(BELOW_AMD) && !KNOWN.has(oid)) throw fail(`extension ${oid} of AMD is not known`)
  const read = <T>(oid: string, parse: (r: DerReader) => T): T => {
    const extension = certificate.extensions.get(oid)
    if (extension === undefined) throw fail(`extension ${oid} is missing`)
    const r = new DerReader(`certificate ${certificate.label}: extension ${oid}`, extension.value)
    const value = parse(r)
    r.end()
    return value
  }
  const level = (oid: string) => read(oid, (r) => r.smallInteger('SPL', 255))
  const product = productOf(read(PRODUCT_NAME, (r) => r.take('productName', 0x16).content))
  if (product === undefined) throw fail(`extension ${PRODUCT_NAME}: not a product known here`)
  if (read(STRUCT_VERSION, (r) => r.smallInteger('structVersion')) !== (product === 'Turin' ? 1 : 0))
    throw fail(`extension ${STRUCT_VERSION}: not the structure of a ${product}`)
  for (const oid of RESERVED_PARTS)
    if (certificate.extensions.has(oid) && level(oid) !== 0) throw fail(`extension ${oid}: reserved, and not zero`)
  const parts = {
    bootloader: level(PARTS.bootloader),
    tee: level(PARTS.tee),
    snp: level(PARTS.snp),
    microcode: level(PARTS.microcode),
  }
  if (certificate.extensions.has(FMC) !== (product === 'Turin')) throw fail(`extension ${FMC}: only a Turin has it`)
  const tcb = product === 'Turin' ? { fmc: level(FMC), ...parts } : parts
  if (certificate.extensions.has(HWID) !== (kind === 'vcek')) throw fail(`extension ${HWID}: HWID of a ${kind}`)
  if (certificate.extensions.has(CSP_ID) !== (kind === 'vlek')) throw fail(`extension ${CSP_ID}: CSP_ID of a ${kind}`)
  if (kind === 'vlek') {
    const provider = read(CSP_ID, (r) => String.fromCharCode(...r.take('cspId', 0x16).content))
    return { kind, product, tcb, provider }
  }
  const hwid = hwidOf(certificate.extensions.get(HWID)?.value, product === 'Turin' ? 8 : 64)
  if (hwid === undefined) throw fail(`extension ${HWID}: not the HWID of a ${product}`)
  return { kind, product, tcb, hwid }
}

/** `Milan-B0` is a Milan; which stepping it is does not change whose root it has. */
function productOf(ia5: Uint8Array): SnpProduct | undefined {
  const name = String.fromCharCode(...ia5)
  return SNP_PRODUCTS.find((product) => name === product || name.startsWith(`${product}-`))
}

/** HWID stands in the extension as raw bytes; newer certificates wrap it in an OCTET STRING. */
function hwidOf(value: Uint8Array | undefined, length: number): Uint8Array | undefined {
  if (value?.length === length) return value
  return value?.length === length + 2 && value[0] === 0x04 && value[1] === length ? value.subarray(2) : undefined
}
