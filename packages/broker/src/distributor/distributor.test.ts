import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  PinnedConnection,
  PrincipalKey,
  dataRecipient,
  decryptDataFile,
  encryptDataFile,
  generateDataKey,
} from '@vouchsafe/client'
import { fetchSecrets, verifyAccessToken } from '@vouchsafe/client/distributor'
import {
  type DistributionInputs,
  Secret,
  clientActivationProof,
  clientQuoteBinding,
  digestOf,
  distribute,
  fromBase64,
  fromUtf8,
  jwkThumbprint,
  p256JwkSchema,
  parseDigest,
  parseSchema,
  replayRecord,
  signStatement,
  signingKeyBinding,
  toBase64,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { GcePlatform, gceAuditEntry } from '@vouchsafe/testkit'
import { TEMPLATES, Tpm, digest, toKeyObject } from '@vouchsafe/tpm'
import { encodeTpmPublic, objectAttributes, tpmName } from '@vouchsafe/tpm/codec'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LocalTpm, newTerms, sealSecret } from 'vouchsafe/distributor'
import { AUDIENCE, DistributorWorld, IMAGE } from '../testing/distributor-world.ts'

let world: DistributorWorld

beforeAll(async () => {
  world = await DistributorWorld.start()
}, 60_000)
afterAll(() => world?.stop())
beforeEach(() => world.publish())

const refusal = (code: string) => expect.objectContaining({ code })
const textOf = (fetched: Awaited<ReturnType<DistributorWorld['fetch']>>) =>
  Object.fromEntries(fetched.secrets.map((s) => [s.name, fromUtf8(s.value)]))

describe('an owner, an instance, one secret', () => {
  test('TD-03 a service that has approved nobody refuses everybody, and records nothing of strangers', async () => {
    const before = (await world.alice.listDecisions()).decisions.length
    await expect(world.fetch()).rejects.toThrow(refusal('client.unprovisioned'))
    expect((await world.alice.listDecisions()).decisions).toHaveLength(before)
  })

  test('TD-01 TD-04 TD-11 TD-18 TD-19 an approved client attests its TPM and gets its secret, sealed to its own key', async () => {
    await world.provision()
    const fetched = await world.fetch()
    expect(textOf(fetched)).toEqual({ secret1: 'fooobar' })
    expect(fetched.class).toBe('simulated')
    const { record } = await world.alice.decision(fetched.decision)
    const replay = await replayRecord(record, world.pin.decisions, nodeCrypto)
    expect(replay).toMatchObject({ signed: true, reproduced: true, verdict: { kind: 'release', grants: ['secret1'] } })
  })

  test('TD-20 each fetch quotes anew, with a nonce of its own', async () => {
    await world.provision()
    const [first, second] = [await world.fetch(), await world.fetch()]
    expect(first.decision).not.toBe(second.decision)
  })

  test('TD-34 DEF-26 G11 the log tells of a success and of a refusal, and holds no secret, credential or document', async () => {
    await world.provision({ secrets: [{ name: 'canary', type: 'RAW', data: toBase64(utf8('canary-7f3a')) }] })
    const from = world.logged.length
    const document = world.document()
    await world.fetch({ document: () => document })
    await world.fetch({ document: () => world.document({ aud: 'elsewhere' }) }).catch(() => undefined)
    const events = world.logged.slice(from)
    expect(events.map((e) => e.event)).toEqual(['distributor.decided', 'distributor.refused'])
    expect(events[0]?.fields).toMatchObject({ outcome: 'release', class: 'simulated', exempt: false })
    expect(events[1]?.fields).toMatchObject({ method: 'MakeCredential', code: 'token.audience' })
    const text = JSON.stringify(world.logged)
    for (const word of ['canary-7f3a', toBase64(utf8('canary-7f3a')), document.split('.')[2] ?? ''])
      expect(text).not.toContain(word)
  })
})

