import { CompactEncrypt } from 'jose'
import { expect, test } from 'vitest'
import { nodeCrypto } from '../../node/index.ts'
import { utf8 } from '../base/encoding.ts'
import { jwkThumbprint } from '../base/keys.ts'
import { newP256 } from '../testing/agreement-fixture.ts'
import { open, readSealedHeader, seal } from './seal.ts'

const guest = newP256()
const broker = newP256()
const context = {
  issuer: 'broker:a',
  tenant: 'clinic-a',
  resource: 'patients/key',
  version: 3,
  agreement: `sha256:${'a'.repeat(64)}`,
  decision: 'd-1',
  sealKey: jwkThumbprint(guest.jwk, nodeCrypto),
}
const secret = utf8('the data key')
const key = { privateKey: guest.privateKey as never, jwk: guest.jwk }
const sealed = await seal(secret, context, guest.jwk, broker.privateKey as never)
const refused = expect.objectContaining({ code: 'release.sealed-payload' })

test('opens for the attested key, and says what it is', async () => {
  const opened = await open(sealed, context, key, broker.jwk, nodeCrypto)
  expect(opened).toEqual({ secret, context })
  expect(readSealedHeader(sealed)).toEqual(context)
})

test('A07 nobody else can open it', async () => {
  const thief = newP256()
  const own = { privateKey: thief.privateKey as never, jwk: thief.jwk }
  await expect(
    open(sealed, { ...context, sealKey: jwkThumbprint(thief.jwk, nodeCrypto) }, own, broker.jwk, nodeCrypto),
  ).rejects.toThrow(refused)
  await expect(open(sealed, context, own, broker.jwk, nodeCrypto)).rejects.toThrow(refused)
})

test('G08 a payload sealed by anyone but the agreed broker is refused', async () => {
  const other = newP256()
  const forged = await seal(secret, context, guest.jwk, other.privateKey as never)
  await expect(open(forged, context, key, broker.jwk, nodeCrypto)).rejects.toThrow(refused)
  const bare = await new CompactEncrypt(utf8(JSON.stringify({ ...context, secret: 'AAAA' })))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ: 'vouchsafe-sealed+jwe', vouchsafe: context })
    .encrypt({ ...guest.jwk, alg: 'ECDH-ES' })
  await expect(open(bare, context, key, broker.jwk, nodeCrypto)).rejects.toThrow(refused)
})

test.each(['issuer', 'tenant', 'resource', 'agreement'] as const)(
  'G07 a payload of another %s is refused',
  async (member) => {
    const other = await seal(secret, { ...context, [member]: 'other' }, guest.jwk, broker.privateKey as never)
    await expect(open(other, context, key, broker.jwk, nodeCrypto)).rejects.toThrow(refused)
  },
)

test('E15 refuses other algorithms and compression', async () => {
  const header = { typ: 'vouchsafe-sealed+jwe', vouchsafe: context }
  const wrapped = await new CompactEncrypt(utf8('x'))
    .setProtectedHeader({ ...header, alg: 'ECDH-ES+A256KW', enc: 'A256GCM' })
    .encrypt({ ...guest.jwk, alg: 'ECDH-ES+A256KW' })
  const cbc = await new CompactEncrypt(utf8('x'))
    .setProtectedHeader({ ...header, alg: 'ECDH-ES', enc: 'A256CBC-HS512' })
    .encrypt({ ...guest.jwk, alg: 'ECDH-ES' })
  for (const jwe of [wrapped, cbc, 'a.b.c.d.e', ''])
    await expect(open(jwe, context, key, broker.jwk, nodeCrypto)).rejects.toThrow(refused)
})

test('whichever character is changed, it does not open', async () => {
  for (let i = 0; i < sealed.length; i += 31) {
    const changed = sealed.slice(0, i) + (sealed[i] === 'x' ? 'y' : 'x') + sealed.slice(i + 1)
    await expect(open(changed, context, key, broker.jwk, nodeCrypto), `at ${i}`).rejects.toThrow(refused)
  }
})
