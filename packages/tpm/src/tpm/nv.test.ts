import { describe, expect, test } from 'vitest'
import { nvAttributes } from '../codec/nv-public.ts'
import type { NvFlag, NvType } from '../codec/nv-public.ts'
import { TEMPLATES } from '../codec/templates.ts'
import { digest } from '../crypto/digest.ts'
import { tpmRefuses, useTpm } from '../testing/tpm-fixture.ts'
import { policyDigest } from './policy.ts'
import type { Policy } from './policy.ts'

const text = (value: string) => new TextEncoder().encode(value)
const get = useTpm()
const BY_INDEX: readonly NvFlag[] = ['authRead', 'authWrite']
const BY_OWNER: readonly NvFlag[] = ['ownerRead', 'ownerWrite']

let next = 0x01800001
function area(flags: readonly NvFlag[], dataSize: number, nvType: NvType = 'ordinary', authPolicy = new Uint8Array()) {
  return { nvIndex: next++, nameAlg: 'sha256', attributes: nvAttributes(flags, nvType), authPolicy, dataSize } as const
}

describe('an NV index', () => {
  test('longer than one command carries is written and read in pieces', async () => {
    const { handle } = await get().nvDefine({ public: area(BY_OWNER, 2048) })
    const contents = Uint8Array.from({ length: 2048 }, (_, at) => at % 251)
    await get().nvWrite(handle, contents)
    expect(await get().nvRead(handle)).toEqual(contents)
    expect(await get().nvRead(handle, { offset: 1000, size: 100 })).toEqual(contents.subarray(1000, 1100))
    expect(await get().nvRead(handle, { offset: 2000 })).toEqual(contents.subarray(2000))
    await get().nvUndefine({ index: handle })
    await expect(get().nvRead(handle)).rejects.toMatchObject(tpmRefuses('TPM_RC_HANDLE'))
  })

  test('opens by its own password where its attributes say so', async () => {
    const authValue = text('index')
    const { handle } = await get().nvDefine({ public: area(BY_INDEX, 8), authValue })
    await get().nvWrite(handle, text('12345678'), { authValue })
    expect(await get().nvRead(handle, { authValue })).toEqual(text('12345678'))
    await expect(get().nvRead(handle, { authValue: text('wrong') })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_AUTH_FAIL'),
    )
    await expect(get().nvRead(handle, { authority: 'owner' })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_NV_AUTHORIZATION'),
    )
    await get().run('DictionaryAttackLockReset', { lockHandle: 'lockout' })
  })

  test('opens by its policy where its attributes say so', async () => {
    const policy: Policy = [{ kind: 'auth-value' }]
    const authValue = text('index')
    const { handle } = await get().nvDefine({
      public: area(['policyRead', 'ownerWrite'], 4, 'ordinary', policyDigest(policy)),
      authValue,
    })
    await get().nvWrite(handle, text('data'))
    const session = await get().startPolicySession(policy)
    expect(await get().nvRead(handle, { authValue, auth: { session, last: true } })).toEqual(text('data'))
    await expect(get().nvRead(handle, { authValue })).rejects.toMatchObject({ code: 'tpm.response' })
  })

  test('is read encrypted in a salted session, and authorized by its HMAC', async () => {
    await using srk = await get().createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    const authValue = text('index')
    const { handle } = await get().nvDefine({ public: area(BY_INDEX, 8), authValue })
    const session = await get().startSession({ type: 'hmac', salt: srk })
    const write = { session, encryptCommand: true }
    const read = { session, encryptResponse: true }
    await get().nvWrite(handle, text('12345678'), { authValue, auth: write })
    expect(await get().nvRead(handle, { authValue, auth: read })).toEqual(text('12345678'))
    await get().endSession(session)
  })

  test('that counts only goes up', async () => {
    const { handle } = await get().nvDefine({ public: area(BY_INDEX, 8, 'counter') })
    await get().nvIncrement(handle)
    const value = async () => Buffer.from(await get().nvRead(handle)).readBigUInt64BE()
    const first = await value()
    await get().nvIncrement(handle)
    expect(await value()).toBe(first + 1n)
    await expect(get().nvWrite(handle, new Uint8Array(8))).rejects.toMatchObject(tpmRefuses('TPM_RC_ATTRIBUTES'))
  })

  test('that extends does so as a register would', async () => {
    const { handle } = await get().nvDefine({ public: area(BY_INDEX, 32, 'extend') })
    await get().nvExtend(handle, text('one'))
    await get().nvExtend(handle, text('two'))
    const one = digest('sha256', new Uint8Array(32), text('one'))
    expect(await get().nvRead(handle)).toEqual(digest('sha256', one, text('two')))
  })

  test('of bits has them set one by one', async () => {
    const index = await get().nvDefine({ public: area(BY_INDEX, 8, 'bits') })
    await get().run('NV_SetBits', { authHandle: index, nvIndex: index, bits: 0x8000000000000001n })
    expect(Buffer.from(await get().nvRead(index.handle)).toString('hex')).toBe('8000000000000001')
  })

  test('changes its name with the first write, and is opened anew for it', async () => {
    const defined = await get().nvDefine({ public: area(BY_OWNER, 4) })
    await get().nvWrite(defined.handle, text('data'))
    const written = await get().openNv(defined.handle)
    expect(written.name).not.toEqual(defined.name)
    expect(written.public.attributes.written).toBe(true)
  })

  test('that was never written is not read as zeros', async () => {
    const { handle } = await get().nvDefine({ public: area(BY_OWNER, 4) })
    await expect(get().nvRead(handle)).rejects.toMatchObject(tpmRefuses('TPM_RC_NV_UNINITIALIZED'))
  })

  test('locked against writing stays as it is', async () => {
    const index = await get().nvDefine({ public: area([...BY_OWNER, 'writeDefine'], 4) })
    await get().nvWrite(index.handle, text('data'))
    await get().run('NV_WriteLock', { authHandle: 'owner', nvIndex: index.handle })
    await expect(get().nvWrite(index.handle, text('else'))).rejects.toMatchObject(tpmRefuses('TPM_RC_NV_LOCKED'))
  })

  test('cannot be written past its end', async () => {
    const { handle } = await get().nvDefine({ public: area(BY_OWNER, 4) })
    await expect(get().nvWrite(handle, text('12345'))).rejects.toMatchObject(tpmRefuses('TPM_RC_NV_RANGE'))
  })
})
