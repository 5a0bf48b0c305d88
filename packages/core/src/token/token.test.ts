import { createHmac, generateKeyPairSync } from 'node:crypto'
import { CompactSign } from 'jose'
import { expect, test } from 'vitest'
import { nodeCrypto } from '../../node/index.ts'
import { appraise } from '../appraisal/appraise.ts'
import { toBase64Url, utf8 } from '../base/encoding.ts'
import { jwkThumbprint } from '../base/keys.ts'
import { agreement, goodClaims, newP256 } from '../testing/agreement-fixture.ts'
import { issueToken } from './issue.ts'
import { signProof, verifyProof } from './proof.ts'
import { verifyToken } from './verify.ts'

const at = new Date('2026-02-02T00:00:00Z')
const agreed = agreement()
const claims = goodClaims(agreed)
const result = {
  claims,
  appraisal: appraise(claims, { agreement: agreed, counters: { resetCount: 1, restartCount: 0 }, distrust: [] }),
}
const issuer = newP256()
const proofKey = newP256()
const jkt = jwkThumbprint(proofKey.jwk, nodeCrypto)
const subject = {
  issuer: 'vouchsafe:simulated:broker:a',
  audience: 'broker:a/clinic-a',
  id: 'd-1',
  nonce: 'n',
  session: 's'.repeat(16),
  agreement: agreed.digest,
  proofKey: jkt,
  sealKey: jkt,
}
const signer = { kid: 'k1', key: issuer.privateKey as never }
const token = await issueToken(result, subject, at, signer)
const expected = { issuer: subject.issuer, audience: subject.audience, keys: new Map([['k1', issuer.jwk]]), at }

const [head = '', body = '', signature = ''] = token.split('.')
const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
const encode = (value: unknown) => toBase64Url(utf8(typeof value === 'string' ? value : JSON.stringify(value)))
const sign = (header: Record<string, unknown>, payload: unknown, key = issuer.privateKey) =>
  new CompactSign(utf8(typeof payload === 'string' ? payload : JSON.stringify(payload)))
    .setProtectedHeader(header as never)
    .sign(key as never, { crit: { b64: true, vouch: true } })
const refused = (code: string) => expect.objectContaining({ code })
const resigned = (changes: Record<string, unknown>, header: Record<string, unknown> = {}) =>
  sign({ ...decode(head), ...header }, { ...decode(body), ...changes })

test('a token verifies for the one audience it names, and carries the simulated claim', async () => {
  await expect(verifyToken(token, expected)).resolves.toMatchObject({
    jti: 'd-1',
    cnf: { jkt },
    'vouchsafe.simulated': true,
    sub: claims.machine,
  })
})

test('E01 refuses alg none, unknown and re-spelled algorithms', async () => {
  for (const alg of ['none', 'None', 'es256', 'ES256K', 'RS256', '']) {
    const forged = `${encode({ ...decode(head), alg })}.${body}.`
    await expect(verifyToken(forged, expected), alg).rejects.toThrow(refused('token.malformed'))
  }
})

test('E02 refuses a MAC made with the public key', async () => {
  const header = encode({ ...decode(head), alg: 'HS256' })
  for (const secret of [JSON.stringify(issuer.jwk), issuer.jwk.x]) {
    const mac = createHmac('sha256', secret).update(`${header}.${body}`).digest('base64url')
    await expect(verifyToken(`${header}.${body}.${mac}`, expected)).rejects.toThrow(refused('token.malformed'))
  }
})

test.each([
  ['E03 a key of its own', { jwk: newP256().jwk }],
  ['E04 an address of keys', { jku: 'https://127.0.0.1/keys' }],
  ['E04 an address of certificates', { x5u: 'https://127.0.0.1/c' }],
  ['E06 a certificate chain', { x5c: ['AAAA'] }],
  ['E14 a critical extension', { crit: ['vouch'], vouch: true }],
  ['E14 an unencoded payload', { b64: false, crit: ['b64'] }],
])('refuses a token that brings %s', async (_what, header) => {
  const forged = `${encode({ ...decode(head), ...header })}.${body}.${signature}`
  await expect(verifyToken(forged, expected)).rejects.toThrow(refused('token.malformed'))
})

test('E05 looks key ids up exactly', async () => {
  for (const kid of ['../k1', '__proto__', 'K1', 'k1 ', 'k'.repeat(500), 1, null])
    await expect(verifyToken(await resigned({}, { kid }), expected)).rejects.toThrow(refused('token.signature'))
})

test('E08 refuses a key of another curve or another key', async () => {
  const other = newP256()
  await expect(verifyToken(await sign(decode(head), decode(body), other.privateKey), expected)).rejects.toThrow(
    refused('token.signature'),
  )
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
  await expect(
    verifyToken(await sign({ ...decode(head), alg: 'ES384' }, decode(body), p384), expected),
  ).rejects.toThrow(refused('token.malformed'))
})

