import { createHash, sign } from 'node:crypto'
import {
  AUTHORITY,
  derWriter as d,
  extendedKeyUsage,
  keyUsage,
  makeCertificate,
  makeKey,
  type TestExtension,
  type TestKey,
} from '@vouchsafe/testkit'
import { x509 } from '@vouchsafe/core'
import { describe, expect, test } from 'vitest'
import type { Digest } from '../oci/digest.ts'
import { writePayload } from './payload.ts'
import { ANNOTATION, type CosignSignature } from './stored-signature.ts'
import { type SignerTrust, verifyCosignSignature } from './verify-cosign.ts'
import { verificationKey } from './verification-key.ts'

/** A CA and a log of our own, so that each can say what it likes. */
const at = new Date('2026-11-01T00:00:00Z')
const ca = makeCertificate({ subject: 'test CA', extensions: AUTHORITY })
const log = makeKey('P-256')
const pem = (der: Uint8Array) =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
const payload = writePayload({
  kind: 'cosign',
  manifestDigest: `sha256:${'a'.repeat(64)}` as Digest,
  dockerReference: 'r.example/a',
  optional: null,
})

function certify(email = 'owner@clinic.example', issuer = 'https://issuer.example') {
  return makeCertificate({
    subject: 'signer',
    issuer: ca,
    extensions: [
      keyUsage('digitalSignature'),
      extendedKeyUsage('1.3.6.1.5.5.7.3.3'),
      { oid: '2.5.29.17', critical: true, value: d.sequence(d.implicit(1, new TextEncoder().encode(email))) },
      { oid: '1.3.6.1.4.1.57264.1.8', value: d.utf8String(issuer) },
    ],
  })
}
const leaf = certify()

/** What a log promises about a signature. */
function entry(
  raw: Uint8Array,
  options: {
    readonly by?: TestKey
    readonly of?: Uint8Array
    readonly signer?: string
    readonly signature?: Uint8Array
  } = {},
): string {
  const value = createHash('sha256')
    .update(options.of ?? payload)
    .digest('hex')
  const content = Buffer.from(options.signature ?? raw).toString('base64')
  const body = Buffer.from(
    JSON.stringify({
      apiVersion: '0.0.1',
      kind: 'hashedrekord',
      spec: {
        data: { hash: { algorithm: 'sha256', value } },
        signature: { content, publicKey: { content: Buffer.from(options.signer ?? pem(leaf.der)).toString('base64') } },
      },
    }),
  ).toString('base64')
  const logID = createHash('sha256').update(log.spki).digest('hex')
  const promised = { body, integratedTime: at.getTime() / 1000, logID, logIndex: 3 }
  const promise = sign('sha256', Buffer.from(JSON.stringify(promised)), (options.by ?? log).privateKey)
  return JSON.stringify({ SignedEntryTimestamp: promise.toString('base64'), Payload: promised })
}

const raw = new Uint8Array(sign('sha256', payload, leaf.key.privateKey))
const signature = (more: Readonly<Record<string, string>> = {}): CosignSignature => ({
  kind: 'cosign',
  place: 'it',
  payload,
  annotations: new Map(
    Object.entries({
      [ANNOTATION.signature]: Buffer.from(raw).toString('base64'),
      [ANNOTATION.certificate]: pem(leaf.der),
      [ANNOTATION.rekor]: entry(raw),
      ...more,
    }),
  ),
})
const trust = (more: object = {}) =>
  ({
    kind: 'fulcio',
    roots: [x509.parseCertificate(ca.der)],
    oidcIssuer: 'https://issuer.example',
    subjectEmail: 'owner@clinic.example',
    rekorKeys: [verificationKey(log.publicKey)],
    ...more,
  }) as SignerTrust

