import { createHash, createHmac, generateKeyPairSync, sign as signBytes, type KeyObject } from 'node:crypto'
import * as kit from '@vouchsafe/testkit'
import type { CertificateSpec } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../node/index.ts'
import { toBase64Url, utf8 } from '../base/encoding.ts'
import { assertVerified } from '../evidence/verified.ts'
import { SIMULATOR_OID } from '../evidence/tpm/enrolment.ts'
import { pinPkiRoot } from './pki-root.ts'
import { LEFT_TO_POLICY, verifyPkiToken, type PkiTokenExpectation } from './verify-pki.ts'

const at = new Date('2026-06-01T00:00:00Z')
const now = at.getTime() / 1000
const [rootKey, middleKey, leafKey, otherKey] = [1, 2, 3, 4].map(() => kit.makeKey('RSA-2048')) as [
  kit.TestKey,
  kit.TestKey,
  kit.TestKey,
  kit.TestKey,
]
const SIGNER = [kit.basicConstraints(false), kit.keyUsage('digitalSignature')]

type Defects = { readonly [part in 'root' | 'middle' | 'leaf']?: Partial<CertificateSpec> }

/** Root, intermediate and leaf, as attestation services issue them, with what a test wants otherwise. */
function chain(defects: Defects = {}) {
  const root = kit.makeCertificate({ subject: 'root', key: rootKey, extensions: kit.AUTHORITY, ...defects.root })
  const middle = kit.makeCertificate({
    subject: 'middle',
    key: middleKey,
    issuer: root,
    extensions: kit.AUTHORITY,
    ...defects.middle,
  })
  const leaf = kit.makeCertificate({
    subject: 'leaf',
    key: leafKey,
    issuer: middle,
    extensions: SIGNER,
    ...defects.leaf,
  })
  return [leaf, middle, root].map((c) => Buffer.from(c.der).toString('base64'))
}

const x5c = chain()
const good = {
  iss: 'https://issuer.example',
  aud: 'uwear',
  iat: now,
  nbf: now,
  exp: now + 3600,
  eat_nonce: 'n'.repeat(43),
  hwmodel: 'GCP_AMD_SEV',
}
const encode = (value: unknown) => toBase64Url(utf8(typeof value === 'string' ? value : JSON.stringify(value)))

interface Mint {
  readonly header?: Record<string, unknown>
  readonly payload?: Record<string, unknown> | string
  readonly key?: KeyObject
}
/** Signs by hand: no library would make most of what stands below. */
function mint({ header = {}, payload = {}, key = leafKey.privateKey }: Mint = {}): string {
  const head = encode({ alg: 'RS256', typ: 'JWT', x5c, ...header })
  const signed = `${head}.${encode(typeof payload === 'string' ? payload : { ...good, ...payload })}`
  return `${signed}.${toBase64Url(new Uint8Array(signBytes('sha256', Buffer.from(signed), key)))}`
}

const rootOf = (certificates: readonly string[]) => new Uint8Array(Buffer.from(certificates[2] ?? '', 'base64'))
const fingerprint = (der: Uint8Array) => createHash('sha256').update(der).digest('hex')
const pinned = (der: Uint8Array, kind: 'platform-vtpm' | 'simulated' = 'platform-vtpm') =>
  pinPkiRoot(der, { sha256: fingerprint(der), class: kind, name: 'test root' }, nodeCrypto)
const expected: PkiTokenExpectation = {
  root: pinned(rootOf(x5c)),
  issuer: good.iss,
  audience: good.aud,
  nonce: good.eat_nonce,
  at,
}
const verify = (token: string, changes: Partial<PkiTokenExpectation> = {}) =>
  verifyPkiToken(token, { ...expected, ...changes }, nodeCrypto)
const refused = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

test('HD-01 HD-06 a token verifies with its own chain and one pinned root, and nothing else is asked', async () => {
  const token = await verify(mint())
  expect(token).toMatchObject({
    class: 'platform-vtpm',
    nonces: [good.eat_nonce],
    issuedAt: at,
    expiresAt: new Date(at.getTime() + 3_600_000),
  })
  expect(token.claims).toMatchObject({ hwmodel: 'GCP_AMD_SEV', aud: 'uwear' })
  expect(() => assertVerified(token)).not.toThrow()
})

