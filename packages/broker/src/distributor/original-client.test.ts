import { type DistributionInputs, distribute, fromBase64, fromUtf8, toBase64, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { TEMPLATES, Tpm } from '@vouchsafe/tpm'
import { encodeTpmPublic, parseTpmSignature, tpmName } from '@vouchsafe/tpm/codec'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DistributorWorld } from '../testing/distributor-world.ts'

/** What a client of the original protocol does: bare nonces, one register, bare RSA signatures, plain secrets. */
let world: DistributorWorld

beforeAll(async () => {
  world = await DistributorWorld.start({ keys: 'rsa' })
}, 60_000)
afterAll(() => world?.stop())
beforeEach(() => world.publish())

const refusal = (code: string) => expect.objectContaining({ code })

async function attestAsOriginal(connection: ReturnType<DistributorWorld['connect']>, register = 0) {
  await using tpm = await Tpm.open(world.machine.tpm)
  await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekRsa2048 })
  await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akRsa2048 })
  const quote = async (nonce: string) => {
    const extraData = utf8(nonce)
    const { attest, signature } = await tpm.quote({ key: ak, bank: 'sha256', pcrs: [register], extraData })
    const parsed = parseTpmSignature(signature)
    if (parsed.scheme !== 'rsassa') throw new Error(parsed.scheme)
    return { attestation: attest, signature: parsed.signature }
  }
  const { verifier } = connection
  const made = await verifier.makeCredential({
    requestId: 'u',
    akName: Buffer.from(tpmName(ak.public, nodeCrypto.digest)).toString('hex'),
    ekPub: encodeTpmPublic(ek.public),
    akPub: encodeTpmPublic(ak.public),
  })
  const challenge = { credentialBlob: made.credBlob, encryptedSecret: made.encryptedSecret }
  const secret = fromUtf8(await tpm.activateCredential({ endorsementKey: ek, object: ak, challenge }))
  const activated = await verifier.activateCredential({ requestId: 'u', secret, ...(await quote(secret)) })
  const offered = await verifier.offerQuote({ requestId: 'u' })
  const provided = await verifier.provideQuote({ requestId: 'u', ...(await quote(offered.nonce)) })
  return { made, secret, activated, offered, provided }
}

describe('a client of the original protocol', () => {
  const oneRegister = () => ({
    certificate: world.thumbprint,
    deliver: { to: 'client-certificate', times: 10 } as const,
    tpm: { registers: world.registers(0), bootLog: 'optional', leastClass: 'simulated' } as const,
  })

  test('TD-19 with TPM: the quote commits to the certificate of its connection, where its secrets go', async () => {
    await world.provision(oneRegister())
    const connection = world.connect()
    const { made, secret, activated, offered, provided } = await attestAsOriginal(connection)
    expect([made.pcr, offered.pcr, activated.verified, provided.verified]).toEqual([0, 0, true, true])
    expect(secret.length).toBeGreaterThanOrEqual(32)
    const { secrets, inResponseTo, pcr } = await connection.token.getToken({ requestId: 'q' })
    expect([inResponseTo, pcr]).toEqual(['q', 0n])
    expect(secrets.map((s) => [s.name, s.wrapping, fromUtf8(s.data)])).toEqual([['secret1', '', 'fooobar']])
    connection.close()
  })

  test('DEF-21 each credential is 24 random bytes, and of no use the second time', async () => {
    await world.provision(oneRegister())
    const connection = world.connect()
    const first = await attestAsOriginal(connection)
    await expect(connection.verifier.activateCredential({ requestId: 'u', secret: first.secret })).rejects.toThrow(
      refusal('enrolment.credential'),
    )
    const second = await attestAsOriginal(connection)
    expect(second.secret).not.toBe(first.secret)
    expect(second.offered.nonce).not.toBe(first.offered.nonce)
    expect(JSON.stringify(world.logged)).not.toContain(first.secret)
    connection.close()
  })

  test('B05 a quote of another register than the pinned one does not verify, and releases nothing', async () => {
    await world.provision(oneRegister())
    const connection = world.connect()
    await expect(attestAsOriginal(connection, 1)).rejects.toThrow(refusal('evidence.pcr-selection'))
    await expect(connection.token.getToken({ requestId: 'q' })).rejects.toThrow(refusal('evidence.unenrolled'))
    connection.close()
  })

  test('a quote shown over another connection’s certificate is no quote of this one', async () => {
    await world.provision(oneRegister())
    const own = world.connect()
    const other = world.connect({ identity: await world.clients.issue([{ type: 'email', value: 'm@example.com' }]) })
    await attestAsOriginal(own)
    await expect(other.token.getToken({ requestId: 'q' })).rejects.toThrow(refusal('evidence.unenrolled'))
    own.close()
    other.close()
  })

  test('its quote commits to the certificate of its connection: as evidence in any other it is stale', async () => {
    await world.provision(oneRegister())
    const connection = world.connect()
    await attestAsOriginal(connection)
    const { decision } = await connection.token.getToken({ requestId: 'q' })
    connection.close()
    const { record } = await world.alice.decision(decision)
    const { inputs } = JSON.parse(fromUtf8(fromBase64(record.payload))) as { readonly inputs: DistributionInputs }
    const codesOf = async (twin: DistributionInputs) => {
      const walked = await distribute(twin, nodeCrypto)
      return walked.decision.kind === 'deny' ? walked.decision.reasons.map((r) => r.code) : [walked.decision.kind]
    }
    expect(await codesOf(inputs)).toEqual(['release'])
    for (const certificate of ['0'.repeat(64), null])
      expect(await codesOf({ ...inputs, channel: { ...inputs.channel, certificate } })).toEqual(['evidence.binding'])
    const { tpm } = inputs
    if (tpm === null) throw new Error('no evidence')
    const another = { ...tpm, binding: { kind: 'channel', random: 'AAAA' } } as const
    expect(await codesOf({ ...inputs, tpm: another })).toEqual(['evidence.binding'])
  })

  test('several pinned registers are more than it can quote: refused, and why says so', async () => {
    await world.provision({
      ...oneRegister(),
      tpm: { registers: world.registers(0, 4), bootLog: 'optional', leastClass: 'simulated' },
    })
    const connection = world.connect()
    const { provided } = await attestAsOriginal(connection)
    expect(provided.verified).toBe(false)
    const refused = await world.whyRefused(connection.token.getToken({ requestId: 'q' }))
    expect(refused.reasons).toContain('the client quotes one register, its owner pins 0, 4')
    connection.close()
  })
})

