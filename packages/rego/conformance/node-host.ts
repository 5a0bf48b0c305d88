import { createPrivateKey, createPublicKey, sign, verify, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { HostFunctions, SignatureAlgorithm, Signatures } from '../src/builtins/index.ts'

function keyInput(algorithm: SignatureAlgorithm, key: KeyObject): VerifyKeyObjectInput {
  if (algorithm.startsWith('PS')) return { key, padding: 6, saltLength: Number(algorithm.slice(2)) / 8 }
  return { key, dsaEncoding: 'ieee-p1363' }
}

function hashOf(algorithm: SignatureAlgorithm): string | null {
  return algorithm === 'EdDSA' ? null : `sha${algorithm.slice(2)}`
}

/** Signatures by OpenSSL, at once. */
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

/** What the suites expect of a host. Nothing is sent anywhere: only `localhost` and literal addresses are looked up. */
export const suiteHost: HostFunctions = {
  signatures: nodeSignatures,
  runtime: () => ({}),
  httpSend: () => {
    throw new Error('no case of the suites sends a request')
  },
  lookupAddresses: async (name) => {
    if (isIP(name) !== 0) return [name]
    if (name !== 'localhost') throw new Error('no case of the suites looks up another name')
    return (await lookup(name, { all: true })).map((found) => found.address)
  },
}
