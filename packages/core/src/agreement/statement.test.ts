import { expect, test } from 'vitest'
import { nodeCrypto } from '../../node/index.ts'
import { fromBase64, fromUtf8, toBase64, utf8 } from '../base/encoding.ts'
import { agreement, approval, clinicA, clinicB, newOwner } from '../testing/agreement-fixture.ts'
import { openEnvelope, signEnvelope } from './envelope.ts'
import { STATEMENT_TYPE, verifyStatement } from './statement.ts'
import { parseOwnerKey } from '../base/keys.ts'

const agreed = agreement()
const keysOf = (owner: string) => agreed.body.owners.find((o) => o.id === owner)?.keys ?? []
const refused = expect.objectContaining({ code: 'agreement.signature' })

test('an approval verifies under the owner’s key and says what was signed', async () => {
  const { envelope, statement } = approval(agreed, clinicA)
  await expect(verifyStatement(envelope, keysOf, nodeCrypto)).resolves.toEqual(statement)
})

test('G05 an approval in an owner’s name by another key is refused', async () => {
  const stranger = { ...newOwner('clinic-a') }
  await expect(verifyStatement(approval(agreed, stranger).envelope, keysOf, nodeCrypto)).rejects.toThrow(refused)
  const forged = approval(agreed, { ...stranger, key: clinicA.key })
  await expect(verifyStatement(forged.envelope, keysOf, nodeCrypto)).rejects.toThrow(refused)
})

test('G04 the key of one owner cannot speak for another', async () => {
  const { envelope } = approval(agreed, { ...clinicA, id: 'clinic-b' })
  await expect(verifyStatement(envelope, keysOf, nodeCrypto)).rejects.toThrow(refused)
  expect(keysOf('clinic-b')).toEqual([clinicB.key])
})

test('G02 whichever member of an approval is changed, it verifies no more', async () => {
  const { envelope } = approval(agreed, clinicA)
  const signed = JSON.parse(fromUtf8(fromBase64(envelope.payload))) as Record<string, string>
  const others = {
    agreement: `sha256:${'0'.repeat(64)}`,
    purpose: 'sell them',
    expires: '2030-01-01T00:00:00Z',
    issued: '2020-01-01T00:00:00Z',
  }
  for (const [member, value] of Object.entries(others)) {
    const changed = { ...envelope, payload: toBase64(utf8(JSON.stringify({ ...signed, [member]: value }))) }
    await expect(verifyStatement(changed, keysOf, nodeCrypto), member).rejects.toThrow(refused)
  }
})

test('A21 a signature over one type of payload says nothing as another type', async () => {
  const { envelope } = approval(agreed, clinicA)
  const payload = fromBase64(envelope.payload)
  const key = parseOwnerKey(clinicA.key)
  expect(await openEnvelope(envelope, STATEMENT_TYPE, key, nodeCrypto)).toEqual(payload)
  const relabelled = { ...envelope, payloadType: 'application/vnd.vouchsafe.agreement.v1+json' }
  expect(await openEnvelope(relabelled, relabelled.payloadType, key, nodeCrypto)).toBe(null)
  expect(await openEnvelope(envelope, relabelled.payloadType, key, nodeCrypto)).toBe(null)
  const typed = signEnvelope('text/plain', payload, clinicA.key, clinicA.sign)
  await expect(verifyStatement({ ...typed, payloadType: STATEMENT_TYPE }, keysOf, nodeCrypto)).rejects.toThrow(refused)
})

test('an envelope with a member too many, or without signatures, is refused as malformed', async () => {
  const { envelope } = approval(agreed, clinicA)
  await expect(verifyStatement({ ...envelope, signatures: [] }, keysOf, nodeCrypto)).rejects.toThrow(
    expect.objectContaining({ code: 'input.malformed' }),
  )
  await expect(verifyStatement({ ...envelope, key: 'x' }, keysOf, nodeCrypto)).rejects.toThrow(
    expect.objectContaining({ code: 'input.unknown-member' }),
  )
})
