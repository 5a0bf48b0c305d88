import { createPrivateKey, createPublicKey, sign, verify, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto'
import type { HostFunctions } from '../src/index.ts'

type Signatures = NonNullable<HostFunctions['signatures']>
type Algorithm = Parameters<Signatures['verify']>[0]

function keyInput(algorithm: Algorithm, key: KeyObject): VerifyKeyObjectInput {
  if (algorithm.startsWith('PS')) return { key, padding: 6, saltLength: Number(algorithm.slice(2)) / 8 }
  return { key, dsaEncoding: 'ieee-p1363' }
}

function hashOf(algorithm: Algorithm): string | null {
  return algorithm === 'EdDSA' ? null : `sha${algorithm.slice(2)}`
}

/**
 * Signatures for `io.jwt.*` and `crypto.x509.*` by Node's OpenSSL, as the `signatures` of a policy's `host`. Answers are there at once,
 * so policies over tokens work with `eval`; without it they are WebCrypto's promises and need `evalAsync`.
 */
export const nodeSignatures: Signatures = {
  verify(algorithm, publicKey, message, signature) {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' })
    return verify(hashOf(algorithm), message, keyInput(algorithm, key), signature)
  },
  sign(algorithm, privateKey, message) {
    const key = createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' })
    return new Uint8Array(sign(hashOf(algorithm), message, keyInput(algorithm, key)))
  },
}
