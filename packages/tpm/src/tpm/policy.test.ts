import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { nvAttributes } from '../codec/nv-public.ts'
import { objectAttributes } from '../codec/public-area.ts'
import type { TpmPublic } from '../codec/public-area.ts'
import type { TpmSignature } from '../codec/signature.ts'
import { sealedDataTemplate, TEMPLATES } from '../codec/templates.ts'
import { publicAreaFor } from '../crypto/keys.ts'
import { tpmRefuses, useTpm } from '../testing/tpm-fixture.ts'
import { approvalMessage, EK_POLICY, policyDigest } from './policy.ts'
import type { Policy } from './policy.ts'

const text = (value: string) => new TextEncoder().encode(value)
const get = useTpm()
const secret = text('what the policy protects')
const password = text('password')
const name = new Uint8Array(34).fill(7)

/** A key outside of the TPM that signs authorizations. */
const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const authorityKey: TpmPublic = {
  ...publicAreaFor(authority.publicKey, TEMPLATES.akEccP256),
  attributes: objectAttributes('userWithAuth', 'sign'),
}
function signMessage(message: Uint8Array): TpmSignature {
  const raw = new Uint8Array(sign('sha256', message, { key: authority.privateKey, dsaEncoding: 'ieee-p1363' }))
  return { scheme: 'ecdsa', hash: 'sha256', r: raw.slice(0, 32), s: raw.slice(32) }
}

async function pcrPolicy(pcrs: readonly number[]): Promise<Policy> {
  return [{ kind: 'pcr', selections: [{ hash: 'sha256', pcrs }], values: [await get().pcrRead('sha256', pcrs)] }]
}

let nextIndex = 0x01800100
async function writtenIndex(value: number) {
  const attributes = nvAttributes(['authRead', 'authWrite', 'ownerRead', 'ownerWrite'])
  const nvIndex = nextIndex++
  await get().nvDefine({
    public: { nvIndex, nameAlg: 'sha256', attributes, authPolicy: new Uint8Array(), dataSize: 1 },
  })
  await get().nvWrite(nvIndex, Uint8Array.of(value))
  return get().openNv(nvIndex)
}

describe('the digest computed here is the one that the TPM computes for the same steps', () => {
  test.each<[string, () => Policy | Promise<Policy>]>([
    ['registers', () => pcrPolicy([0, 7, 23])],
    ['a secret', () => EK_POLICY],
    ['a secret with a reference', () => [{ kind: 'secret', entity: 'owner', policyRef: text('for this') }]],
    ['a signature', () => [{ kind: 'signed', key: authorityKey, sign: signMessage, policyRef: text('ref') }]],
    ['a password', () => [{ kind: 'password' }]],
    ['an authorization value', () => [{ kind: 'auth-value' }]],
    ['a command', () => [{ kind: 'command-code', command: 'Certify' }]],
    ['a locality', () => [{ kind: 'locality', locality: 1 }]],
    ['written NV', () => [{ kind: 'nv-written', written: true }]],
    [
      'a clock',
      () => [{ kind: 'counter-timer', operandB: new Uint8Array(8), offset: 0, operation: 'unsigned-greater-or-equal' }],
    ],
    ['parameters', () => [{ kind: 'cp-hash', cpHash: new Uint8Array(32).fill(1) }]],
    ['names', () => [{ kind: 'name-hash', nameHash: new Uint8Array(32).fill(2) }]],
    ['a template', () => [{ kind: 'template', templateHash: new Uint8Array(32).fill(3) }]],
    ['a new parent', () => [{ kind: 'duplication-select', newParentName: name }]],
    ['a new parent for one object', () => [{ kind: 'duplication-select', newParentName: name, objectName: name }]],
    [
      'an NV index',
      async () => [
        { kind: 'nv', index: await writtenIndex(5), operandB: Uint8Array.of(5), offset: 0, operation: 'equal' },
      ],
    ],
    [
      'one of several',
      () => [
        {
          kind: 'or',
          branches: [EK_POLICY, [{ kind: 'password' }], [{ kind: 'auth-value' }, { kind: 'locality', locality: 1 }]],
          taken: 2,
        },
      ],
    ],
    ['several in a row', async () => [...(await pcrPolicy([1])), ...EK_POLICY, { kind: 'auth-value' }]],
  ])('%s', async (_what, make) => {
    const policy = await make()
    for (const hash of ['sha256', 'sha384'] as const) {
      // 32-byte names and hashes do not suit a SHA-384 session, and NV names are SHA-256 anyway
      if (hash === 'sha384' && policy.some(({ kind }) => ['cp-hash', 'name-hash', 'template'].includes(kind))) continue
      const session = await get().startSession({ type: 'trial', hash })
      await get().satisfyPolicy(session, policy)
      const { policyDigest: theirs } = await get().run('PolicyGetDigest', { policySession: session })
      expect(policyDigest(policy, hash)).toEqual(theirs)
      await get().endSession(session)
    }
  })

  test('an approved policy, by an approval that the TPM checks', async () => {
    const approved = await pcrPolicy([2])
    const policyRef = text('release 7')
    const signature = signMessage(approvalMessage(approved, { policyRef }))
    const policy: Policy = [{ kind: 'authorize', key: authorityKey, policyRef, approved, signature }]
    const session = await get().startPolicySession(policy)
    const { policyDigest: theirs } = await get().run('PolicyGetDigest', { policySession: session })
    expect(policyDigest(policy)).toEqual(theirs)
    await get().endSession(session)
    const forged: Policy = [{ kind: 'authorize', key: authorityKey, policyRef: text('release 8'), approved, signature }]
    await expect(get().startPolicySession(forged)).rejects.toMatchObject(tpmRefuses('TPM_RC_SIGNATURE'))
  })
})