describe('DEF-17 nothing leaves before everything passed', () => {
  test('GetToken without any TPM step is refused, and why says what is missing', async () => {
    await world.provision()
    const connection = world.connect()
    const run = connection.token.getToken({ requestId: 'r' })
    const { code, reasons } = await world.whyRefused(run)
    connection.close()
    expect(code).toBe('evidence.unenrolled')
    expect(reasons).toContain('the client has shown no quote by an activated attestation key')
  })

  test('A17 one quote serves one decision', async () => {
    await world.provision()
    const connection = world.connect()
    await using tpm = await world.openTpm()
    await attestByHand(connection, tpm)
    await connection.token.getToken({ requestId: 'r1' })
    await expect(connection.token.getToken({ requestId: 'r2' })).rejects.toThrow(refusal('evidence.unenrolled'))
    connection.close()
  })

  test.each([
    ['TD-07 another launch script', { userData: '#cloud-config\n# edited\n' }, 'appraisal.launch-data'],
    ['TD-08 another fingerprint', { fingerprint: 'AAAAAAAAAAA=' }, 'appraisal.instance'],
    [
      'TD-09 an edit in the audit trail',
      { audit: [gceAuditEntry('v1.compute.instances.setMetadata', '2026-01-03T00:00:00Z')] },
      'appraisal.audit-trail',
    ],
    ['TD-10 DEF-24 a foreign boot image', { image: 'projects/evil/global/images/fake' }, 'appraisal.boot-image'],
    ['TD-39 a management agent', { metadata: { 'enable-osconfig': 'TRUE' } }, 'appraisal.management-agent'],
    ['another account', { account: 'other@client-project.iam.gserviceaccount.com' }, 'appraisal.instance'],
    ['an instance that is being stopped', { status: 'STOPPING' }, 'appraisal.instance'],
  ])('%s refuses the next fetch, and why names it', async (_what, change, code) => {
    await world.provision()
    world.publish(change)
    const refused = await world.whyRefused(world.fetch())
    expect(refused.kind).toBe('deny')
    expect(refused.codes).toContain(code)
  })

  test('DEF-18 TD-11 an identity document of another audience, issuer or signer is refused before anything else', async () => {
    await world.provision()
    const foreign = new GcePlatform().document(world.instance, AUDIENCE)
    for (const [document, code] of [
      [world.document({ aud: 'https://elsewhere' }), 'token.audience'],
      [world.document({ iss: 'https://accounts.google.com/' }), 'token.issuer'],
      [foreign, 'token.signature'],
      [world.document({ email_verified: false }), 'token.malformed'],
    ] as const)
      await expect(world.fetch({ document: () => document })).rejects.toThrow(refusal(code))
  })

  test('DEF-25 TD-12 a document that is too old, or from the future, is refused', async () => {
    await world.provision({ identityMaxAgeSeconds: 10 })
    const now = Math.floor(Date.now() / 1000)
    for (const iat of [now - 12, now + 60])
      await expect(world.fetch({ document: () => world.document({ iat }) })).rejects.toThrow(refusal('token.age'))
  })

  test('one identity document fetches once', async () => {
    await world.provision()
    const document = world.document()
    await world.fetch({ document: () => document })
    const refused = await world.whyRefused(world.fetch({ document: () => document }))
    expect(refused.codes).toEqual(['token.replayed'])
  })
})

