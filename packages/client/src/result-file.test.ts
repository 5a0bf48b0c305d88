import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { type P256Jwk, jwkThumbprint, toBase64Url, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { CompactEncrypt, CompactSign } from 'jose'
import { describe, expect, test } from 'vitest'
import { MAX_RESULT_BYTES, openResult, sealResult } from './result-file.ts'

function newKey(): { readonly jwk: P256Jwk; readonly privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  return { jwk: { kty: 'EC', crv: 'P-256', x, y }, privateKey }
}
const importSigner = (key: KeyObject) =>
  crypto.subtle.importKey(
    'jwk',
    key.export({ format: 'jwk' }) as JsonWebKey,
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  )

const recipient = newKey()
const proof = newKey()
const signer = { jwk: proof.jwk, privateKey: await importSigner(proof.privateKey) }
const agreement = `sha256:${'a'.repeat(64)}`
const expected = { agreement, recipient: 'clinic-a' }
const content = (text = '{"count":42}') => ({
  agreement,
  machine: 'tpm:m',
  recipient: 'clinic-a',
  decisions: { 'clinic-a': 'd-1', 'clinic-b': 'd-2' },
  result: toBase64Url(utf8(text)),
})
const refusal = (message: string) =>
  expect.objectContaining({ code: 'release.sealed-payload', message: expect.stringContaining(message) })

test('a recipient opens the exact text, and learns which key speaks for it', async () => {
  const text = ' {"count": 42,\n "mean":4.50}'
  const opened = await openResult(
    await sealResult(content(text), recipient.jwk, signer),
    expected,
    recipient.privateKey,
  )
  const { result: _sealed, ...rest } = content(text)
  expect(opened).toEqual({ ...rest, text, proofKey: jwkThumbprint(proof.jwk, nodeCrypto) })
})

test('the largest result there may be fits', async () => {
  const text = `{"count":42,"x":"${'x'.repeat(MAX_RESULT_BYTES - 19)}"}`
  expect(text).toHaveLength(MAX_RESULT_BYTES)
  const opened = await openResult(
    await sealResult(content(text), recipient.jwk, signer),
    expected,
    recipient.privateKey,
  )
  expect(opened.text).toBe(text)
})

test('nothing of the result can be read without the key', async () => {
  const sealed = await sealResult(content('{"count":42,"x":"canary"}'), recipient.jwk, signer)
  for (const part of sealed.split('.'))
    expect(Buffer.from(part, 'base64url').toString('latin1')).not.toContain('canary')
})

describe('a result is refused', () => {
  const encrypt = (inner: string, typ = 'vouchsafe-result+jwe') =>
    new CompactEncrypt(utf8(inner))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ })
      .encrypt({ ...recipient.jwk, alg: 'ECDH-ES' })
  const sign = (payload: unknown, header: object = {}) =>
    new CompactSign(utf8(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ES256', typ: 'vouchsafe-result+jws', jwk: proof.jwk, ...header })
      .sign(signer.privateKey)

  test.each<[string, () => Promise<string>, string]>([
    [
      'for another agreement',
      () => sealResult({ ...content(), agreement: `sha256:${'b'.repeat(64)}` }, recipient.jwk, signer),
      'agreement is',
    ],
    [
      'for another recipient',
      () => sealResult({ ...content(), recipient: 'clinic-b' }, recipient.jwk, signer),
      'recipient is',
    ],
    ['encrypted to another key', () => sealResult(content(), newKey().jwk, signer), ''],
    ['of another type', async () => encrypt(await sign(content()), 'vouchsafe-sealed+jwe'), 'typ'],
    [
      'A21 whose signature was made for something else',
      async () => encrypt(await sign(content(), { typ: 'vouchsafe-proof+jwt' })),
      'typ',
    ],
    ['signed by another key than it names', async () => encrypt(await sign(content(), { jwk: newKey().jwk })), ''],
    ['with a member that nobody knows', async () => encrypt(await sign({ ...content(), more: 1 })), 'more'],
    ['without its decisions', async () => encrypt(await sign({ ...content(), decisions: undefined })), 'decisions'],
    ['that is not JSON', async () => encrypt(await sign({ ...content(), result: toBase64Url(utf8('{"count":')) })), ''],
    ['not signed at all', () => encrypt(JSON.stringify(content())), ''],
    ['that is nothing', async () => 'x', ''],
  ])('%s', async (_what, make, message) => {
    await expect(openResult(await make(), expected, recipient.privateKey)).rejects.toThrow(refusal(message))
  })
})