describe('a sealed object opens', () => {
  async function sealWith(policy: Policy | undefined, authValue?: Uint8Array) {
    const parent = await get().createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkRsa2048 })
    const withPolicy = policy === undefined ? {} : { policy }
    const withPassword = authValue === undefined ? {} : { authValue }
    const sealed = await get().seal({ parent, data: secret, ...withPolicy, ...withPassword })
    const open = (other: { policy?: Policy; authValue?: Uint8Array } = {}) =>
      get().unseal({ parent, sealed, ...withPolicy, ...withPassword, ...other })
    return { parent, sealed, open }
  }

  test('under its registers, and no longer when one has changed', async () => {
    const { open, parent } = await sealWith(await pcrPolicy([0, 11]))
    expect(await open()).toEqual(secret)
    await get().pcrEvent(11, text('something else was started'))
    await expect(open()).rejects.toMatchObject(tpmRefuses('TPM_RC_VALUE', { kind: 'parameter', number: 1 }))
    const current: Policy = [{ kind: 'pcr', selections: [{ hash: 'sha256', pcrs: [0, 11] }] }]
    await expect(open({ policy: current })).rejects.toMatchObject(tpmRefuses('TPM_RC_POLICY_FAIL'))
    await parent.flush()
  })

  test('with its password in the HMAC, and not without', async () => {
    const { open, parent } = await sealWith([{ kind: 'auth-value' }], password)
    expect(await open()).toEqual(secret)
    await expect(open({ authValue: text('wrong') })).rejects.toMatchObject(tpmRefuses('TPM_RC_AUTH_FAIL'))
    await expect(open({ authValue: new Uint8Array() })).rejects.toMatchObject(tpmRefuses('TPM_RC_AUTH_FAIL'))
    await get().run('DictionaryAttackLockReset', { lockHandle: 'lockout' })
    await parent.flush()
  })

  test('with its password in the clear, which satisfies the same policy', async () => {
    const { open, parent } = await sealWith([{ kind: 'password' }], password)
    expect(await open()).toEqual(secret)
    expect(await open({ policy: [{ kind: 'auth-value' }] })).toEqual(secret)
    await expect(open({ authValue: text('wrong') })).rejects.toMatchObject(tpmRefuses('TPM_RC_AUTH_FAIL'))
    await get().run('DictionaryAttackLockReset', { lockHandle: 'lockout' })
    await parent.flush()
  })

  test('without a policy by its password alone', async () => {
    const { open, parent } = await sealWith(undefined, password)
    expect(await open()).toEqual(secret)
    await expect(open({ authValue: text('wrong') })).rejects.toMatchObject(tpmRefuses('TPM_RC_AUTH_FAIL'))
    await get().run('DictionaryAttackLockReset', { lockHandle: 'lockout' })
    await parent.flush()
  })

  test('with a policy not by a password session, whatever the password', async () => {
    const { sealed, parent } = await sealWith([{ kind: 'auth-value' }], password)
    const object = await get().load({ parent, ...sealed, authValue: password })
    await expect(get().run('Unseal', { itemHandle: object })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_AUTH_UNAVAILABLE'),
    )
    await Promise.all([object.flush(), parent.flush()])
  })

  test('on an authority’s signature for this very session', async () => {
    const { open, parent } = await sealWith([{ kind: 'signed', key: authorityKey, sign: signMessage }])
    expect(await open()).toEqual(secret)
    let first: TpmSignature | undefined
    const replaying = (message: Uint8Array) => (first ??= signMessage(message))
    expect(await open({ policy: [{ kind: 'signed', key: authorityKey, sign: replaying }] })).toEqual(secret)
    await expect(open({ policy: [{ kind: 'signed', key: authorityKey, sign: replaying }] })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_SIGNATURE'),
    )
    await parent.flush()
  })

  test('while an NV index compares as it should', async () => {
    const index = await writtenIndex(3)
    const policy: Policy = [{ kind: 'nv', index, operandB: Uint8Array.of(4), offset: 0, operation: 'unsigned-less' }]
    const { open, parent } = await sealWith(policy)
    expect(await open()).toEqual(secret)
    await get().nvWrite(index.handle, Uint8Array.of(4))
    await expect(open()).rejects.toMatchObject(tpmRefuses('TPM_RC_POLICY'))
    await parent.flush()
  })

  test('by any branch of a PolicyOR, and by no other way', async () => {
    const branches: Policy[] = [await pcrPolicy([12]), [{ kind: 'auth-value' }]]
    const { open, parent } = await sealWith([{ kind: 'or', branches, taken: 0 }], password)
    expect(await open()).toEqual(secret)
    expect(await open({ policy: [{ kind: 'or', branches, taken: 1 }] })).toEqual(secret)
    await expect(open({ policy: [{ kind: 'or', branches, taken: 7 }] })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_VALUE'),
    )
    await expect(open({ policy: branches[1] ?? [] })).rejects.toMatchObject(tpmRefuses('TPM_RC_POLICY_FAIL'))
    await parent.flush()
  })

  test('for the command of its policy only', async () => {
    const { open, parent } = await sealWith([{ kind: 'command-code', command: 'Unseal' }])
    expect(await open()).toEqual(secret)
    const other = await sealWith([{ kind: 'command-code', command: 'Certify' }])
    await expect(other.open()).rejects.toMatchObject(tpmRefuses('TPM_RC_POLICY_CC'))
    await Promise.all([parent.flush(), other.parent.flush()])
  })

  test('only in the TPM and under the parent that it was sealed to', async () => {
    const { sealed, parent } = await sealWith(undefined)
    const elsewhere = await get().createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    await expect(get().unseal({ parent: elsewhere, sealed })).rejects.toMatchObject(tpmRefuses('TPM_RC_INTEGRITY'))
    await Promise.all([parent.flush(), elsewhere.flush()])
  })

  test('and its public area says by what', async () => {
    const policy = await pcrPolicy([3])
    const { sealed, parent } = await sealWith(policy)
    const { attributes } = sealedDataTemplate({ attributes: ['fixedTPM', 'fixedParent', 'adminWithPolicy'] })
    expect(sealed.public).toMatchObject({ attributes, authPolicy: policyDigest(policy) })
    await parent.flush()
  })

  test.each([0, 129])('%d bytes cannot be sealed', async (length) => {
    await using parent = await get().createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    const sealing = get().seal({ parent, data: new Uint8Array(length) })
    await expect(sealing).rejects.toMatchObject({ code: 'input.too-large' })
  })
})

test('a digest of registers needs their values', () => {
  expect(() => policyDigest([{ kind: 'pcr', selections: [{ hash: 'sha256', pcrs: [0] }] }])).toThrow(
    expect.objectContaining({ code: 'input.malformed' }),
  )
})

test('a policy that fails halfway leaves no session behind', async () => {
  const wrong: Policy = [{ kind: 'or', branches: [EK_POLICY, [{ kind: 'password' }]], taken: 5 }]
  await expect(get().startPolicySession(wrong)).rejects.toMatchObject(tpmRefuses('TPM_RC_VALUE'))
  expect(await get().getCapability('handles', 0x03000000)).toEqual([])
})