describe('the TPM', () => {
  test('TD-21 DEF-22 registers are pinned per client, several of them, several values each', async () => {
    const pins = world.registers(0, 4, 8)
    const other = '11'.repeat(32)
    await world.provision({ tpm: { registers: { ...pins, 8: [other] }, bootLog: 'required', leastClass: 'simulated' } })
    const refused = await world.whyRefused(world.fetch())
    expect(refused.codes).toEqual(['appraisal.boot-state'])
    expect(refused.reasons).toContain(`register 8 ${other}`)
    await world.provision({
      tpm: { registers: { ...pins, 8: [other, ...(pins[8] ?? [])] }, bootLog: 'required', leastClass: 'simulated' },
    })
    expect(textOf(await world.fetch())).toEqual({ secret1: 'fooobar' })
  })

  test('C04 a boot log that does not replay is refused, and so is none where one is asked for', async () => {
    await world.provision()
    const cut = path.join(world.directory, 'cut-log')
    writeFileSync(cut, readFileSync(world.machine.bootLog).subarray(0, -60))
    const broken = await world.whyRefused(world.fetch({ bootLog: cut }))
    expect(broken.codes[0]).toMatch(/^(?:evidence\.log|input\.malformed)$/)
    writeFileSync(cut, new Uint8Array())
    expect((await world.whyRefused(world.fetch({ bootLog: cut }))).codes).toContain('evidence.log')
  })

  test('DEF-19 B03 a software key never becomes an attestation key: its credential cannot be opened', async () => {
    await world.provision()
    const other = await world.otherMachine()
    try {
      await using foreign = await LocalTpm.open({ address: other.tpm, bootLog: other.bootLog, keys: 'ecc' })
      await using own = await world.openTpm()
      const connection = world.connect()
      // the approved EK with somebody else's AK: only a TPM that holds both opens the credential
      const offered = { requestId: 'r', ekPub: own.ekPublic, akPub: foreign.akPublic, akName: hex(foreign.akName) }
      const made = await connection.verifier.makeCredential(offered)
      const challenge = { credentialBlob: made.credBlob, encryptedSecret: made.encryptedSecret }
      await expect(own.activate(challenge)).rejects.toMatchObject({ code: 'tpm.response' })
      await expect(foreign.activate(challenge)).rejects.toMatchObject({ code: 'tpm.response' })
      await expect(
        connection.verifier.activateCredential({ requestId: 'r', proof: new Uint8Array(32) }),
      ).rejects.toThrow(refusal('enrolment.credential'))
      await expect(connection.verifier.offerQuote({ requestId: 'r' })).rejects.toThrow(refusal('evidence.unenrolled'))
      await expect(connection.token.getToken({ requestId: 'r' })).rejects.toThrow(refusal('evidence.unenrolled'))
      connection.close()
    } finally {
      await other.stop()
    }
  })

  test('B08 B14 another machine of the same maker is not the approved one', async () => {
    await world.provision()
    const other = await world.otherMachine()
    try {
      await using tpm = await LocalTpm.open({ address: other.tpm, bootLog: other.bootLog, keys: 'ecc' })
      const connection = world.connect()
      const options = { broker: world.pin, instance: world.instance.id, tpm }
      await expect(fetchSecrets(connection, options)).rejects.toThrow(refusal('endorsement.mismatch'))
      connection.close()
    } finally {
      await other.stop()
    }
  })

  test('B02 DEF-19 an ordinary signing key of the same TPM is no attestation key', async () => {
    await world.provision()
    await using tpm = await Tpm.open(world.machine.tpm)
    await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    const attributes = objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign')
    await using key = await tpm.createPrimary({
      hierarchy: 'endorsement',
      template: { ...TEMPLATES.akEccP256, attributes },
    })
    const connection = world.connect()
    const akName = hex(tpmName(key.public, nodeCrypto.digest))
    const offered = { ekPub: encodeTpmPublic(ek.public), akPub: encodeTpmPublic(key.public), akName }
    await expect(connection.verifier.makeCredential({ requestId: 'r', ...offered })).rejects.toThrow(
      refusal('evidence.key'),
    )
    connection.close()
  })

  test('DEF-20 akName and akPubCert must both be of akPub', async () => {
    await world.provision()
    await using tpm = await world.openTpm()
    const connection = world.connect()
    const offered = { requestId: 'r', ekPub: tpm.ekPublic, akPub: tpm.akPublic, akName: hex(tpm.akName) }
    const cert = utf8(world.instance.endorsementKey ?? '')
    await expect(connection.verifier.makeCredential({ ...offered, akPubCert: cert })).rejects.toThrow(
      refusal('evidence.mismatch'),
    )
    const name = `${offered.akName.slice(0, -2)}00`
    await expect(connection.verifier.makeCredential({ ...offered, akName: name })).rejects.toThrow(
      refusal('evidence.mismatch'),
    )
    connection.close()
  })

  test('DEF-21 A03 nonces are long, random and used once, the one of activation too', async () => {
    await world.provision()
    await using tpm = await world.openTpm()
    const connection = world.connect()
    const seen = new Set<string>()
    for (let i = 0; i < 5; i++) {
      const { nonce } = await attestByHand(connection, tpm)
      expect(Buffer.from(nonce, 'base64url').length).toBeGreaterThanOrEqual(16)
      seen.add(nonce)
    }
    expect(seen.size).toBe(5)
    const made = await connection.verifier.makeCredential(offerOf(tpm))
    const proof = await proofOf(tpm, made)
    await connection.verifier.activateCredential({ requestId: 'r', proof })
    await expect(connection.verifier.activateCredential({ requestId: 'r', proof })).rejects.toThrow(
      refusal('enrolment.credential'),
    )
    await expect(
      connection.verifier.provideQuote({
        requestId: 'r',
        attestation: new Uint8Array(8),
        signature: new Uint8Array(8),
      }),
    ).rejects.toThrow(refusal('evidence.stale'))
    connection.close()
  })

  test('A08 a quote over another seal key is refused: whoever relays cannot put in their own', async () => {
    await world.provision()
    await using tpm = await world.openTpm()
    const connection = world.connect()
    await attestByHand(connection, tpm, { quotedKey: newSealKey() })
    const { codes } = await world.whyRefused(connection.token.getToken({ requestId: 'r' }))
    expect(codes).toEqual(['evidence.binding'])
    connection.close()
  })

  test('B10 after a reboot into another kernel the same client is refused', async () => {
    await world.provision()
    await world.machine.reboot({ kernelCommandLine: 'init=/bin/sh' })
    try {
      const refused = await world.whyRefused(world.fetch())
      expect(refused.codes).toEqual(['appraisal.boot-state', 'appraisal.boot-state'])
      expect(refused.reasons).toContain('register 8')
    } finally {
      await world.machine.reboot({})
    }
  })

  test('TD-41 any number of attestation keys under one endorsement key, each activated by itself', async () => {
    await world.provision()
    await using tpm = await Tpm.open(world.machine.tpm)
    await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    const connection = world.connect()
    const names = new Set<string>()
    for (const unique of [1, 2]) {
      const template = { ...TEMPLATES.akEccP256, x: new Uint8Array(32).fill(unique) }
      await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template })
      const akName = tpmName(ak.public, nodeCrypto.digest)
      names.add(hex(akName))
      const quote = async (extraData: Uint8Array) => {
        const q = await tpm.quote({ key: ak, bank: 'sha256', extraData })
        return { ...q, registers: q.pcrs.values, bootLog: new Uint8Array(readFileSync(world.machine.bootLog)) }
      }
      const party = {
        ekPublic: encodeTpmPublic(ek.public),
        akPublic: encodeTpmPublic(ak.public),
        akName,
        activate: (challenge: { credentialBlob: Uint8Array; encryptedSecret: Uint8Array }) =>
          tpm.activateCredential({ endorsementKey: ek, object: ak, challenge }),
        quote,
      }
      await attestByHand(connection, party)
      expect((await connection.token.getToken({ requestId: 'r' })).secrets).toHaveLength(1)
    }
    expect(names.size).toBe(2)
    connection.close()
  })

  test('TD-42 the attestation key that the platform publishes needs no activation; any other does', async () => {
    await world.provision()
    await using tpm = await world.openTpm()
    const connection = world.connect()
    const sealKey = newSealKey()
    const quoteWith = async () => {
      const { nonce } = await connection.verifier.offerQuote({
        requestId: 'r',
        platformAkPub: tpm.akPublic,
        sealKey: utf8(JSON.stringify(sealKey)),
      })
      await provide(connection, tpm, nonce, sealKey)
    }
    await quoteWith()
    expect((await connection.token.getToken({ requestId: 'r' })).secrets).toHaveLength(1)
    world.publish({ attestationKey: world.instance.endorsementKey ?? '' })
    await quoteWith()
    expect((await world.whyRefused(connection.token.getToken({ requestId: 'r' }))).codes).toEqual([
      'evidence.unenrolled',
    ])
    connection.close()
  })

  test('TD-22 DEF-20 a signing key made in the TPM is certified over our nonce, recorded, and signs later', async () => {
    await world.provision()
    const connection = world.connect()
    {
      await using first = await world.openTpm()
      await attestByHand(connection, first)
    }
    await using tpm = await Tpm.open(world.machine.tpm)
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const attributes = objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign')
    await using key = await tpm.createPrimary({
      hierarchy: 'owner',
      template: { ...TEMPLATES.akEccP256, attributes },
    })
    const spki = toKeyObject(key.public).export({ format: 'pem', type: 'spki' }).toString()
    const { nonce } = await connection.verifier.offerQuote({ requestId: 'r' })
    const exchange = { brokerId: world.pin.id, tenant: 'alice', instance: world.instance.id }
    const stale = await tpm.certify({ key: ak, object: key, extraData: Uint8Array.of(1) })
    const request = { requestId: 'r', signingkey: utf8(spki), signingPublic: encodeTpmPublic(key.public) }
    await expect(
      connection.verifier.provideSigningKey({ ...request, attestation: stale.attest, signature: stale.signature }),
    ).rejects.toThrow(refusal('evidence.binding'))
    const again = await connection.verifier.offerQuote({ requestId: 'r' })
    expect(again.nonce).not.toBe(nonce)
    const extraData = signingKeyBinding(exchange, again.nonce, nodeCrypto)
    const certified = await tpm.certify({ key: ak, object: key, extraData })
    const answer = await connection.verifier.provideSigningKey({
      ...request,
      attestation: certified.attest,
      signature: certified.signature,
    })
    expect(answer.verified).toBe(true)
    connection.close()
    const der = new Uint8Array(toKeyObject(key.public).export({ format: 'der', type: 'spki' }))
    const entries = (await world.alice.exportLedger()).split('\n').filter((line) => line.includes('key.certified'))
    expect(entries).toHaveLength(1)
    expect(entries[0]?.includes(digestOf(der, nodeCrypto))).toBe(true)
    const message = utf8('signed later')
    const signature = await tpm.sign({ key, digest: digest('sha256', message) })
    if (signature.scheme !== 'ecdsa') throw new Error(signature.scheme)
    const scheme = { kind: 'ecdsa', hash: 'sha256', encoding: 'raw' } as const
    const raw = new Uint8Array([...signature.r, ...signature.s])
    expect(nodeCrypto.verify(nodeCrypto.importPublicKey(der), scheme, message, raw)).toBe(true)
  })
})

