import { expect, test } from 'vitest'
import { type AttestationSession, AttestationSessions, shownEvidence } from './sessions.ts'

const at = (seconds: number) => new Date(1_767_348_245_000 + seconds * 1000)
const session = (): AttestationSession => ({
  ekPublic: Uint8Array.of(1),
  ekCertificate: null,
  intermediates: [],
  akPublic: Uint8Array.of(2),
  sealKey: null,
  challenge: null,
  activation: 'activated',
  quoteNonce: null,
  signingNonce: null,
  quote: {
    nonce: { value: 'random', expiresAt: at(60) },
    quote: { attest: '', signature: '' },
    registers: null,
    bootLog: null,
  },
})

test('a quote counts for as long as its nonce does, whenever it was shown', () => {
  expect(shownEvidence(session(), at(59))).toMatchObject({
    nonceState: 'fresh',
    binding: { kind: 'channel', random: 'random' },
  })
  expect(shownEvidence(session(), at(60))?.nonceState).toBe('expired')
  expect(shownEvidence({ ...session(), quote: null }, at(0))).toBeNull()
})

test('what one connection’s certificate has shown is nobody else’s, and is forgotten after minutes', () => {
  const sessions = new AttestationSessions()
  const shown = session()
  sessions.begin('1', 'aa', shown, at(0))
  expect(sessions.find('1', 'aa', at(299))).toBe(shown)
  expect(sessions.find('1', 'bb', at(0))).toBeNull()
  expect(sessions.find('1', null, at(0))).toBeNull()
  expect(sessions.find('2', 'aa', at(0))).toBeNull()
  expect(sessions.find('1', 'aa', at(300))).toBeNull()
})

test('ten thousand strangers push out the oldest, and no more', () => {
  const sessions = new AttestationSessions()
  for (let n = 0; n <= 10_000; n++) sessions.begin(String(n), null, session(), at(0))
  expect([sessions.find('0', null, at(1)), sessions.find('1', null, at(1)) === null]).toEqual([null, false])
})
