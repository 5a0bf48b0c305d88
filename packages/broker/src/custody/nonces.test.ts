import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Secret, fromBase64Url, toBase64Url } from '@vouchsafe/core'
import { checkNonce, issueNonce } from './nonces.ts'

const key = new Secret(randomBytes(32))
const issuer = { brokerId: 'broker:a', tenant: 'clinic', restoreEpoch: 1 }
const scope = { purpose: 'attest', session: 's-1' } as const
const at = new Date('2026-11-22T12:00:00Z')
const { nonce, expiresAt } = issueNonce(key, issuer, scope, at)

describe('a nonce', () => {
  test('A01 is fresh until it expires, and expired from then on', () => {
    expect(checkNonce(key, issuer, nonce, scope, at)).toMatchObject({ state: 'fresh', expiresAt })
    expect(checkNonce(key, issuer, nonce, scope, new Date(expiresAt.getTime() - 1))).toMatchObject({ state: 'fresh' })
    expect(checkNonce(key, issuer, nonce, scope, expiresAt)).toMatchObject({ state: 'expired' })
  })

  test('A01 has an id of its own, which is what is consumed', () => {
    const ids = Array.from({ length: 100 }, () => {
      const issued = issueNonce(key, issuer, scope, at)
      const checked = checkNonce(key, issuer, issued.nonce, scope, at)
      return checked.state === 'unissued' ? '' : toBase64Url(checked.id)
    })
    expect(new Set(ids).size).toBe(100)
  })

  const issuers = [
    issuer,
    { ...issuer, tenant: 'bank' },
    { ...issuer, brokerId: 'broker:b' },
    { ...issuer, restoreEpoch: 2 },
  ]
  const scopes = [
    scope,
    { ...scope, session: 's-2' },
    { ...scope, session: '' },
    ...(['enrol', 'release', 'request'] as const).map((purpose) => ({ ...scope, purpose })),
  ]
  const uses = issuers.flatMap((i, a) => scopes.map((s, b) => [`${a}/${b}`, i, s] as const))
  test('A03 G14 is known only to the broker, tenant, session, purpose and restore epoch that it was issued for: every pair', () => {
    for (const [from, i, s] of uses) {
      const issued = issueNonce(key, i, s, at)
      for (const [to, j, t] of uses)
        expect(checkNonce(key, j, issued.nonce, t, at).state, `${from} at ${to}`).toBe(
          from === to ? 'fresh' : 'unissued',
        )
    }
  })

  test('A03 fields cannot be shifted into each other', () => {
    const issued = issueNonce(key, { ...issuer, tenant: 'ab' }, { ...scope, session: 'c' }, at)
    const shifted = checkNonce(key, { ...issuer, tenant: 'a' }, issued.nonce, { ...scope, session: 'bc' }, at)
    expect(shifted.state).toBe('unissued')
  })

  test('A01 of another key, or changed at any byte, was never issued', () => {
    expect(checkNonce(new Secret(randomBytes(32)), issuer, nonce, scope, at).state).toBe('unissued')
    const bytes = fromBase64Url(nonce)
    for (let i = 0; i < bytes.length; i++)
      expect(checkNonce(key, issuer, toBase64Url(bytes.with(i, bytes[i]! ^ 1)), scope, at).state, `byte ${i}`).toBe(
        'unissued',
      )
  })

  test.each([
    ['nothing', ''],
    ['a cut nonce', nonce.slice(0, -2)],
    ['a longer one', `${nonce}AA`],
    ['padding', `${nonce}=`],
    ['no base64url', '!!!'],
    ['another spelling', nonce.replace(/.$/, (c) => (c === 'B' ? 'C' : 'B'))],
  ])('that is %s was never issued', (_what, text) => {
    expect(checkNonce(key, issuer, text, scope, at).state).toBe('unissued')
  })
})