describe('what an owner’s record shows later', () => {
  async function inputsOf(decision: string): Promise<DistributionInputs> {
    const { record } = await world.alice.decision(decision)
    const { inputs } = JSON.parse(fromUtf8(fromBase64(record.payload))) as { readonly inputs: DistributionInputs }
    return inputs
  }
  const walkWith = async (inputs: DistributionInputs) => {
    const { decision } = await distribute(inputs, nodeCrypto)
    return decision.kind === 'deny' ? decision.reasons.map((r) => r.code) : [decision.kind]
  }

  test('each input that matters has a twin that is refused', async () => {
    await world.provision()
    const inputs = await inputsOf((await world.fetch()).decision)
    const { tpm, facts } = inputs
    if (tpm === null || tpm.registers === null) throw new Error('no evidence in the record')
    expect(await walkWith(inputs)).toEqual(['release'])
    const shown = (change: Partial<typeof tpm>): DistributionInputs => ({ ...inputs, tpm: { ...tpm, ...change } })
    const later = new Date(Date.parse(inputs.at) + 120_000).toISOString()
    const twins: readonly (readonly [string, DistributionInputs, string])[] = [
      ['no evidence', { ...inputs, tpm: null }, 'evidence.unenrolled'],
      ['no activation', shown({ activation: 'not-activated' }), 'evidence.unenrolled'],
      [
        'the platform’s key, which it is not',
        shown({ activation: 'platform-key', akPublic: tpm.ekPublic ?? '' }),
        'evidence.key',
      ],
      ['a used nonce', shown({ nonceState: 'used' }), 'evidence.stale'],
      ['no boot log', shown({ bootLog: null }), 'evidence.log'],
      [
        'another value of register 0',
        shown({ registers: { ...tpm.registers, 0: '00'.repeat(32) } }),
        'evidence.mismatch',
      ],
      [
        'no certificate of the connection',
        { ...inputs, channel: { ...inputs.channel, certificate: null } },
        'evidence.binding',
      ],
      ['no anchor', { ...inputs, anchors: [] }, 'endorsement.untrusted'],
      ['two minutes later', { ...inputs, at: later }, 'token.age'],
      ['no key of the issuer', { ...inputs, identity: { ...inputs.identity, keys: [] } }, 'token.signature'],
      ['no approval', { ...inputs, statements: [] }, 'wait'],
      ['another owner', { ...inputs, owner: { id: 'bob', keys: inputs.owner.keys } }, 'agreement.owner'],
      ['a removed owner key', { ...inputs, owner: { id: 'alice', keys: [] } }, 'agreement.owner'],
      ['newer terms', { ...inputs, supersededBy: `sha256:${'0'.repeat(64)}` }, 'agreement.superseded'],
      ['a missing secret', { ...inputs, secrets: [{ name: 'secret1', version: null }] }, 'release.unknown'],
      [
        'other published keys',
        { ...inputs, facts: { ...facts, tpm: { ...facts.tpm, endorsementKey: facts.tpm.attestationKey } } },
        'endorsement.mismatch',
      ],
    ]
    for (const [what, twin, code] of twins) expect((await walkWith(twin))[0], what).toBe(code)
  })

  test('a production store takes no endorsement key on a file’s word: a certificate or the live platform must vouch', async () => {
    await world.provision()
    const inputs = await inputsOf((await world.fetch()).decision)
    const tpm = inputs.tpm === null ? null : { ...inputs.tpm, ekCertificate: null }
    const production: DistributionInputs = { ...inputs, profile: 'production', tpm }
    expect(await walkWith(production)).toEqual(['endorsement.untrusted'])
    const live: DistributionInputs = { ...production, facts: { ...inputs.facts, source: 'live' } }
    const { result } = await distribute(live, nodeCrypto)
    expect(result?.claims.class).toBe('platform-vtpm')
  })
})

