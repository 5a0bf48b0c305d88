import { createHash, createHmac } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { OidcRefusal, OidcVerifier, SingleUse } from './index.ts'
import type { OidcIssuerInput } from './index.ts'
import { IssuerServer, makeSigningKey, publicJwk, redirect } from './testing/issuer-server.ts'

const AUDIENCE = 'https://secrets.example'
const NOW = Date.UTC(2026, 10, 22) / 1000
/** Of a server that gives no nonces out. */
const UNASKED = { nonce: 'not-checked' } as const
const CLAIMS = {
  aud: AUDIENCE,
  sub: 'projects/p/instances/vm-1',
  iat: NOW - 10,
  nbf: NOW - 10,
  exp: NOW + 600,
  hwmodel: 'GCP_AMD_SEV',
  swname: 'GCE',
  secboot: true,
  google_service_accounts: ['vm@p.example', 'other@p.example'],
  submods: { gce: { project_id: 'p' } },
}

let issuer: IssuerServer
let now: number
let events: string[]
beforeAll(async () => {
  issuer = await IssuerServer.start()
})
afterAll(() => issuer.stop())
beforeEach(() => {
  now = NOW * 1000
  events = []
  issuer.asked.length = 0
  issuer.publish([makeSigningKey('one', 'ES256')])
})

const trust = (more: Partial<OidcIssuerInput> = {}): OidcIssuerInput => ({
  issuer: issuer.url,
  audience: AUDIENCE,
  algorithm: 'ES256',
  certificateAuthorities: issuer.authority,
  claims: { hwmodel: ['GCP_AMD_SEV', 'GCP_INTEL_TDX'], 'submods.gce.project_id': ['p'] },
  ...more,
})
const verifier = (more: Partial<OidcIssuerInput> = {}, timeoutMs = 2000) =>
  new OidcVerifier([trust(more)], {
    clock: () => new Date(now),
    timeoutMs,
    onEvent: (event, { reason }) => events.push(reason === undefined ? event : `${event} ${reason}`),
  })
const refused = (reason: string, part = '') =>
  expect.objectContaining({ name: 'VouchsafeError', reason, message: expect.stringContaining(part) })
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: OidcRefusal) => error,
  )

describe('a token', () => {
  test('VT-09 of a trusted issuer, for this audience, with the claims expected, is believed; keys cost one look', async () => {
    const judge = verifier()
    for (let i = 0; i < 3; i++) {
      const { subject, claims, id } = await judge.verify(await issuer.token({ ...CLAIMS, jti: String(i) }), UNASKED)
      expect([subject, claims['hwmodel']]).toEqual([CLAIMS.sub, 'GCP_AMD_SEV'])
      expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/)
    }
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys'])
  })

  test.each(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const)(
    'signed with %s is believed of an issuer that signs so',
    async (algorithm) => {
      issuer.publish([makeSigningKey('k', algorithm)])
      await expect(verifier({ algorithm }).verify(await issuer.token(CLAIMS), UNASKED)).resolves.toMatchObject({
        subject: CLAIMS.sub,
      })
    },
  )

  test('VT-14 of a plain confidential VM and of a container workload are told apart by swname', async () => {
    const plain = verifier({ claims: { swname: ['GCE'] } })
    const workload = verifier({
      claims: { swname: ['CONFIDENTIAL_SPACE'], 'submods.container.image_digest': ['sha256:ab'] },
    })
    const container = { ...CLAIMS, swname: 'CONFIDENTIAL_SPACE', submods: { container: { image_digest: 'sha256:ab' } } }
    await expect(plain.verify(await issuer.token(CLAIMS), UNASKED)).resolves.toBeDefined()
    await expect(workload.verify(await issuer.token(container), UNASKED)).resolves.toBeDefined()
    await expect(plain.verify(await issuer.token(container), UNASKED)).rejects.toThrow(refused('claims', 'swname'))
    await expect(workload.verify(await issuer.token(CLAIMS), UNASKED)).rejects.toThrow(
      refused('claims', 'image_digest'),
    )
  })
})

