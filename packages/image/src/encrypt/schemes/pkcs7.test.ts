import { X509Certificate } from 'node:crypto'
import { utf8, x509 } from '@vouchsafe/core'
import { derWriter as d, makeCertificate } from '@vouchsafe/testkit'
import { expect, test } from 'vitest'
import { pkcs7Keys, pkcs7Recipients } from './pkcs7.ts'

const made = makeCertificate({ subject: 'owner', keyKind: 'RSA-2048' })
const certificate = new X509Certificate(made.der)
const holder = pkcs7Keys([{ certificate, key: made.key.privateKey }])
const options = utf8('{"options":1}')

/** The packet again, with other last members of its encrypted content. */
function rewrite(packet: Uint8Array, change: (parameters: Uint8Array, content: Uint8Array) => readonly Uint8Array[]) {
  const outer = new x509.DerReader('packet', packet).sequence('info')
  const type = outer.any('type').raw
  const body = outer.inside('content', 0xa0).sequence('body')
  const [version, recipients] = [body.any('version').raw, body.any('recipients').raw]
  const content = body.sequence('content')
  const contentType = content.any('type').raw
  const algorithm = content.sequence('algorithm')
  const oid = algorithm.any('oid').raw
  const [parameters, ...rest] = change(algorithm.any('parameters').raw, content.any('content').content)
  const inner = d.sequence(contentType, d.sequence(oid, parameters ?? new Uint8Array()), ...rest)
  return d.sequence(type, d.explicit(0, d.sequence(version, recipients, inner)))
}
const primitive = (content: Uint8Array) => d.der(0x80, content)

test('GU-12 content in an octet string, and parameters as the standard has them, are read too', async () => {
  const [packet] = await pkcs7Recipients([certificate]).wrap(options)
  const older = rewrite(packet!, (parameters, content) => [parameters, d.explicit(0, d.octetString(content))])
  expect(await holder.unwrap(older)).toEqual(options)
  // the nonce stands after five octets of upstream's parameters
  const standard = rewrite(packet!, (parameters, content) => [
    d.sequence(d.octetString(parameters.subarray(6, 18)), d.integer(16)),
    primitive(content),
  ])
  expect(await holder.unwrap(standard)).toEqual(options)
})

test('H11 a changed tag opens nothing, and bytes left over are refused', async () => {
  const [packet] = await pkcs7Recipients([certificate]).wrap(options)
  const changed = rewrite(packet!, (parameters, content) => [
    parameters,
    primitive(content.with(-1, (content.at(-1) ?? 0) ^ 1)),
  ])
  expect(await holder.unwrap(changed)).toBeUndefined()
  expect(() => holder.unwrap(Uint8Array.of(...packet!, 0))).toThrow(
    expect.objectContaining({ code: 'encryption.malformed' }),
  )
})

test('a certificate of another key opens nothing', async () => {
  const other = makeCertificate({ subject: 'owner', keyKind: 'RSA-2048' })
  const [packet] = await pkcs7Recipients([new X509Certificate(other.der)]).wrap(options)
  expect(await holder.unwrap(packet!)).toBeUndefined()
})