test.each<[string, Record<string, unknown>, string]>([
  ['E09 another audience', { aud: 'broker:b/clinic-b' }, 'token.audience'],
  ['E09 a longer audience', { aud: 'broker:a/clinic-a2' }, 'token.audience'],
  ['E09 a list of audiences', { aud: ['broker:a/clinic-a'] }, 'token.malformed'],
  ['E09 no audience', { aud: undefined }, 'token.malformed'],
  ['E10 another issuer', { iss: 'vouchsafe:production:broker:a' }, 'token.issuer'],
  ['E11 a life too long', { exp: at.getTime() / 1000 + 3600 }, 'token.malformed'],
  ['E11 times in milliseconds', { exp: at.getTime() }, 'token.malformed'],
  ['E11 times as text', { iat: String(at.getTime() / 1000) }, 'token.malformed'],
  ['E11 no expiry', { exp: undefined }, 'token.malformed'],
  ['E11 an expiry before its issue', { exp: at.getTime() / 1000 - 1 }, 'token.malformed'],
  ['E19 a list of nonces', { eat_nonce: ['n', 'm'] }, 'token.malformed'],
  ['E20 a claim that no profile names', { admin: true }, 'token.malformed'],
  ['no bound key', { cnf: undefined }, 'token.malformed'],
])('refuses a well-signed token with %s', async (_what, changes, code) => {
  await expect(verifyToken(await resigned(changes), expected)).rejects.toThrow(refused(code))
})

test('A19 says skew where the clocks differ, and expiry where it is over', async () => {
  const early = { ...expected, at: new Date(at.getTime() - 60_000) }
  await expect(verifyToken(token, early)).rejects.toThrow(
    expect.objectContaining({ code: 'token.expired', message: expect.stringContaining('clocks differ') }),
  )
  await expect(verifyToken(token, { ...expected, at: new Date(at.getTime() + 331_000) })).rejects.toThrow(
    refused('token.expired'),
  )
  await expect(verifyToken(token, { ...expected, at: new Date(at.getTime() + 329_000) })).resolves.toBeDefined()
})

test('E14 refuses duplicate members, and E21 every second spelling of a token', async () => {
  const twice = JSON.stringify(decode(body)).replace('"aud":', '"aud":"x","aud":')
  await expect(verifyToken(await sign(decode(head), twice), expected)).rejects.toThrow(refused('token.malformed'))
  for (const spelled of [
    `${token}=`,
    `${token}\n`,
    `${token}.`,
    token.replace('.', '=.'),
    ` ${token}`,
    `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`,
  ])
    await expect(verifyToken(spelled, expected), JSON.stringify(spelled.slice(-5))).rejects.toThrow()
})

test('whichever character of a token is changed, it is refused', async () => {
  for (let i = 0; i < token.length; i += 7) {
    const changed = token.slice(0, i) + (token[i] === 'x' ? 'y' : 'x') + token.slice(i + 1)
    await expect(verifyToken(changed, expected), `at ${i}`).rejects.toThrow()
  }
})

const request = {
  method: 'POST',
  path: '/v1/tenants/clinic-a/releases',
  body: utf8('{"resources":["a"]}'),
  token,
  nonce: 'fresh',
}

test('E12 A20 a token without its key is worthless: the proof must be by the bound key', async () => {
  const proof = await signProof(request, proofKey.jwk, proofKey.privateKey as never, nodeCrypto)
  await expect(verifyProof(proof, request, jkt, nodeCrypto)).resolves.toBeUndefined()
  const thief = newP256()
  const stolen = await signProof(request, thief.jwk, thief.privateKey as never, nodeCrypto)
  await expect(verifyProof(stolen, request, jkt, nodeCrypto)).rejects.toThrow(refused('token.proof'))
  const named = await signProof(request, proofKey.jwk, thief.privateKey as never, nodeCrypto)
  await expect(verifyProof(named, request, jkt, nodeCrypto)).rejects.toThrow(refused('token.proof'))
  await expect(verifyProof('', request, jkt, nodeCrypto)).rejects.toThrow(refused('token.proof'))
})

test('a proof covers method, path, body, token and nonce, each of them', async () => {
  const proof = await signProof(request, proofKey.jwk, proofKey.privateKey as never, nodeCrypto)
  for (const change of [
    { method: 'PUT' },
    { path: '/v1/tenants/clinic-b/releases' },
    { body: utf8('{"resources":["b"]}') },
    { token: `${token}x` },
    { nonce: 'other' },
  ])
    await expect(
      verifyProof(proof, { ...request, ...change }, jkt, nodeCrypto),
      Object.keys(change)[0],
    ).rejects.toThrow(refused('token.proof'))
})

test('A21 a token is no proof and a proof is no token', async () => {
  const proof = await signProof(request, proofKey.jwk, proofKey.privateKey as never, nodeCrypto)
  await expect(verifyToken(proof, expected)).rejects.toThrow(refused('token.malformed'))
  await expect(verifyProof(token, request, jkt, nodeCrypto)).rejects.toThrow(refused('token.proof'))
})