describe('VT-11 a token is refused, with the reason,', () => {
  const cases: [when: string, reason: string, change: Readonly<Record<string, unknown>>, part?: string][] = [
    ['when it has expired', 'expired', { iat: NOW - 700, nbf: NOW - 700, exp: NOW - 60 }],
    ['when it is not valid yet', 'not-yet-valid', { iat: NOW + 60, nbf: NOW + 60 }],
    ['E11 when only nbf is to come', 'not-yet-valid', { nbf: NOW + 60 }],
    ['E11 when iat is in the future, DEF-25 whatever nbf says', 'not-yet-valid', { iat: NOW + 300 }],
    ['E11 when it lives too long', 'lifetime', { exp: NOW + 86_400 }],
    ['E11 when it ends before it begins', 'lifetime', { exp: NOW - 20 }],
    ['E11 when its times are in milliseconds', 'malformed', { exp: (NOW + 600) * 1000 }, 'exp'],
    ['E11 when its times are texts', 'malformed', { exp: String(NOW + 600) }, 'exp'],
    ['E11 when it has no exp', 'malformed', { exp: undefined }, 'exp'],
    ['E11 when it has no iat', 'malformed', { iat: undefined }, 'iat'],
    ['E09 when it is for another audience', 'audience', { aud: 'https://sts.example' }],
    ['E09 when it is for an audience that only begins alike', 'audience', { aud: `${AUDIENCE}.evil` }],
    ['E09 when it is for several audiences, ours among them', 'audience', { aud: [AUDIENCE, 'https://other'] }],
    ['E09 when it is for a list of no audience', 'audience', { aud: [] }, '[]'],
    ['E09 when it is for nobody', 'audience', { aud: undefined }, 'missing'],
    ['E10 when it is by another issuer', 'issuer', { iss: 'https://accounts.example' }],
    ['E10 when its issuer differs by a slash alone', 'issuer', { iss: 'SLASH' }],
    ['E10 when its issuer is a list', 'issuer', { iss: ['x'] }],
    ['when it has no subject', 'malformed', { sub: '' }, 'sub'],
    [
      'DEF-39 when the machine is somebody else’s',
      'claims',
      { submods: { gce: { project_id: 'q' } } },
      'submods.gce.project_id: expected one of ["p"], found "q"',
    ],
    ['when a claim is missing', 'claims', { hwmodel: undefined }, 'hwmodel: expected one of'],
    ['when a claim is a list that has the value', 'claims', { hwmodel: ['GCP_AMD_SEV'] }, 'hwmodel'],
    ['when an ordinary VM shows it', 'claims', { hwmodel: 'GCP_SHIELDED_VM' }, 'found "GCP_SHIELDED_VM"'],
  ]
  test.each(cases)('%s', async (_when, reason, change, part) => {
    const claims = { ...CLAIMS, ...change, ...(change['iss'] === 'SLASH' && { iss: `${issuer.url}/` }) }
    await expect(verifier().verify(await issuer.token(claims), UNASKED)).rejects.toThrow(refused(reason, part))
  })

  test('and a life that has ended counts on for half a minute, for clocks that differ', async () => {
    const token = await issuer.token({ ...CLAIMS, exp: NOW })
    await expect(verifier().verify(token, UNASKED)).resolves.toBeDefined()
    now += 30_000
    await expect(verifier().verify(token, UNASKED)).rejects.toThrow(refused('expired'))
  })

  test('E05 when its key is unknown: whatever its name is, a path, a prototype’s or no name at all', async () => {
    const judge = verifier()
    for (const kid of ['two', '../keys', '__proto__', 'constructor', "' OR 1=1 --", 'x'.repeat(5000)])
      await expect(judge.verify(await issuer.token(CLAIMS, { header: { kid } }), UNASKED)).rejects.toThrow(
        refused('unknown-key'),
      )
    for (const kid of ['', 7, undefined])
      await expect(judge.verify(await issuer.token(CLAIMS, { header: { kid } as never }), UNASKED)).rejects.toThrow(
        refused('malformed'),
      )
  })

  test('when it is signed with another key under a known name', async () => {
    const other = { ...makeSigningKey('one', 'ES256') }
    await expect(verifier().verify(await issuer.token(CLAIMS, { signer: other }), UNASKED)).rejects.toThrow(
      refused('signature'),
    )
  })

  test('E01 when its algorithm is none, or another than the issuer’s, in whatever spelling', async () => {
    const [, body] = (await issuer.token(CLAIMS)).split('.')
    for (const alg of ['none', 'None', 'NONE', 'es256', 'RS256', 'ES512', null, 1]) {
      const head = Buffer.from(JSON.stringify({ alg, kid: 'one', typ: 'JWT' })).toString('base64url')
      await expect(verifier().verify(`${head}.${body}.AAAA`, UNASKED)).rejects.toThrow(refused('algorithm'))
      await expect(verifier().verify(`${head}.${body}.`, UNASKED)).rejects.toBeInstanceOf(OidcRefusal)
    }
  })

  test('E02 when it is a MAC under the published key', async () => {
    const head = Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'one', typ: 'JWT' })).toString('base64url')
    const [, body] = (await issuer.token(CLAIMS)).split('.')
    const [key] = issuer.keys
    for (const secret of [
      key!.key.publicKey.export({ type: 'spki', format: 'pem' }),
      key!.key.publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(publicJwk(key!)),
    ]) {
      const mac = createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url')
      await expect(verifier().verify(`${head}.${body}.${mac}`, UNASKED)).rejects.toThrow(refused('algorithm'))
    }
  })

  test.each(['jwk', 'jku', 'x5u', 'x5c', 'x5t', 'crit', 'b64', 'zip'])(
    'E03 E04 E06 E14 when its header has %s, and nothing is fetched for it',
    async (name) => {
      const mine = makeSigningKey('one', 'ES256')
      const value = {
        jwk: publicJwk(mine),
        jku: `${issuer.url}/mine`,
        x5u: `${issuer.url}/mine`,
        crit: ['b64'],
        b64: true,
      }
      const header = { [name]: value[name as keyof typeof value] ?? ['AAAA'] }
      const head = { alg: 'ES256', kid: 'one', typ: 'JWT', ...header }
      const [, body, signature] = (await issuer.token(CLAIMS, { signer: mine })).split('.')
      const token = `${Buffer.from(JSON.stringify(head)).toString('base64url')}.${body}.${signature}`
      await expect(verifier().verify(token, UNASKED)).rejects.toThrow(refused('malformed', name))
      expect(issuer.asked).toEqual([])
    },
  )

  test('E14 E21 when it is malformed: duplicate members, other encodings, parts missing or too many, of another type', async () => {
    const token = await issuer.token(CLAIMS)
    const [head = '', body = '', signature = ''] = token.split('.')
    const b64 = (text: string) => Buffer.from(text).toString('base64url')
    const twice = b64(`{"aud":"${AUDIENCE}",${Buffer.from(body, 'base64url').toString().slice(1)}`)
    for (const bad of [
      '',
      'x',
      `${head}.${body}`,
      `${token}.x`,
      `${token}=`,
      `${token}\n`,
      `${head}.${twice}.${signature}`,
      `${b64('[]')}.${body}.${signature}`,
      `${head}.${b64('"x"')}.${signature}`,
      `${b64('{"alg":"ES256","kid":"one","typ":"at+jwt"}')}.${body}.${signature}`,
      'x'.repeat(40_000),
    ])
      await expect(verifier().verify(bad, UNASKED), bad.slice(0, 60)).rejects.toThrow(refused('malformed'))
  })

  test('E19 when its nonce is another, none, or one of several', async () => {
    const judge = verifier()
    const verify = async (eat_nonce: unknown, nonce = 'n'.repeat(12)) =>
      judge.verify(await issuer.token({ ...CLAIMS, eat_nonce }), { nonce })
    await expect(verify('n'.repeat(12))).resolves.toBeDefined()
    await expect(verify(['n'.repeat(12)])).resolves.toBeDefined()
    for (const other of ['m'.repeat(12), undefined, ['n'.repeat(12), 'm'.repeat(12)], [], { n: 1 }])
      await expect(verify(other)).rejects.toThrow(refused('nonce'))
    await expect(verify('', '')).rejects.toThrow(refused('nonce'))
  })

  test('a list claim must have all that is wanted, and be a list', async () => {
    const claims = { google_service_accounts: { includes: ['vm@p.example'] } }
    await expect(verifier({ claims }).verify(await issuer.token(CLAIMS), UNASKED)).resolves.toBeDefined()
    for (const google_service_accounts of [['other@p.example'], 'vm@p.example', [], undefined])
      await expect(
        verifier({ claims }).verify(await issuer.token({ ...CLAIMS, google_service_accounts }), UNASKED),
      ).rejects.toThrow(refused('claims', 'all of ["vm@p.example"]'))
    const inherited = verifier({ claims: { 'constructor.name': ['Object'] } })
    await expect(inherited.verify(await issuer.token(CLAIMS), UNASKED)).rejects.toThrow(
      refused('claims', 'found nothing'),
    )
  })

  test('DEF-40 when it is shown a second time', async () => {
    const once = new SingleUse(() => new Date(now))
    const token = await verifier().verify(await issuer.token(CLAIMS), UNASKED)
    once.take(token)
    expect(() => once.take(token)).toThrow(refused('replayed'))
    once.take(await verifier().verify(await issuer.token({ ...CLAIMS, jti: 'another' }), UNASKED))
  })

  test('whichever byte of it is changed, and never with another error than ours', async () => {
    const judge = verifier()
    const token = await issuer.token(CLAIMS)
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...'AZaz09-_.='), async (at, letter) => {
        fc.pre(token[at] !== letter)
        const changed = `${token.slice(0, at)}${letter}${token.slice(at + 1)}`
        expect(await refusal(judge.verify(changed, UNASKED))).toBeInstanceOf(OidcRefusal)
      }),
      { seed: 7, numRuns: 300 },
    )
  })
})