test('TD-43 data that the TPM hashed are signed by the restricted attestation key, and by nothing else', async () => {
  await using tpm = await Tpm.open(world.machine.tpm)
  await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
  const message = utf8('hashed inside')
  const { digest: hashed, ticket } = await tpm.hash(message, { hash: 'sha256', hierarchy: 'endorsement' })
  const signature = await tpm.sign({ key: ak, digest: hashed, ticket })
  if (signature.scheme !== 'ecdsa') throw new Error(signature.scheme)
  const der = new Uint8Array(toKeyObject(ak.public).export({ format: 'der', type: 'spki' }))
  const scheme = { kind: 'ecdsa', hash: 'sha256', encoding: 'raw' } as const
  const raw = new Uint8Array([...signature.r, ...signature.s])
  expect(nodeCrypto.verify(nodeCrypto.importPublicKey(der), scheme, message, raw)).toBe(true)
  await expect(tpm.sign({ key: ak, digest: digest('sha256', message) })).rejects.toMatchObject({ code: 'tpm.response' })
})

describe('secrets', () => {
  test('TD-05 TD-24 RAW, TINK, TPM and indirectly sealed secrets come in one reply', async () => {
    const facts = (await world.review()).facts
    const pins = Object.fromEntries(Object.entries(world.registers()).map(([n, [v = '']]) => [n, v]))
    const ek = facts.tpm.endorsementKey ?? ''
    const long = 'x'.repeat(5000)
    await world.provision({
      secrets: [
        { name: 'secret1', type: 'RAW', data: toBase64(utf8('fooobar')) },
        { name: 'secret2', type: 'TINK', data: toBase64(utf8('a keyset')) },
        { name: 'secret3', type: 'TPM', data: toBase64(sealSecret(utf8('sealed'), ek, pins, 'direct')) },
        {
          name: 'secret4',
          type: 'TPM',
          layout: 'indirect',
          data: toBase64(sealSecret(utf8(long), ek, pins, 'indirect')),
        },
      ],
    })
    const fetched = await world.fetch()
    expect(textOf(fetched)).toEqual({ secret1: 'fooobar', secret2: 'a keyset', secret3: 'sealed', secret4: long })
    expect(fetched.secrets.map((s) => s.type)).toEqual(['RAW', 'TINK', 'TPM', 'TPM'])
  })

  test('TD-36 a delivered key opens a file that its owner encrypted for it', async () => {
    const key = await generateDataKey()
    const table = 'id,name\n1,alice\n'
    const sealed = await encryptDataFile(new Blob([table]).stream(), await dataRecipient(key))
    const stored = await new Response(sealed).bytes()
    await world.provision({ secrets: [{ name: 'table', type: 'RAW', data: toBase64(key.expose()) }] })
    const { secrets } = await world.fetch()
    const delivered = new Secret(secrets[0]?.value ?? new Uint8Array())
    expect(await new Response(await decryptDataFile(new Blob([stored]).stream(), delivered)).text()).toBe(table)
  })

  test('DEF-27 G15 secrets are encrypted at rest', async () => {
    await world.provision({ secrets: [{ name: 'rest', type: 'RAW', data: toBase64(utf8('at-rest-canary')) }] })
    for (const file of ['broker.sqlite', 'broker.sqlite-wal'])
      expect(readFileSync(path.join(world.directory, 'alice', file)).includes('at-rest-canary')).toBe(false)
  })

  test('DEF-27 they leave as often as was approved', async () => {
    await world.provision({ deliver: { to: 'sealed', times: 2 } })
    await world.fetch()
    await world.fetch()
    const refused = await world.whyRefused(world.fetch())
    expect(refused.codes).toEqual(['policy.deliveries'])
    const { clients } = await world.alice.listClients()
    expect(clients[0]).toMatchObject({ delivered: 2, times: 2, done: true })
  })

  test('TD-28 TD-40 a token in place of a key: short-lived, for one audience, narrowed to resources and rights', async () => {
    const accessToken = {
      audience: 'https://storage.example',
      resources: ['bucket/objects/1'],
      rights: ['read'],
      lifetimeSeconds: 300,
    }
    await world.provision({ secrets: [{ name: 'storage', type: 'RAW', accessToken }] })
    const { secrets } = await world.fetch()
    const response = await fetchTenant(world)
    const token = fromUtf8(secrets[0]?.value ?? new Uint8Array())
    const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: response.keys }), {
      issuer: response.issuer,
      audience: 'https://storage.example',
      typ: 'vouchsafe-access+jwt',
    })
    expect(payload).toMatchObject({ resources: ['bucket/objects/1'], rights: ['read'] })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(300)
  })

  test('VT-01 VT-02 a plain machine gets a token that says what was attested of it, for an audience and nonces of its choice', async () => {
    const tokenFor = (audience: string) => ({ audience, resources: ['r'], rights: ['read'], lifetimeSeconds: 300 })
    await world.provision({
      secrets: [
        { name: 'a', type: 'RAW', accessToken: tokenFor('https://a.example') },
        { name: 'b', type: 'RAW', accessToken: tokenFor('https://b.example') },
        { name: 'key', type: 'RAW', data: toBase64(utf8('fooobar')) },
      ],
    })
    const nonce = 'relying-party-1'
    const { secrets, decision } = await world.fetch({ token: { audience: 'https://b.example', nonces: [nonce] } })
    expect(secrets.map((s) => s.name)).toEqual(['b'])
    const { issuer, keys } = await fetchTenant(world)
    const token = fromUtf8(secrets[0]?.value ?? new Uint8Array())
    const claims = await verifyAccessToken(token, {
      issuer,
      audience: 'https://b.example',
      keys: new Map(
        keys.map((k) => [k.kid, parseSchema(p256JwkSchema, { kty: k.kty, crv: k.crv, x: k.x, y: k.y }, 'key')]),
      ),
      nonce,
      simulated: 'accepted',
      at: new Date(),
    })
    expect(claims).toMatchObject({
      sub: `instance:${world.instance.id}`,
      eat_nonce: nonce,
      submods: { instance: { project: 'client-project' }, tpm: { registers: world.machine.registers } },
      'vouchsafe.class': 'simulated',
      'vouchsafe.decision': decision,
    })
  })

  test.each([
    ['an audience that its owner did not approve', { audience: 'https://c.example', nonces: [] }, 'release.unknown'],
    ['nonces for nobody', { audience: '', nonces: ['relying-party-1'] }, 'input.malformed'],
    [
      'a nonce twice',
      { audience: 'https://b.example', nonces: ['relying-party-1', 'relying-party-1'] },
      'input.malformed',
    ],
    ['a nonce of seven characters', { audience: 'https://b.example', nonces: ['1234567'] }, 'input.malformed'],
    ['a nonce over two lines', { audience: 'https://b.example', nonces: ['12345678\n9'] }, 'input.malformed'],
    [
      'seven nonces',
      { audience: 'https://b.example', nonces: [...'abcdefg'].map((c) => c.repeat(8)) },
      'input.malformed',
    ],
  ])('VT-02 a token with %s is refused, and uses up nothing', async (_what, token, code) => {
    await expect(world.fetch({ token })).rejects.toThrow(refusal(code))
    expect((await world.fetch()).secrets).toHaveLength(3)
  })
})

