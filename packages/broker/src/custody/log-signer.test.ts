import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { formatCheckpoint, verifyCheckpoint } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { testSigner } from '../store/testing/tenancy.ts'
import { logSigner } from './log-signer.ts'

const root = new Uint8Array(32)
const note = (signer: ReturnType<typeof testSigner>, size = 1): string =>
  formatCheckpoint({ origin: signer.name, size, root }, signer)

describe('a log signer', () => {
  const signer = testSigner('clinic')

  test('signs what its public key verifies', async () => {
    expect(await verifyCheckpoint(note(signer), signer.key, nodeCrypto)).toEqual({ origin: signer.name, size: 1, root })
  })

  test('recognises what it signed, and nothing else', () => {
    expect(signer.recognises(note(signer))).toBe(true)
    expect(signer.recognises(note(signer).replace('\n1\n', '\n2\n'))).toBe(false)
    expect(signer.recognises(note(testSigner('clinic')))).toBe(false)
    expect(signer.recognises(note(testSigner('bank')))).toBe(false)
    const otherSignature = note(signer, 2).split('\n')[4] ?? ''
    expect(signer.recognises(note(signer).replace(/— .*/, otherSignature))).toBe(false)
  })

  test('after a rotation recognises what the key before it signed', () => {
    const fresh = generateKeyPairSync('ed25519').privateKey
    expect(logSigner(signer.name, fresh).recognises(note(signer))).toBe(false)
    expect(logSigner(signer.name, fresh, [signer.key]).recognises(note(signer))).toBe(true)
  })

  test('signs with Ed25519 only', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    expect(() => logSigner('log', privateKey)).toThrow(expect.objectContaining({ code: 'internal' }))
  })
})
