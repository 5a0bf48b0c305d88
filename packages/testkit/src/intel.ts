import { sign } from 'node:crypto'
import * as d from './der.ts'
import {
  basicConstraints,
  crlDistributionPoint,
  keyIdentifiers,
  keyUsage,
  makeCertificate,
  makeKey,
  type TestCertificate,
  type TestExtension,
  type TestKey,
} from './x509.ts'

/** A fake Intel: root, PCK CAs, TCB signer, quoting enclave, quotes and collateral, all in Intel's encodings. */

export interface IntelAuthorities {
  readonly root: TestCertificate
  readonly platformCa: TestCertificate
  readonly processorCa: TestCertificate
  readonly tcbSigner: TestCertificate
}

/** @param more - Further extensions of the root, for who needs it to be of a certain size. */
export function makeIntelAuthorities(more: readonly TestExtension[] = []): IntelAuthorities {
  const signs = keyUsage('keyCertSign', 'cRLSign')
  const list = crlDistributionPoint('https://certificates.trustedservices.intel.com/IntelSGXRootCA.der')
  const extensions = [basicConstraints(true, 1), signs, list, ...more]
  const root = makeCertificate({ subject: 'Intel SGX Root CA', extensions })
  const ca = (subject: string) =>
    makeCertificate({ subject, issuer: root, extensions: [basicConstraints(true, 0), signs, list] })
  return {
    root,
    platformCa: ca('Intel SGX PCK Platform CA'),
    processorCa: ca('Intel SGX PCK Processor CA'),
    tcbSigner: makeCertificate({
      subject: 'Intel SGX TCB Signing',
      issuer: root,
      extensions: [basicConstraints(false), keyUsage('digitalSignature'), list],
    }),
  }
}

const SGX = '1.2.840.113741.1.13.1'

export interface PckSpec {
  readonly authorities: IntelAuthorities
  readonly issuer?: TestCertificate
  readonly subject?: string
  readonly key?: TestKey
  readonly serial?: number
  readonly componentSvns?: readonly number[]
  readonly pceSvn?: number
  readonly fmspc?: string
  readonly pceId?: string
  readonly ppid?: string
  readonly notAfter?: Date
  /** Changes the members of the SGX extension after they were made: OID to encoded value. */
  readonly editSgx?: (members: [oid: string, value: Uint8Array][]) => void
  /** Replaces the whole SGX extension; null leaves it out. */
  readonly sgxExtension?: Uint8Array | null
}

export const TEST_FMSPC = '00806f050000'

export function makePck(spec: PckSpec): TestCertificate {
  const svns = spec.componentSvns ?? defaultComponents()
  const octets = (hex: string) => d.octetString(Buffer.from(hex, 'hex'))
  const pair = ([oid, value]: readonly [string, Uint8Array]) => d.sequence(d.oid(oid), value)
  const tcb = [
    ...svns.map((svn, i): [string, Uint8Array] => [`${SGX}.2.${i + 1}`, d.integer(svn)]),
    [`${SGX}.2.17`, d.integer(spec.pceSvn ?? 13)],
    [`${SGX}.2.18`, d.octetString(Uint8Array.from(svns))],
  ] as [string, Uint8Array][]
  const configuration = [d.boolean(true), d.boolean(false), d.boolean(true)].map((flag, i) =>
    pair([`${SGX}.7.${i + 1}`, flag]),
  )
  const members: [string, Uint8Array][] = [
    [`${SGX}.1`, octets(spec.ppid ?? '00112233445566778899aabbccddeeff')],
    [`${SGX}.2`, d.sequence(...tcb.map(pair))],
    [`${SGX}.3`, octets(spec.pceId ?? '0000')],
    [`${SGX}.4`, octets(spec.fmspc ?? TEST_FMSPC)],
    [`${SGX}.5`, d.enumerated(1)],
    [`${SGX}.6`, octets('ff'.repeat(16))],
    [`${SGX}.7`, d.sequence(...configuration)],
  ]
  spec.editSgx?.(members)
  const extension = spec.sgxExtension === undefined ? d.sequence(...members.map(pair)) : spec.sgxExtension
  const key = spec.key ?? makeKey('P-256')
  const issuer = spec.issuer ?? spec.authorities.platformCa
  return makeCertificate({
    subject: spec.subject ?? 'Intel SGX PCK Certificate',
    issuer,
    key,
    ...(spec.serial !== undefined && { serial: spec.serial }),
    ...(spec.notAfter && { notAfter: spec.notAfter }),
    // Google's verifier counts them: six
    extensions: [
      ...keyIdentifiers(key, issuer.key),
      crlDistributionPoint(
        'https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der',
      ),
      basicConstraints(false),
      keyUsage('digitalSignature'),
      ...(extension === null ? [] : [{ oid: SGX, value: extension }]),
    ],
  })
}

export function defaultComponents(): readonly number[] {
  return [7, 7, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]
}

/** SVNs of the first bytes; the rest is zero. */
export function svns(...first: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes.set(first)
  return bytes
}

export function toPem(...certificates: readonly { readonly der: Uint8Array }[]): string {
  const lines = (der: Uint8Array) =>
    Buffer.from(der)
      .toString('base64')
      .replace(/.{1,64}/g, '$&\n')
  return certificates.map(({ der }) => `-----BEGIN CERTIFICATE-----\n${lines(der)}-----END CERTIFICATE-----\n`).join('')
}

/** r ‖ s, ECDSA over SHA-256. */
export function rawSign(key: TestKey, data: Uint8Array): Uint8Array {
  return new Uint8Array(sign('sha256', data, { key: key.privateKey, dsaEncoding: 'ieee-p1363' }))
}