describe('VT-12 keys', () => {
  test('that the issuer adds are found by the first token that needs them; DEF-09 DEF-25 those it withdraws stop counting', async () => {
    const judge = verifier()
    const [one] = issuer.keys
    await judge.verify(await issuer.token(CLAIMS), UNASKED)
    const two = makeSigningKey('two', 'ES256')
    issuer.publish([two])
    now += 31_000
    await judge.verify(await issuer.token(CLAIMS), UNASKED)
    await expect(judge.verify(await issuer.token(CLAIMS, { signer: one }), UNASKED)).rejects.toThrow(
      refused('unknown-key', 'one'),
    )
  })

  test('DEF-42 are asked for at most twice a minute, however many unknown ones are named, and once for all who wait', async () => {
    const judge = verifier()
    const strange = makeSigningKey('strange', 'ES256')
    const tokens = await Promise.all(Array.from({ length: 20 }, () => issuer.token(CLAIMS, { signer: strange })))
    await Promise.all(tokens.map((token) => refusal(judge.verify(token, UNASKED))))
    for (const token of tokens) await expect(judge.verify(token, UNASKED)).rejects.toThrow(refused('unknown-key'))
    expect(issuer.asked).toHaveLength(2)
    now += 30_000
    await expect(judge.verify(tokens[0]!, UNASKED)).rejects.toThrow(refused('unknown-key'))
    expect(issuer.asked).toHaveLength(4)
  })

  test('are asked for again when their time is up, and the last good ones serve a day while the issuer is away', async () => {
    issuer.publish(issuer.keys, { 'cache-control': 'public, max-age=600, must-revalidate' })
    const judge = verifier({ maxLifetimeSeconds: 86_400 })
    await judge.verify(await issuer.token(CLAIMS), UNASKED)
    now += 599_000
    const long = await issuer.token({ ...CLAIMS, exp: NOW + 86_000 })
    await judge.verify(long, UNASKED)
    expect(issuer.asked).toHaveLength(2)
    issuer.answers.clear() // it answers 404 to everything
    now += 2000
    await judge.verify(long, UNASKED)
    expect(issuer.asked).toHaveLength(3)
    expect(events).toEqual(['oidc.keys-fetched', 'oidc.keys-failed keys-unavailable'])
    now = (NOW + 85_000) * 1000
    await judge.verify(long, UNASKED)
    now = (NOW + 86_401) * 1000
    const late = await issuer.token({ ...CLAIMS, iat: NOW + 86_300, nbf: NOW + 86_300, exp: NOW + 86_900 })
    await expect(judge.verify(late, UNASKED)).rejects.toThrow(refused('keys-unavailable', '404'))
    issuer.publish()
    now += 31_000
    await expect(judge.verify(late, UNASKED)).resolves.toBeDefined()
  })

  test('are not there: nothing is believed, and an issuer that is away is not asked for every token', async () => {
    issuer.answers.clear()
    const judge = verifier()
    for (let i = 0; i < 5; i++)
      await expect(judge.verify(await issuer.token(CLAIMS), UNASKED)).rejects.toThrow(refused('keys-unavailable'))
    expect(issuer.asked).toHaveLength(1)
  })

  test('are not kept longer than a day, nor asked for more than once a minute, whatever the issuer says', async () => {
    issuer.publish(issuer.keys, { 'cache-control': 'max-age=0' })
    const judge = verifier({ maxLifetimeSeconds: 86_400 })
    const long = await issuer.token({ ...CLAIMS, exp: NOW + 86_000 })
    await judge.verify(long, UNASKED)
    now += 59_000
    await judge.verify(long, UNASKED)
    expect(issuer.asked).toHaveLength(2)
    issuer.publish(issuer.keys, { 'cache-control': 'max-age=999999999' })
    now += 2000
    await judge.verify(long, UNASKED)
    expect(issuer.asked).toHaveLength(4)
    now = (NOW + 61 + 86_400) * 1000
    await refusal(judge.verify(long, UNASKED))
    expect(issuer.asked).toHaveLength(6)
  })
})