describe('HD-02 the root', () => {
  const der = rootOf(x5c)
  const pin = (sha256: string) => () => pinPkiRoot(der, { sha256, class: 'tpm', name: 'r' }, nodeCrypto)
  const hex = fingerprint(der)
  const colons = (hex.toUpperCase().match(/../g) ?? []).join(':')

  test('is pinned by its whole SHA-256, written plainly or as OpenSSL prints it', () => {
    expect(pin(hex)()).toMatchObject({ class: 'tpm' })
    expect(pin(colons)()).toMatchObject({ class: 'tpm' })
  })

  test('DEF-38 E18 is never pinned by SHA-1 or a part of a fingerprint', () => {
    const sha1 = createHash('sha1').update(der).digest('hex')
    expect(pin(sha1)).toThrow(refused('input.malformed', 'SHA-1'))
    expect(pin((sha1.toUpperCase().match(/../g) ?? []).join(':'))).toThrow(refused('input.malformed', 'SHA-1'))
    for (const short of ['', hex.slice(0, 16), hex.slice(0, -1), `${hex}00`, hex.toUpperCase(), ` ${hex}`])
      expect(pin(short), short).toThrow(refused('input.malformed', 'fingerprint'))
  })

  test('E06 is refused when it is another one', () => {
    expect(pin('0'.repeat(64))).toThrow(refused('endorsement.untrusted', hex))
  })

  test('D02 of a simulator stands for nothing but simulated', async () => {
    const mark = { oid: SIMULATOR_OID, value: Uint8Array.of(5, 0) }
    const simulated = chain({ root: { extensions: [...kit.AUTHORITY, mark] } })
    expect(() => pinned(rootOf(simulated))).toThrow(refused('endorsement.untrusted', 'simulator'))
    const token = mint({ header: { x5c: simulated } })
    await expect(verify(token, { root: pinned(rootOf(simulated), 'simulated') })).resolves.toMatchObject({
      class: 'simulated',
    })
    const marked = chain({ leaf: { extensions: [...SIGNER, mark] } })
    await expect(verify(mint({ header: { x5c: marked } }), { root: pinned(rootOf(marked)) })).rejects.toThrow(
      refused('endorsement.untrusted', 'simulator'),
    )
  })
})

