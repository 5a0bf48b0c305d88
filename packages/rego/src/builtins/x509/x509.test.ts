import {
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  makeCertificate,
  toPem,
  type CertificateSpec,
  type TestCertificate,
} from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeSignatures } from '@vouchsafe/rego/node'
import { adopt, toPlain } from '../../value/index.ts'
import { testContext } from '../testing/context.ts'
import { BUILTINS } from '../index.ts'

function call(name: string, ...args: unknown[]): unknown {
  const out = BUILTINS.get(name)!.call(testContext({ signatures: nodeSignatures }), ...args.map((a) => adopt(a)))
  return out === undefined ? undefined : toPlain(out)
}

const ca = (spec: Partial<CertificateSpec> = {}): TestCertificate =>
  makeCertificate({ subject: 'root', extensions: [basicConstraints(true), keyUsage('keyCertSign')], ...spec })
const under = (issuer: TestCertificate, spec: Partial<CertificateSpec> = {}): TestCertificate =>
  makeCertificate({ subject: 'leaf', issuer, ...spec })
const intermediate = (issuer: TestCertificate, spec: Partial<CertificateSpec> = {}): TestCertificate =>
  ca({ subject: 'between', issuer, ...spec })

type Named = { readonly Subject: { readonly CommonName: string } }

function verify(certificates: readonly TestCertificate[], options: Record<string, unknown> = {}): string[] | false {
  const out = call('crypto.x509.parse_and_verify_certificates_with_options', toPem(...certificates), options)
  const [valid, chain] = out as [boolean, Named[]]
  return valid && chain.map((c) => c.Subject.CommonName)
}

const root = ca()
const between = intermediate(root)

describe('crypto.x509.parse_and_verify_certificates', () => {
  test.each<[string, readonly TestCertificate[]]>([
    ['ECDSA keys', [root, between, under(between)]],
    ['no intermediate', [root, under(root)]],
    ['RSA keys', ((r) => [r, under(r)])(ca({ keyKind: 'RSA-2048' }))],
    ['PSS signatures', ((r) => [r, under(r, { signature: 'pss-sha384' })])(ca({ keyKind: 'RSA-2048' }))],
    ['Ed25519 keys', ((r) => [r, under(r)])(ca({ keyKind: 'Ed25519' }))],
    ['P-384 keys', ((r) => [r, under(r)])(ca({ keyKind: 'P-384' }))],
    ['intermediates in any order', ((b) => [root, b, between, under(b)])(intermediate(between, { subject: 'b' }))],
    ['the server purpose', [root, under(root, { extensions: [extendedKeyUsage('1.3.6.1.5.5.7.3.1')] })]],
  ])('accepts a chain with %s, and gives it leaf first', (_what, certificates) => {
    const names = verify(certificates)
    expect(names).toBeTruthy()
    expect((names as string[])[0]).toBe('leaf')
    expect((names as string[]).at(-1)).toBe('root')
  })

  const expired = { notAfter: new Date('2025-01-01T00:00:00Z') }
  const client = extendedKeyUsage('1.3.6.1.5.5.7.3.2')
  const unknownCritical = { oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }
  const nameConstraints = { oid: '2.5.29.30', critical: true, value: Uint8Array.of(0x30, 0) }

  test.each<[string, readonly TestCertificate[]]>([
    ['another root of the same name', [ca(), between, under(between)]],
    ['a missing intermediate', [root, under(between)]],
    ['an expired leaf', [root, under(root, expired)]],
    ['an expired intermediate', ((b) => [root, b, under(b)])(intermediate(root, expired))],
    ['an expired root', ((r) => [r, under(r)])(ca(expired))],
    ['a leaf that is not valid yet', [root, under(root, { notBefore: new Date('2040-01-01T00:00:00Z') })]],
    ['an intermediate that is no authority', ((b) => [root, b, under(b)])(under(root, { subject: 'b' }))],
    [
      'an intermediate that may not sign',
      ((b) => [root, b, under(b)])(
        intermediate(root, { extensions: [basicConstraints(true), keyUsage('digitalSignature')] }),
      ),
    ],
    [
      'more authorities than the root allows',
      ((r) => ((b) => [r, b, under(b)])(intermediate(r)))(ca({ extensions: [basicConstraints(true, 0)] })),
    ],
    ['another purpose of the leaf', [root, under(root, { extensions: [client] })]],
    [
      'another purpose of the intermediate',
      ((b) => [root, b, under(b)])(intermediate(root, { extensions: [basicConstraints(true), client] })),
    ],
    ['a critical extension nobody knows', [root, under(root, { extensions: [unknownCritical] })]],
    [
      'name constraints, which are not checked here',
      ((r) => [r, under(r)])(ca({ extensions: [basicConstraints(true), nameConstraints] })),
    ],
    ['a signature with SHA-1', ((r) => [r, under(r, { signature: 'rsa-sha1' })])(ca({ keyKind: 'RSA-2048' }))],
    ['two algorithms for one signature', [root, under(root, { outerSignature: 'ecdsa-sha384' })]],
    ['bytes behind the extensions', [root, under(root, { extra: Uint8Array.of(5, 0) })]],
    ['a root alone', [root]],
  ])('K01 refuses %s', (_what, certificates) => {
    expect(verify(certificates)).toBe(false)
  })

  test('K01 refuses a leaf that was changed after signing', () => {
    const leaf = under(root)
    const der = Uint8Array.from(leaf.der)
    der[der.length - 1]! ^= 1
    expect(verify([root, { ...leaf, der }])).toBe(false)
  })

  test('asks for the given time, purposes and name', () => {
    const at = (text: string): bigint => BigInt(Date.parse(text)) * 1_000_000n
    expect(verify([root, under(root, expired)], { CurrentTime: at('2024-06-01') })).toBeTruthy()
    expect(verify([root, under(root, expired)], { CurrentTime: at('2025-06-01') })).toBe(false)
    const forClients = [root, under(root, { extensions: [client] })]
    expect(verify(forClients, { KeyUsages: ['KeyUsageClientAuth'] })).toBeTruthy()
    expect(verify(forClients, { KeyUsages: ['KeyUsageAny'] })).toBeTruthy()
    const names = Uint8Array.of(0x30, 10, 0x82, 8, ...new TextEncoder().encode('a.exampl'))
    const named = [root, under(root, { extensions: [{ oid: '2.5.29.17', value: names }] })]
    expect(verify(named, { DNSName: 'A.exampl.' })).toBeTruthy()
    expect(verify(named, { DNSName: 'b.exampl' })).toBe(false)
    expect(verify([root, under(root)], { DNSName: 'leaf' })).toBe(false)
    expect(() => verify([root, under(root)], { Roots: [] })).toThrow(/invalid verification option/)
  })
})

describe('crypto.x509.parse_certificates', () => {
  test('fails only with its own error, whichever byte is changed', () => {
    const der = under(root).der
    for (let i = 0; i < der.length; i++) {
      const bent = Uint8Array.from(der)
      bent[i]! ^= 0x55
      try {
        call('crypto.x509.parse_certificates', Buffer.from(bent).toString('base64'))
      } catch (error) {
        expect((error as Error).name).toBe('BuiltinError')
      }
    }
  })
})