describe('E17 discovery and keys that are poisoned or redirected are refused, and the last good ones serve on:', () => {
  const discovery = () => ({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` })
  const poison: readonly (readonly [string, string, (evil: IssuerServer) => void])[] = [
    [
      'a discovery document of another issuer',
      'is of issuer',
      (evil) => issuer.documents({ ...discovery(), issuer: evil.url }, { keys: [] }),
    ],
    [
      'one that sends to another host',
      'wanted https on',
      (evil) => issuer.documents({ ...discovery(), jwks_uri: `${evil.url}/keys` }, {}),
    ],
    [
      'one that sends to plain HTTP',
      'wanted https on',
      () => issuer.documents({ ...discovery(), jwks_uri: `http://${issuer.host}/keys` }, {}),
    ],
    [
      'one that hides a host behind a user name',
      'wanted https on',
      (evil) => issuer.documents({ ...discovery(), jwks_uri: `https://${issuer.host}@${evil.host}/keys` }, {}),
    ],
    ['one that sends nowhere', 'wanted https on', () => issuer.documents({ ...discovery(), jwks_uri: 'keys' }, {})],
    [
      'a redirect of discovery',
      'not followed',
      (evil) => issuer.answers.set('/.well-known/openid-configuration', redirect(`${evil.url}/x`)),
    ],
    ['a redirect of the keys', 'not followed', (evil) => issuer.answers.set('/keys', redirect(`${evil.url}/keys`))],
    [
      'two keys of one name',
      'two keys',
      () => issuer.documents(discovery(), { keys: ['a', 'a'].map((kid) => publicJwk(makeSigningKey(kid, 'ES256'))) }),
    ],
    ['no keys', 'no key for ES256 among 0', () => issuer.documents(discovery(), { keys: [] })],
    [
      'E08 keys of another kind alone',
      'no key for ES256 among 2',
      () =>
        issuer.documents(discovery(), {
          keys: [publicJwk(makeSigningKey('r', 'RS256')), publicJwk(makeSigningKey('p', 'ES384'))],
        }),
    ],
    [
      'keys for encryption alone',
      'no key for ES256',
      () => issuer.documents(discovery(), { keys: [{ ...publicJwk(makeSigningKey('e', 'ES256')), use: 'enc' }] }),
    ],
    [
      'symmetric keys',
      'no key for ES256',
      () => issuer.documents(discovery(), { keys: [{ kty: 'oct', kid: 'one', k: 'AAAA', alg: 'HS256' }] }),
    ],
    [
      'private keys',
      'private key',
      () => issuer.documents(discovery(), { keys: [{ ...publicJwk(makeSigningKey('one', 'ES256')), d: 'AAAA' }] }),
    ],
    [
      'a point that is on no curve',
      'no key for',
      () =>
        issuer.documents(discovery(), { keys: [{ ...publicJwk(makeSigningKey('one', 'ES256')), x: 'A'.repeat(43) }] }),
    ],
    ['keys without end', 'more than', () => issuer.documents(discovery(), `{"keys":[],"x":"${'x'.repeat(300_000)}"}`)],
    ['duplicate members', 'keys', () => issuer.documents(discovery(), `{"keys":[],"keys":[]}`)],
    ['a list in place of a document', 'openid-configuration', () => issuer.documents([], {})],
    ['a page in place of a document', 'openid-configuration', () => issuer.documents('<html>', {})],
  ]
  test.each(poison)('%s', async (_what, part, apply) => {
    const evil = await IssuerServer.start()
    try {
      const judge = verifier()
      const honest = await issuer.token(CLAIMS)
      await judge.verify(honest, UNASKED)
      apply(evil)
      // at first sight nothing is believed
      await expect(verifier().verify(honest, UNASKED)).rejects.toThrow(refused('keys-untrusted', part))
      // and who has good keys keeps them, and takes none of the attacker's
      now += 31_000
      const theirs = await evil.token({ ...CLAIMS, iss: issuer.url })
      await expect(judge.verify(theirs, UNASKED)).rejects.toThrow(refused('unknown-key'))
      await expect(judge.verify(honest, UNASKED)).resolves.toBeDefined()
      expect(evil.asked).toEqual([])
    } finally {
      await evil.stop()
    }
  })

  test('a server under another authority, or of another name, is not asked anything', async () => {
    const [other, misnamed] = [await IssuerServer.start(), await IssuerServer.start('elsewhere.example')]
    try {
      const token = await issuer.token(CLAIMS)
      await expect(verifier({ certificateAuthorities: other.authority }).verify(token, UNASKED)).rejects.toThrow(
        refused('keys-untrusted'),
      )
      await expect(verifier({ certificateAuthorities: undefined as never }).verify(token, UNASKED)).rejects.toThrow(
        refused('keys-untrusted'),
      )
      const named = new OidcVerifier(
        [{ ...trust(), issuer: misnamed.url, certificateAuthorities: misnamed.authority }],
        {
          clock: () => new Date(now),
        },
      )
      await expect(named.verify(await misnamed.token(CLAIMS), UNASKED)).rejects.toThrow(
        refused('keys-untrusted', 'ALTNAME'),
      )
      expect([...issuer.asked, ...misnamed.asked]).toEqual([])
    } finally {
      await Promise.all([other.stop(), misnamed.stop()])
    }
  })

  test('keys may lie on another host that was named beforehand, and only there', async () => {
    const keys = await IssuerServer.start()
    try {
      keys.publish([makeSigningKey('far', 'ES256')])
      issuer.documents({ ...discovery(), jwks_uri: `${keys.url}/keys` }, {})
      const token = await issuer.token(CLAIMS, { signer: keys.keys[0] })
      const both = `${issuer.authority}${keys.authority}`
      await expect(
        verifier({ keysHost: keys.host, certificateAuthorities: both }).verify(token, UNASKED),
      ).resolves.toBeDefined()
      issuer.publish()
      await expect(
        verifier({ keysHost: keys.host, certificateAuthorities: both }).verify(token, UNASKED),
      ).rejects.toThrow(refused('keys-untrusted', `wanted https on ${keys.host}`))
    } finally {
      await keys.stop()
    }
  })

  test('an issuer that does not answer in time is unavailable', async () => {
    issuer.answers.set('/.well-known/openid-configuration', () => undefined)
    await expect(verifier({}, 100).verify(await issuer.token(CLAIMS), UNASKED)).rejects.toThrow(
      refused('keys-unavailable'),
    )
  })

  test('weak RSA keys are refused (E08)', async () => {
    const { generateKeyPairSync } = await import('node:crypto')
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
    const three = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey.export({
      format: 'jwk',
    })
    issuer.publish([makeSigningKey('r', 'RS256')])
    const token = await issuer.token(CLAIMS)
    for (const [jwk, part] of [
      [weak, '1024 bits'],
      [three, 'exponent'],
    ] as const) {
      issuer.documents(discovery(), { keys: [publicJwk(issuer.keys[0]!), { ...jwk, kid: 'w' }] })
      await expect(verifier({ algorithm: 'RS256' }).verify(token, UNASKED)).rejects.toThrow(
        refused('keys-untrusted', part),
      )
    }
  })
})