describe('DEF-35 a chain', () => {
  test.each<[string, unknown]>([
    ['is missing', undefined],
    ['is null', null],
    ['is a string', x5c[0]],
    ['is an object', { 0: x5c[0], 1: x5c[1], 2: x5c[2], length: 3 }],
    ['holds numbers', [1, 2, 3]],
    ['is empty', []],
    ['is only the leaf', x5c.slice(0, 1)],
    ['lacks the root', x5c.slice(0, 2)],
    ['has an entry more', [...x5c, x5c[2]]],
    ['is not base64', ['!', x5c[1], x5c[2]]],
    ['is base64url', [x5c[0]?.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''), x5c[1], x5c[2]]],
    ['has a cut certificate', [x5c[0]?.slice(0, 400), x5c[1], x5c[2]]],
  ])('that %s is refused by name, and nothing crashes', async (_what, value) => {
    await expect(verify(mint({ header: { x5c: value } }))).rejects.toThrow(refused('token.malformed', 'x5c'))
  })

  const day = 86_400_000
  test.each(['leaf', 'middle', 'root'] as const)(
    'is refused where its %s is expired or not yet valid',
    async (part) => {
      const old = chain({ [part]: { notBefore: new Date(+at - 2 * day), notAfter: new Date(+at - 1000) } })
      await expect(verify(mint({ header: { x5c: old } }), { root: pinned(rootOf(old)) })).rejects.toThrow(
        refused('endorsement.expired', 'notAfter'),
      )
      const young = chain({ [part]: { notBefore: new Date(+at + 1000), notAfter: new Date(+at + day) } })
      await expect(verify(mint({ header: { x5c: young } }), { root: pinned(rootOf(young)) })).rejects.toThrow(
        refused('endorsement.expired', 'notBefore'),
      )
    },
  )

  test('E06 ends in the pinned root, not in a look-alike of the same name', async () => {
    const forged = chain({ root: { key: otherKey } })
    await expect(verify(mint({ header: { x5c: forged } }))).rejects.toThrow(refused('endorsement.untrusted', 'pinned'))
    await expect(verify(mint({ header: { x5c: [forged[0], forged[1], x5c[2]] } }))).rejects.toThrow(
      refused('endorsement.untrusted', 'signature'),
    )
  })

  test.each<[string, Defects, string, string]>([
    ['an intermediate that is no authority', { middle: { extensions: SIGNER } }, 'endorsement.untrusted', 'not a CA'],
    [
      'an intermediate that may not sign certificates',
      { middle: { extensions: [kit.basicConstraints(true), kit.keyUsage('cRLSign')] } },
      'endorsement.untrusted',
      'may not sign',
    ],
    [
      'a root that allows no intermediate',
      { root: { extensions: [kit.basicConstraints(true, 0), kit.keyUsage('keyCertSign')] } },
      'endorsement.untrusted',
      'pathLenConstraint',
    ],
    [
      'a leaf that may not sign',
      { leaf: { extensions: [kit.keyUsage('keyEncipherment')] } },
      'endorsement.mismatch',
      'keyUsage',
    ],
    ['an authority as its leaf', { leaf: { extensions: kit.AUTHORITY } }, 'endorsement.mismatch', 'authority'],
  ])('E07 is refused with %s', async (_what, defects, code, message) => {
    const bad = chain(defects)
    await expect(verify(mint({ header: { x5c: bad } }), { root: pinned(rootOf(bad)) })).rejects.toThrow(
      refused(code, message),
    )
  })

  test('E07 is refused where the leaf skips the intermediate, or names fit and signatures do not', async () => {
    const root = kit.makeCertificate({ subject: 'root', key: rootKey, extensions: kit.AUTHORITY })
    const direct = kit.makeCertificate({ subject: 'leaf', key: leafKey, issuer: root, extensions: SIGNER })
    const skipping = [direct, undefined, root].map((c, i) =>
      c === undefined ? (x5c[i] ?? '') : Buffer.from(c.der).toString('base64'),
    )
    await expect(verify(mint({ header: { x5c: skipping } }), { root: pinned(rootOf(skipping)) })).rejects.toThrow(
      refused('endorsement.untrusted', 'intermediate'),
    )
    const named = chain({ middle: { key: otherKey } })
    await expect(verify(mint({ header: { x5c: [x5c[0], named[1], x5c[2]] } }))).rejects.toThrow(
      refused('endorsement.untrusted', 'signature'),
    )
  })

  test('E08 is refused with another kind of key, a weak one, or a signature by SHA-1', async () => {
    const ec = kit.makeKey('P-256')
    const curve = chain({ leaf: { key: ec } })
    await expect(
      verify(mint({ header: { x5c: curve }, key: ec.privateKey }), { root: pinned(rootOf(curve)) }),
    ).rejects.toThrow(refused('evidence.algorithm', 'RSA'))
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const spki = new Uint8Array(small.publicKey.export({ type: 'spki', format: 'der' }))
    const weak = chain({ leaf: { key: { ...small, spki } } })
    await expect(
      verify(mint({ header: { x5c: weak }, key: small.privateKey }), { root: pinned(rootOf(weak)) }),
    ).rejects.toThrow(refused('evidence.algorithm', '1024'))
    const sha1 = chain({ leaf: { signature: 'rsa-sha1' } })
    await expect(verify(mint({ header: { x5c: sha1 } }), { root: pinned(rootOf(sha1)) })).rejects.toThrow(
      refused('evidence.algorithm', 'SHA-256'),
    )
  })
})

