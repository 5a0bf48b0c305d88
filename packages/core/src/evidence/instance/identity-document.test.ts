import { generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { nodeCrypto } from '../../../node/crypto.ts'
import { toBase64 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { verifyIdentityDocument } from './identity-document.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const spki = toBase64(new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })))
const AT = new Date('2026-02-01T00:00:00Z')
const NOW = AT.getTime() / 1000
const CLAIMS = {
  iss: 'https://accounts.google.com',
  aud: 'https://tokenservice',
  iat: NOW,
  exp: NOW + 3600,
  email: 'a@p.iam.gserviceaccount.com',
  email_verified: true,
  google: { compute_engine: { instance_id: '1', instance_name: 'n', project_id: 'p', zone: 'z' } },
}
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
function documentOf(claims: unknown, header: unknown = { alg: 'RS256', kid: 'k', typ: 'JWT' }): string {
  const signed = `${encode(header)}.${encode(claims)}`
  return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`
}
const expected = {
  keys: [{ kid: 'k', alg: 'RS256', spki }],
  issuer: 'https://accounts.google.com',
  audience: 'https://tokenservice',
  maxAgeSeconds: 60,
  at: AT,
} as const
const verify = (document: string) => verifyIdentityDocument(document, expected, nodeCrypto)

describe('an instance identity document', () => {
  test('TD-11 says which instance asks, and as which account', async () => {
    expect(await verify(documentOf(CLAIMS))).toMatchObject({ instance: '1', project: 'p', memoryEncrypted: undefined })
  })

  test.each<[string, object, string]>([
    ['TD-11 DEF-18 is for another audience', { aud: 'https://other' }, 'token.audience'],
    ['DEF-18 is for several audiences', { aud: ['https://tokenservice', 'https://other'] }, 'token.malformed'],
    ['DEF-18 is by another issuer', { iss: 'https://accounts.google.com/' }, 'token.issuer'],
    ['TD-12 is too old', { iat: NOW - 61 }, 'token.age'],
    ['DEF-25 is from the future', { iat: NOW + 3 }, 'token.age'],
    ['has expired', { exp: NOW }, 'token.expired'],
    ['is not valid yet', { nbf: NOW + 60 }, 'token.expired'],
    ['is of an unverified account', { email_verified: false }, 'token.malformed'],
    ['names no instance', { google: {} }, 'token.malformed'],
    ['has a number where text belongs', { email: 7 }, 'token.malformed'],
    ['is dated by text', { iat: String(NOW) }, 'token.malformed'],
  ])('is refused when it %s', async (_why, change, code) => {
    await expect(verify(documentOf({ ...CLAIMS, ...change }))).rejects.toThrow(expect.objectContaining({ code }))
  })

  test.each<[string, string, string]>([
    ['is unsigned', `${encode({ alg: 'none', kid: 'k' })}.${encode(CLAIMS)}.`, 'token.malformed'],
    ['names an unknown key', documentOf(CLAIMS, { alg: 'RS256', kid: 'other' }), 'token.signature'],
    ['brings its key', documentOf(CLAIMS, { alg: 'RS256', kid: 'k', jwk: {} }), 'token.malformed'],
    [
      'names a member twice',
      `${encode({ alg: 'RS256', kid: 'k' })}.${Buffer.from('{"aud":"a","aud":"b"}').toString('base64url')}.AA`,
      'token.malformed',
    ],
    ['is padded', `${documentOf(CLAIMS)}=`, 'token.malformed'],
    ['has four parts', `${documentOf(CLAIMS)}.AA`, 'token.malformed'],
  ])('is refused when it %s', async (_why, document, code) => {
    await expect(verify(document)).rejects.toThrow(expect.objectContaining({ code }))
  })

  test('fails only with our own error, whatever is changed', async () => {
    const document = documentOf(CLAIMS)
    await fc.assert(
      fc.asyncProperty(fc.nat(document.length - 1), fc.constantFrom('A', '.', '_', '!', 'z'), async (at, c) => {
        const changed = document.slice(0, at) + c + document.slice(at + 1)
        if (changed === document) return
        await expect(verify(changed)).rejects.toBeInstanceOf(VouchsafeError)
      }),
      { numRuns: 200, seed: 7 },
    )
  })

  test.skipIf(missingVectors())(
    'TD-25 DEF-18 a recorded one of a confidential VM reads as such, and only for its own audience',
    async () => {
      const { claims } = JSON.parse(readVectorText('seed-systems/jwt/gce-identity-sev-2021.json')) as {
        claims: { iat: number }
      }
      const at = new Date((claims.iat + 1) * 1000)
      const own = { ...expected, at, audience: 'foo.bar' }
      const read = await verifyIdentityDocument(documentOf(claims), own, nodeCrypto)
      expect(read).toMatchObject({ instance: '5055893581146000589', memoryEncrypted: true })
      await expect(verifyIdentityDocument(documentOf(claims), { ...expected, at }, nodeCrypto)).rejects.toThrow(
        expect.objectContaining({ code: 'token.audience' }),
      )
    },
  )
})