describe('E18 anchors', () => {
  const pinOf = () => createHash('sha256').update(issuer.serverKey).digest('hex')

  test('of the server are its public key’s whole SHA-256', async () => {
    const token = await issuer.token(CLAIMS)
    await expect(verifier({ serverKeysSha256: [pinOf()] }).verify(token, UNASKED)).resolves.toBeDefined()
    await expect(verifier({ serverKeysSha256: ['00'.repeat(32)] }).verify(token, UNASKED)).rejects.toThrow(
      refused('keys-untrusted', 'pinned'),
    )
  })

  test('of the signing keys are their whole thumbprint: what else is published does not count', async () => {
    const [one, two] = [makeSigningKey('one', 'ES256'), makeSigningKey('two', 'ES256')]
    issuer.publish([one, two])
    const pin = await calculateJwkThumbprint(publicJwk(one) as never, 'sha256')
    const judge = verifier({ signingKeysSha256: [pin] })
    await expect(judge.verify(await issuer.token(CLAIMS, { signer: one }), UNASKED)).resolves.toBeDefined()
    await expect(judge.verify(await issuer.token(CLAIMS, { signer: two }), UNASKED)).rejects.toThrow(
      refused('unknown-key'),
    )
  })

  test.each([
    ['a SHA-1', { serverKeysSha256: ['a'.repeat(40)] }],
    ['the beginning of a SHA-256', { serverKeysSha256: ['a'.repeat(32)] }],
    ['a SHA-256 with colons', { serverKeysSha256: [Array(32).fill('ab').join(':')] }],
    ['no hash at all', { serverKeysSha256: [] }],
    ['a SHA-1 thumbprint', { signingKeysSha256: ['a'.repeat(27)] }],
    ['no thumbprint at all', { signingKeysSha256: [] }],
  ])('that are %s are refused before anything is verified', (_what, pins) => {
    expect(() => verifier(pins as Partial<OidcIssuerInput>)).toThrow(
      expect.objectContaining({ code: 'input.malformed' }),
    )
  })
})