describe('GU-10 signers who are known by a certificate and a log', () => {
  test('all as wanted: the signer is named, and the log dates the act', async () => {
    const { signer } = await verifyCosignSignature(signature(), trust())
    expect(signer).toMatchObject({ subject: 'owner@clinic.example', loggedAt: at })
  })

  const another = certify()
  const wrong: readonly (readonly [string, Readonly<Record<string, string>>, object, string, string])[] = [
    ['H03 another issuer is wanted', {}, { oidcIssuer: 'https://issuer.example/' }, 'signature.mismatch', 'issuer'],
    [
      'H03 another subject is wanted',
      {},
      { subjectEmail: 'owner@clinic' },
      'signature.mismatch',
      'owner@clinic.example',
    ],
    [
      'H04 the log entry is promised by another log',
      { [ANNOTATION.rekor]: entry(raw, { by: makeKey('P-256') }) },
      {},
      'signature.untrusted',
      'not promised',
    ],
    [
      'H04 the log entry is about another payload',
      { [ANNOTATION.rekor]: entry(raw, { of: Uint8Array.of(1) }) },
      {},
      'signature.mismatch',
      'another payload',
    ],
    [
      'H04 the log entry is about another signature',
      { [ANNOTATION.rekor]: entry(raw, { signature: raw.with(9, 0) }) },
      {},
      'signature.mismatch',
      'another signature',
    ],
    [
      'H04 the log entry is about another certificate of the same key',
      { [ANNOTATION.rekor]: entry(raw, { signer: pem(another.der) }) },
      {},
      'signature.mismatch',
      'another key',
    ],
    [
      'the certificate is of another key',
      { [ANNOTATION.certificate]: pem(another.der), [ANNOTATION.rekor]: entry(raw, { signer: pem(another.der) }) },
      {},
      'signature.unverified',
      'own certificate',
    ],
    [
      'two certificates',
      { [ANNOTATION.certificate]: pem(leaf.der) + pem(another.der) },
      {},
      'signature.malformed',
      '2 certificates',
    ],
    [
      'another CA is trusted',
      {},
      { roots: [x509.parseCertificate(makeCertificate({ subject: 'test CA', extensions: AUTHORITY }).der)] },
      'signature.untrusted',
      'signature',
    ],
    ['no CA is trusted', {}, { roots: [] }, 'signature.untrusted', 'nobody'],
    ['no log is trusted', {}, { rekorKeys: [] }, 'signature.untrusted', 'not promised'],
  ]
  test.each(wrong)('%s', async (_what, annotations, more, code, message) => {
    await expect(verifyCosignSignature(signature(annotations), trust(more))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
  })
})

describe('GU-10 signers who are known by a certificate of an own PKI', () => {
  const intermediate = (purpose: readonly TestExtension[]) =>
    makeCertificate({ subject: 'own CA', issuer: ca, extensions: [...AUTHORITY, ...purpose] })
  const certifiedFor = (purpose: readonly TestExtension[], issuer = ca) => {
    const name = { oid: '2.5.29.17', value: d.sequence(d.implicit(2, new TextEncoder().encode('build.example'))) }
    const one = makeCertificate({
      subject: 'builder',
      issuer,
      extensions: [keyUsage('digitalSignature'), name, ...purpose],
    })
    const annotations = new Map([
      [ANNOTATION.signature, sign('sha256', payload, one.key.privateKey).toString('base64')],
      [ANNOTATION.certificate, pem(one.der)],
      [ANNOTATION.chain, pem(issuer.der)],
    ])
    const roots = [x509.parseCertificate(ca.der)]
    const own = { kind: 'pki', roots, intermediates: [], subjectHostname: 'build.example', at } as const
    return verifyCosignSignature({ kind: 'cosign', place: 'it', payload, annotations }, own)
  }
  const [webServer, code] = [extendedKeyUsage('1.3.6.1.5.5.7.3.1'), extendedKeyUsage('1.3.6.1.5.5.7.3.3')]

  test('one that says it is for code, or says nothing, is good', async () => {
    for (const purpose of [[], [code]])
      expect((await certifiedFor(purpose)).signer).toMatchObject({ subject: 'build.example' })
    expect((await certifiedFor([], intermediate([code]))).signer).toMatchObject({ subject: 'build.example' })
  })

  test('H03 the certificate of a web server of that name signs no image, nor does one of a CA for web servers', async () => {
    const untrusted = (message: string) => ({ code: 'signature.untrusted', message: expect.stringContaining(message) })
    await expect(certifiedFor([webServer])).rejects.toMatchObject(untrusted('extKeyUsage: lacks'))
    await expect(certifiedFor([], intermediate([webServer]))).rejects.toMatchObject(untrusted('may not certify'))
  })
})