describe('a client that its owner exempted from TPM checks', () => {
  const exempt = () => ({
    certificate: world.thumbprint,
    deliver: { to: 'client-certificate', times: 10 } as const,
    tpm: { exemptBecause: 'no TPM in the old fleet' },
  })

  test('gets its secrets in the connection of its certificate, and its class says unattested everywhere', async () => {
    await world.provision(exempt())
    const fetched = await world.fetch({ withTpm: false })
    expect(fromUtf8(fetched.secrets[0]?.value ?? new Uint8Array())).toBe('fooobar')
    expect(fetched.class).toBe('unattested')
    const { record } = await world.alice.decision(fetched.decision)
    expect(fromUtf8(new Uint8Array(Buffer.from(record.payload, 'base64')))).toContain(
      'none: exempted by the owner: no TPM in the old fleet',
    )
    const { clients } = await world.alice.listClients()
    expect(clients[0]).toMatchObject({ class: 'unattested', exempt: 'no TPM in the old fleet' })
    const ledger = (await world.alice.exportLedger()).split('\n')
    expect(ledger.some((l) => l.includes('agreement.approved') && l.includes('no TPM in the old fleet'))).toBe(true)
    expect(ledger.some((l) => l.includes(fetched.decision) && l.includes('unattested'))).toBe(true)
    expect(world.logged.at(-1)?.fields).toMatchObject({ class: 'unattested', exempt: true })
  })

  test('DEF-27 A17 asked for eight times at once, three approved deliveries are three', async () => {
    const digest = await world.provision({ ...exempt(), deliver: { to: 'client-certificate', times: 3 } })
    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => world.fetch({ withTpm: false })))
    expect(answers.filter((a) => a.status === 'fulfilled')).toHaveLength(3)
    const codes = answers.flatMap((a) => (a.status === 'rejected' ? [(a.reason as { code: string }).code] : []))
    expect(new Set(codes)).toEqual(new Set(['policy.deliveries']))
    const released = (await world.alice.exportLedger())
      .split('\n')
      .filter((line) => line.includes(digest) && line.includes('outcome\\":\\"release'))
    expect(released).toHaveLength(3)
  })

  test('everything else is still asked of it', async () => {
    await world.provision(exempt())
    world.publish({ userData: 'edited' })
    expect((await world.whyRefused(world.fetch({ withTpm: false }))).codes).toEqual(['appraisal.launch-data'])
    world.publish()
    const other = await world.clients.issue([{ type: 'email', value: 'm@example.com' }])
    const refused = await world.whyRefused(world.fetch({ withTpm: false, identity: other }))
    expect(refused.codes).toEqual(['appraisal.channel', 'policy.delivery'])
  })

  test('nobody slides into it: it takes a class of its own and a certificate, in the owner’s terms', async () => {
    const edits = [
      { ...exempt(), certificate: null },
      { ...exempt(), deliver: { to: 'sealed', times: 1 } as const },
    ]
    for (const edit of edits) await expect(world.provision(edit)).rejects.toThrow(refusal('input.malformed'))
    await expect(world.provision(exempt(), (body) => ({ ...body, leastClass: 'simulated' }))).rejects.toThrow(
      refusal('input.malformed'),
    )
    await expect(world.provision({}, (body) => ({ ...body, leastClass: 'unattested' }))).rejects.toThrow(
      refusal('input.malformed'),
    )
  })

  test('DEF-27 secrets of another kind are not stored under another’s path', async () => {
    await expect(
      world.provision({ secrets: [{ name: 'x', type: 'RAW', data: toBase64(utf8('v')) }] }, (body) => ({
        ...body,
        secrets: body.secrets.map((s) => ({ ...s, from: { kind: 'resource' as const, path: 'patients/key' } })),
      })),
    ).rejects.toThrow(refusal('input.malformed'))
  })
})
