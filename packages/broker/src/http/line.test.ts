import { openResult, sealResult, verifyMaker } from '@vouchsafe/client'
import { fromUtf8, replayRecord, toBase64Url, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newP256, openSealed, releaseRequest } from 'vouchsafe/attack/raw-guest'
import { type TwoClinics, startTwoClinics } from '../testing/two-clinics.ts'

let world: TwoClinics

beforeAll(async () => {
  world = await startTwoClinics()
})
afterAll(() => world?.stop())

const refusal = (code: string) => expect.objectContaining({ code })

describe('CS-01 two clinics over TLS, each with a broker of their own', () => {
  test('KB-19 one approval is not two: the guest waits with code and id, and each owner sees why', async () => {
    const { a, guest, machine, agreement } = world
    await world.approve(a)
    const attested = await guest.attest(a.guest, machine, agreement)
    const request = await releaseRequest(a.guest, attested, ['patients/key'])
    const refused = await request.send().then(
      () => null,
      (error: { code: string; decision: string; message: string }) => error,
    )
    expect(refused).toMatchObject({ code: 'agreement.waiting' })
    expect(refused?.message).not.toContain('clinic-b') // F14: the guest learns code and id, no more
    const { record } = await a.owner.decision(refused?.decision ?? '')
    const replay = await replayRecord(record, a.pin.decisions, nodeCrypto)
    expect(replay).toMatchObject({ signed: true, reproduced: true })
    expect(replay.verdict.reasons[0]?.actual).toBe('1 of 2 owners has approved; waiting for clinic-b')
  })

  test('CS-69 with both approvals each broker releases its own key, sealed to the attested key', async () => {
    const { a, b, guest, machine, agreement } = world
    await world.approve(b)
    for (const clinic of [a, b]) {
      const attested = await guest.attest(clinic.guest, machine, agreement)
      const { sealed } = await (await releaseRequest(clinic.guest, attested, ['patients/key'])).send()
      const secret = await openSealed(clinic.pin, attested, agreement, 'patients/key', sealed[0]?.jwe ?? '')
      expect(fromUtf8(secret)).toBe(`data key of ${clinic.id}`)
    }
  })

  test('a result is believed from the key that was attested and released to, and from no other', async () => {
    const { a, guest, machine, agreement } = world
    const attested = await guest.attest(a.guest, machine, agreement)
    const { decision } = await (await releaseRequest(a.guest, attested, ['patients/key'])).send()
    const { record } = await a.owner.decision(decision)
    const recipient = newP256()
    const resultBy = async (proofKey: ReturnType<typeof newP256>, named: string) => {
      const result = toBase64Url(utf8('{"count":42}'))
      const content = {
        agreement: agreement.digest,
        machine,
        recipient: 'clinic-a',
        decisions: { 'clinic-a': named },
        result,
      }
      const sealed = await sealResult(content, recipient.jwk, {
        jwk: proofKey.jwk,
        privateKey: proofKey.privateKey as never,
      })
      return openResult(sealed, { agreement: agreement.digest, recipient: 'clinic-a' }, recipient.privateKey)
    }
    const genuine = await resultBy(attested.proofKey, decision)
    await expect(verifyMaker(genuine, record, a.pin.decisions)).resolves.toMatchObject({ id: decision })
    for (const [result, key] of [
      [await resultBy(newP256(), decision), a.pin.decisions],
      [await resultBy(attested.proofKey, 'd-another'), a.pin.decisions],
      [genuine, world.b.pin.decisions],
      [{ ...genuine, agreement: `sha256:${'0'.repeat(64)}` }, a.pin.decisions],
    ] as const)
      await expect(verifyMaker(result, record, key)).rejects.toThrow(refusal('release.sealed-payload'))
    const { record: attestation } = await a.owner.decision(attested.id)
    const onlyAttested = { ...genuine, decisions: { 'clinic-a': attested.id } }
    await expect(verifyMaker(onlyAttested, attestation, a.pin.decisions)).rejects.toThrow(
      refusal('release.sealed-payload'),
    )
  })

  test('A01 A17 evidence shown a second time is refused', async () => {
    const { a, guest, machine, agreement } = world
    const { body } = await guest.attestBody(a.guest, machine, agreement)
    await a.guest.attest(body)
    await expect(a.guest.attest(body)).rejects.toThrow(refusal('evidence.stale'))
  })

  test('E12 a token for A is worthless at B', async () => {
    const { a, b, guest, machine, agreement } = world
    const attested = await guest.attest(a.guest, machine, agreement)
    await expect((await releaseRequest(b.guest, attested, ['patients/key'])).send()).rejects.toThrow(
      refusal('token.issuer'),
    )
  })
})