describe('the owner', () => {
  test('G06 a withdrawal acts at once', async () => {
    const digest = await world.provision()
    await world.fetch()
    const envelope = signStatement(
      {
        says: 'withdraw',
        agreement: parseDigest(digest),
        owner: 'alice',
        key: world.owner.key,
        reason: 'lost trust',
        issued: new Date().toISOString(),
      },
      (bytes) => world.owner.sign(bytes),
    )
    await world.alice.bringStatement({ ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) })
    const refused = await world.whyRefused(world.fetch())
    expect(refused.codes).toEqual(['agreement.withdrawn'])
    expect(refused.reasons).toContain('lost trust')
  })

  test('G05 G02 nobody else approves: not by another key, not for other terms, not twice from the same state', async () => {
    const { facts, terms: current } = await world.review()
    const body = newTerms(facts, world.choices({ previous: current?.digest ?? null }))
    const terms = utf8(JSON.stringify(body))
    const secrets = [{ name: 'secret1', value: toBase64(utf8('x')) }]
    const stranger = PrincipalKey.generate()
    const asStranger = { ...world.approval(terms, body, stranger) }
    await expect(
      world.alice.provisionClient({ terms: toBase64(terms), statement: asStranger, secrets }),
    ).rejects.toThrow(refusal('agreement.signature'))
    const edited = utf8(JSON.stringify({ ...body, purpose: 'another' }))
    await expect(
      world.alice.provisionClient({ terms: toBase64(edited), statement: world.approval(terms, body), secrets }),
    ).rejects.toThrow(refusal('agreement.signature'))
    const behind = utf8(JSON.stringify({ ...body, previous: null }))
    await expect(
      world.alice.provisionClient({ terms: toBase64(behind), statement: world.approval(behind, body), secrets }),
    ).rejects.toThrow(refusal('request.conflict'))
  })

  test('B15 nobody calls the owner’s routes without the owner’s signature', async () => {
    const { pin } = world
    const connection = new PinnedConnection(pin.url, fromBase64(pin.identity), { timeoutMs: 10_000 })
    const base = '/v1/tenants/alice/distributor'
    for (const [method, path] of [
      ['POST', `${base}/clients`],
      ['GET', `${base}/clients`],
      ['GET', `${base}/instances/p/z/n/1`],
    ] as const) {
      const { status, body } = await connection.send({ method, path, ...(method === 'POST' && { body: utf8('{}') }) })
      expect([status, fromUtf8(body)]).toEqual([401, expect.stringContaining('request.signature')])
    }
    connection.close()
  })

  test('TD-25 memory encryption can be demanded: by identity document and platform', async () => {
    await world.provision({ memoryEncryption: 'required' })
    expect((await world.whyRefused(world.fetch())).codes).toEqual(['appraisal.memory-encryption'])
    const confidential = { ...world.instance, confidential: 'SEV' }
    world.publish(confidential)
    const document = () => world.platform.document(confidential, AUDIENCE)
    expect(textOf(await world.fetch({ document }))).toEqual({ secret1: 'fooobar' })
  })

  test('L01 a boot image that came to be distrusted stops releases that were fine before', async () => {
    await world.provision()
    await world.fetch()
    const rule = { id: 'bad-cos', subject: { kind: 'image', image: IMAGE }, reason: 'a hole in it' } as const
    await world.alice.distrust(rule, { dryRun: false })
    const refused = await world.whyRefused(world.fetch())
    expect(refused.codes).toEqual(['appraisal.distrusted'])
  })
})