describe('a configuration', () => {
  test.each([
    ['on plain HTTP', { issuer: 'http://issuer.example' }],
    ['with a query', { issuer: 'https://issuer.example/?x' }],
    ['with a user', { issuer: 'https://a@issuer.example' }],
    ['with a symmetric algorithm', { algorithm: 'HS256' }],
    ['with algorithm none', { algorithm: 'none' }],
    ['without an audience', { audience: '' }],
    ['DEF-39 that expects no claim', { claims: {} }],
    ['DEF-39 that expects one of no values', { claims: { hwmodel: [] } }],
    ['with a host that is a URL', { keysHost: 'https://x' }],
    ['with a life of a year', { maxLifetimeSeconds: 31_536_000 }],
  ])('%s is refused', (_what, change) => {
    expect(() => verifier(change as never)).toThrow(expect.objectContaining({ code: 'input.malformed' }))
  })

  test('with members that it does not know, with no issuer or one twice, is refused', () => {
    expect(() => verifier({ insecure: true } as never)).toThrow(
      expect.objectContaining({ code: 'input.unknown-member' }),
    )
    expect(() => new OidcVerifier([])).toThrow(expect.objectContaining({ code: 'input.malformed' }))
    expect(() => new OidcVerifier([trust(), trust()])).toThrow(expect.objectContaining({ code: 'input.malformed' }))
  })
})