describe('a token', () => {
  test('E01 with alg none, unknown or re-spelled is refused', async () => {
    for (const alg of ['none', 'rs256', 'RS512', 'PS256', 'ES256', '', 256, null])
      await expect(verify(mint({ header: { alg } })), String(alg)).rejects.toThrow(refused('token.malformed', 'alg'))
  })

  test('E02 with a MAC made of the public key is refused', async () => {
    const head = encode({ alg: 'HS256', typ: 'JWT', x5c })
    for (const secret of [x5c[0] ?? '', leafKey.publicKey.export({ type: 'spki', format: 'pem' })]) {
      const mac = createHmac('sha256', secret)
        .update(`${head}.${encode(good)}`)
        .digest('base64url')
      await expect(verify(`${head}.${encode(good)}.${mac}`)).rejects.toThrow(refused('token.malformed', 'alg'))
    }
  })

  test.each([
    ['E03 brings a key of its own', { jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } }],
    ['E04 brings an address of keys', { jku: 'https://127.0.0.1/keys' }],
    ['E04 brings an address of certificates', { x5u: 'https://127.0.0.1/c' }],
    ['E14 has a critical extension', { crit: ['vouch'], vouch: true }],
    ['E14 has an unencoded payload', { b64: false, crit: ['b64'] }],
    ['A21 is of another type', { typ: 'ear+jwt' }],
  ])('is refused that %s', async (_what, header) => {
    await expect(verify(mint({ header }))).rejects.toThrow(refused('token.malformed', 'header'))
  })

  test('signed by another key than its leaf’s is refused', async () => {
    await expect(verify(mint({ key: otherKey.privateKey }))).rejects.toThrow(refused('token.signature'))
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['E09 another audience', { aud: 'other' }, 'token.audience'],
    ['E09 a longer audience', { aud: 'uwear2' }, 'token.audience'],
    ['E09 a list of audiences', { aud: ['uwear'] }, 'token.malformed'],
    ['E09 no audience', { aud: undefined }, 'token.malformed'],
    ['E09 an empty audience', { aud: '' }, 'token.malformed'],
    ['E10 another issuer', { iss: 'https://issuer.example/' }, 'token.issuer'],
    ['E11 a life too long', { exp: now + 3601 }, 'token.malformed'],
    ['E11 times in milliseconds', { iat: now * 1000, nbf: now * 1000, exp: now * 1000 + 1 }, 'token.malformed'],
    ['E11 times as text', { iat: String(now) }, 'token.malformed'],
    ['E11 no expiry', { exp: undefined }, 'token.malformed'],
    ['E11 an end before its beginning', { exp: now - 1 }, 'token.malformed'],
    ['E19 two nonces, one of them right', { eat_nonce: [good.eat_nonce, 'm'.repeat(43)] }, 'token.nonce'],
    ['another nonce', { eat_nonce: 'm'.repeat(43) }, 'token.nonce'],
    ['an empty nonce', { eat_nonce: '' }, 'token.malformed'],
    ['no nonce', { eat_nonce: undefined }, 'token.malformed'],
    ['an empty list of nonces', { eat_nonce: [] }, 'token.malformed'],
  ])('is refused that has %s', async (_what, payload, code) => {
    await expect(verify(mint({ payload }))).rejects.toThrow(refused(code))
  })

  test('DEF-34 may carry its one nonce as a string or as an array of one', async () => {
    await expect(verify(mint({ payload: { eat_nonce: [good.eat_nonce] } }))).resolves.toMatchObject({
      nonces: [good.eat_nonce],
    })
  })

  test('E14 with a member twice is refused, in whichever part', async () => {
    const twice = JSON.stringify(good).replace('"aud":', '"aud":"x","aud":')
    await expect(verify(mint({ payload: twice }))).rejects.toThrow(refused('token.malformed', 'aud'))
  })

  test('A19 is told from clocks that differ, and from one that ended', async () => {
    const token = mint()
    const later = (s: number) => verify(token, { at: new Date(+at + s * 1000) })
    await expect(later(-31)).rejects.toThrow(refused('token.expired', 'clocks differ'))
    await expect(later(-29)).resolves.toBeDefined()
    await expect(later(3629)).resolves.toBeDefined()
    await expect(later(3630)).rejects.toThrow(refused('token.expired', 'valid until'))
  })

  test('leaves to a policy only what was named as left to it', async () => {
    const token = mint({ payload: { aud: 'x', iss: 'y', eat_nonce: ['a', 'b'] } })
    const left = { issuer: LEFT_TO_POLICY, audience: LEFT_TO_POLICY, nonce: LEFT_TO_POLICY } as const
    await expect(verify(token, left)).resolves.toMatchObject({ nonces: ['a', 'b'] })
    for (const [name, code] of [
      ['issuer', 'token.issuer'],
      ['audience', 'token.audience'],
      ['nonce', 'token.nonce'],
    ] as const)
      await expect(verify(token, { ...left, [name]: expected[name] }), name).rejects.toThrow(refused(code))
  })

  test('E21 with any character changed is refused', async () => {
    const token = mint()
    for (let i = 0; i < token.length; i += 61) {
      const changed = token.slice(0, i) + (token[i] === 'x' ? 'y' : 'x') + token.slice(i + 1)
      await expect(verify(changed), `at ${i}`).rejects.toThrow(expect.objectContaining({ name: 'VouchsafeError' }))
    }
  })
})