test('TD-33 DEF-29 health needs no identity document', async () => {
  const connection = world.connect({ document: () => '' })
  await expect(connection.health.check({ service: 'tokenservice.TokenService' })).resolves.toMatchObject({ status: 1 })
  await expect(connection.health.check({ service: 'nobody' })).rejects.toBeDefined()
  for await (const { status } of connection.health.watch({ service: '' })) {
    expect(status).toBe(1)
    break
  }
  connection.close()
})

/* --- a client in its attacker's own hands --- */

type Connection = ReturnType<DistributorWorld['connect']>
interface Party {
  readonly ekPublic: Uint8Array
  readonly akPublic: Uint8Array
  readonly akName: Uint8Array
  activate(challenge: { credentialBlob: Uint8Array; encryptedSecret: Uint8Array }): Promise<Uint8Array>
  quote(extraData: Uint8Array): Promise<{
    readonly attest: Uint8Array
    readonly signature: Uint8Array
    readonly registers: ReadonlyMap<number, Uint8Array>
    readonly bootLog: Uint8Array | null
  }>
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const SEAL_KEY = newSealKey()

function newSealKey() {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  return { kty: 'EC' as const, crv: 'P-256' as const, x, y }
}

const offerOf = (tpm: Party) => ({
  requestId: 'r',
  ekPub: tpm.ekPublic,
  akPub: tpm.akPublic,
  akName: hex(tpm.akName),
  sealKey: utf8(JSON.stringify(SEAL_KEY)),
})

async function proofOf(tpm: Party, made: { nonce: string; credBlob: Uint8Array; encryptedSecret: Uint8Array }) {
  const credential = await tpm.activate({ credentialBlob: made.credBlob, encryptedSecret: made.encryptedSecret })
  const exchange = { brokerId: world.pin.id, tenant: 'alice', instance: world.instance.id }
  const sealKey = jwkThumbprint(SEAL_KEY, nodeCrypto)
  return clientActivationProof(credential, exchange, { nonce: made.nonce, akName: tpm.akName, sealKey }, nodeCrypto)
}

async function attestByHand(connection: Connection, tpm: Party, wrong: { readonly quotedKey?: typeof SEAL_KEY } = {}) {
  const made = await connection.verifier.makeCredential(offerOf(tpm))
  await connection.verifier.activateCredential({ requestId: 'r', proof: await proofOf(tpm, made) })
  const { nonce } = await connection.verifier.offerQuote({ requestId: 'r' })
  await provide(connection, tpm, nonce, wrong.quotedKey ?? SEAL_KEY)
  return { nonce }
}

async function provide(connection: Connection, tpm: Party, nonce: string, sealKey: typeof SEAL_KEY) {
  const exchange = { brokerId: world.pin.id, tenant: 'alice', instance: world.instance.id }
  const parts = { nonce, sealKey: jwkThumbprint(sealKey, nodeCrypto), certificate: connection.certificate }
  const { attest, signature, registers, bootLog } = await tpm.quote(clientQuoteBinding(exchange, parts, nodeCrypto))
  return connection.verifier.provideQuote({
    requestId: 'r',
    attestation: attest,
    signature,
    registers: Object.fromEntries(registers),
    bootLog: bootLog ?? new Uint8Array(),
  })
}

async function fetchTenant({ pin }: DistributorWorld) {
  const connection = new PinnedConnection(pin.url, Buffer.from(pin.identity, 'base64'), { timeoutMs: 10_000 })
  const { body } = await connection.send({ method: 'GET', path: '/v1/tenants/alice' })
  connection.close()
  return JSON.parse(fromUtf8(body)) as {
    readonly issuer: string
    readonly keys: { kty: string; kid: string; crv: string; x: string; y: string }[]
  }
}
