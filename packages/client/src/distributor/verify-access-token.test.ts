import { generateKeyPairSync } from 'node:crypto'
import { p256JwkSchema, parseSchema } from '@vouchsafe/core'
import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { verifyAccessToken } from './verify-access-token.ts'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const { privateKey: stranger } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const at = new Date('2026-01-02T00:00:00Z')
const iat = at.getTime() / 1000
const expected = {
  issuer: 'vouchsafe:production:b:alice',
  audience: 'https://secrets.example',
  keys: new Map([['k', parseSchema(p256JwkSchema, publicKey.export({ format: 'jwk' }), 'key')]]),
  nonce: 'relying-party-1',
  simulated: 'refused',
  at,
} as const
const good = {
  iss: expected.issuer,
  aud: expected.audience,
  sub: 'instance:1',
  jti: 'j',
  iat,
  exp: iat + 300,
  resources: ['r'],
  rights: ['read'],
  eat_nonce: expected.nonce,
  submods: {
    instance: { project: 'p', zone: 'z', name: 'n', account: 'a', memory_encryption: 'SEV_SNP' },
    tpm: { ak: '000b', registers: { 0: '00' }, secboot: true },
  },
  'vouchsafe.class': 'tpm-hardware',
  'vouchsafe.simulated': false,
  'vouchsafe.decision': 'd',
}
const sign = (claims: object, header: object = {}, key = privateKey) =>
  new SignJWT({ ...good, ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'vouchsafe-access+jwt', kid: 'k', ...header })
    .sign(key)
const refusal = (code: string) => expect.objectContaining({ code })

test('a token for this audience and this request is believed', async () => {
  expect(await verifyAccessToken(await sign({}), expected)).toEqual(good)
  expect(
    await verifyAccessToken(await sign({ eat_nonce: undefined }), { ...expected, nonce: 'not-checked' }),
  ).toMatchObject({
    jti: 'j',
  })
})

test.each([
  ['E09 another audience', { aud: 'https://other.example' }, 'token.audience'],
  ['E09 a list of audiences', { aud: [expected.audience] }, 'token.malformed'],
  ['another issuer', { iss: 'vouchsafe:production:b:bob' }, 'token.issuer'],
  ['a simulated store', { 'vouchsafe.simulated': true }, 'token.issuer'],
  ['E19 another nonce', { eat_nonce: 'relying-party-2' }, 'token.nonce'],
  ['E19 its nonce among others', { eat_nonce: [expected.nonce, 'relying-party-2'] }, 'token.nonce'],
  ['E19 no nonce', { eat_nonce: undefined }, 'token.nonce'],
  ['a time to come', { iat: iat + 60, exp: iat + 300 }, 'token.expired'],
  ['a time that is over', { iat: iat - 400, exp: iat - 100 }, 'token.expired'],
  ['a life of nothing', { exp: iat }, 'token.expired'],
  ['E11 times in milliseconds', { exp: (iat + 300) * 1000 }, 'token.malformed'],
  ['no rights', { rights: [] }, 'token.malformed'],
  ['a member that nobody knows', { admin: true }, 'token.malformed'],
  ['nothing said of the machine', { submods: {} }, 'token.malformed'],
] as const)('a token of %s is refused', async (_what, claims, code) => {
  await expect(verifyAccessToken(await sign(claims), expected)).rejects.toThrow(refusal(code))
})

test.each([
  ['an attestation result, which is bound to a key', { typ: 'ear+jwt' }, 'token.malformed'],
  ['E08 one under a key of another name', { kid: 'l' }, 'token.signature'],
  ['E03 one that brings its key', { jwk: publicKey.export({ format: 'jwk' }) }, 'token.malformed'],
])('%s is refused', async (_what, header, code) => {
  await expect(verifyAccessToken(await sign({}, header), expected)).rejects.toThrow(refusal(code))
})

test('E08 one signed by somebody else is refused', async () => {
  await expect(verifyAccessToken(await sign({}, {}, stranger), expected)).rejects.toThrow(refusal('token.signature'))
})

test('an empty nonce is no nonce', async () => {
  const empty = await sign({ eat_nonce: '' })
  await expect(verifyAccessToken(empty, { ...expected, nonce: '' })).rejects.toThrow(refusal('token.nonce'))
})
