import { expect, test } from 'vitest'
import { digestOf, parseDigest } from '../oci/digest.ts'
import { attachBundle, attachCosign, attachEnvelope } from '../sign/attach.ts'
import { dsseEnvelope, signBundle } from '../sign/sign-bundle.ts'
import { cosignPayload, signCosign } from '../sign/sign-payload.ts'
import { at, newKey, published } from '../testing/signing.ts'
import { findStatements, listAttached, verifyEnvelope } from './find-statements.ts'
import { parseStatement, PREDICATES, writeStatement } from './statement.ts'

const other = parseDigest(`sha256:${'d'.repeat(64)}`)
const about = (
  digest: typeof other,
  predicateType: string = PREDICATES.custom,
  predicate: unknown = { commit: 'c0ffee' },
) => writeStatement({ subjects: [{ digest }], predicateType, predicate })

test('CS-07 H03 a build statement counts when a trusted key made it about this very image', async () => {
  const { client, name, digest, subject } = await published()
  const [key, stranger] = [newKey(), newKey()]
  const attach = (bundle: Uint8Array) => attachBundle(client, name, subject, bundle, PREDICATES.custom, at)
  await attach(signBundle(about(other), key))
  await attach(signBundle(about(digest), stranger))
  await attachEnvelope(client, name, digest, dsseEnvelope(about(other), key), PREDICATES.custom)
  await attachEnvelope(client, name, digest, dsseEnvelope(about(digest), stranger), PREDICATES.custom)
  const trust = { kind: 'keys', keys: [key.public] } as const
  const before = await findStatements(client.reader(name), digest, trust)
  expect(before.verified).toEqual([])
  expect(before.refused.map(({ reason }) => reason.replace(/:.*$/s, '')).sort()).toEqual([
    'signature.mismatch',
    'signature.mismatch',
    'signature.unverified',
    'signature.unverified',
  ])
  await attach(signBundle(about(digest), key))
  await attachEnvelope(client, name, digest, dsseEnvelope(about(digest, PREDICATES.spdx, {}), key), PREDICATES.spdx)
  const { verified } = await findStatements(client.reader(name), digest, trust)
  expect(verified.map(({ statement }) => statement.predicateType)).toEqual([PREDICATES.custom, PREDICATES.spdx])
  expect(verified[0]?.statement.predicate).toEqual({ commit: 'c0ffee' })
  const spdx = await findStatements(client.reader(name), digest, trust, PREDICATES.spdx)
  expect(spdx.verified).toHaveLength(1)
})

test('CS-07 H10 a statement that is gone stops none of the others', async () => {
  const { client, name, digest, server, subject } = await published()
  const key = newKey()
  const [lost, kept] = ['lost', 'kept'].map((commit) =>
    dsseEnvelope(about(digest, PREDICATES.custom, { commit }), key),
  ) as [Uint8Array, Uint8Array]
  await attachEnvelope(client, name, digest, lost, PREDICATES.custom)
  await attachEnvelope(client, name, digest, kept, PREDICATES.custom)
  const bundle = signBundle(about(digest, PREDICATES.vuln), key)
  const gone = await attachBundle(client, name, subject, bundle, PREDICATES.vuln, at)
  const trust = { kind: 'keys', keys: [key.public] } as const
  server.lie = ({ path }, response) => {
    if (!path.endsWith(`/blobs/${digestOf(lost)}`) && !path.endsWith(`/manifests/${gone}`)) return undefined
    response.writeHead(404)
    response.end()
    return true
  }
  const { verified, refused } = await findStatements(client.reader(name), digest, trust)
  expect(verified.map(({ statement }) => statement.predicate)).toEqual([{ commit: 'kept' }])
  expect(refused.map(({ reason }) => reason.replace(/:.*/s, ''))).toEqual(['registry.not-found', 'registry.not-found'])
})

test.each([true, false])(
  'CS-10 everything that hangs on an image is listed (referrers API %s)',
  async (referrersApi) => {
    const { client, name, digest, reference, subject } = await published({ referrersApi })
    const key = newKey()
    await attachCosign(client, name, digest, signCosign(cosignPayload({ digest, dockerReference: reference }), key))
    await attachEnvelope(client, name, digest, dsseEnvelope(about(digest), key), PREDICATES.custom)
    await attachBundle(
      client,
      name,
      subject,
      signBundle(about(digest, PREDICATES.cyclonedx), key),
      PREDICATES.cyclonedx,
      at,
    )
    const listed = await listAttached(client.reader(name), digest)
    expect(listed.map(({ type }) => type)).toEqual([
      'application/vnd.dev.cosign.simplesigning.v1+json',
      'application/vnd.dsse.envelope.v1+json',
      'application/vnd.dev.sigstore.bundle.v0.3+json',
    ])
    expect(listed[1]?.predicateType).toBe(PREDICATES.custom)
  },
)

test('an envelope of another type, changed, or for who asks for a log, is refused', () => {
  const key = newKey()
  const envelope = JSON.parse(new TextDecoder().decode(dsseEnvelope(about(other), key))) as Record<string, unknown>
  const trust = { kind: 'keys', keys: [key.public] } as const
  const check = (change: object, by: Parameters<typeof verifyEnvelope>[1] = trust) =>
    verifyEnvelope(new TextEncoder().encode(JSON.stringify({ ...envelope, ...change })), by, 'it')
  expect(check({}).signer.keyId).toBe(key.public.id)
  expect(() => check({ payloadType: 'text/plain' })).toThrow(expect.objectContaining({ code: 'signature.mismatch' }))
  expect(() => check({ payload: Buffer.from('{}').toString('base64') })).toThrow(
    expect.objectContaining({ code: 'signature.unverified' }),
  )
  expect(() => check({ signatures: [] })).toThrow(expect.objectContaining({ code: 'signature.unverified' }))
  expect(() => check({ signatures: {} })).toThrow(expect.objectContaining({ code: 'signature.malformed' }))
})

test.each([
  ['no subject', { subject: [] }],
  ['a subject without digest', { subject: [{ digest: {} }] }],
  ['another type', { _type: 'https://example.com/Statement' }],
  ['no predicate type', { predicateType: 7 }],
])('a statement with %s is refused', (_what, change) => {
  const statement = JSON.parse(new TextDecoder().decode(about(other))) as object
  const bytes = new TextEncoder().encode(JSON.stringify({ ...statement, ...change }))
  expect(() => parseStatement(bytes)).toThrow(expect.objectContaining({ code: 'statement.malformed' }))
})
