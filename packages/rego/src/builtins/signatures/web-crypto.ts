import type { Signatures } from '../host.ts'
import type { SignatureAlgorithm } from '../jwt/algorithms.ts'

type Import = { readonly name: string; readonly hash?: string; readonly namedCurve?: string }
type Use = { readonly name: string; readonly hash?: string; readonly saltLength?: number }

function parameters(algorithm: SignatureAlgorithm): { readonly importAs: Import; readonly use: Use } {
  if (algorithm === 'EdDSA') return { importAs: { name: 'Ed25519' }, use: { name: 'Ed25519' } }
  const bits = Number(algorithm.slice(2))
  const hash = `SHA-${bits}`
  switch (algorithm.slice(0, 2)) {
    case 'RS':
      return { importAs: { name: 'RSASSA-PKCS1-v1_5', hash }, use: { name: 'RSASSA-PKCS1-v1_5' } }
    case 'PS':
      return { importAs: { name: 'RSA-PSS', hash }, use: { name: 'RSA-PSS', saltLength: bits / 8 } }
    default:
      return {
        importAs: { name: 'ECDSA', namedCurve: bits === 512 ? 'P-521' : `P-${bits}` },
        use: { name: 'ECDSA', hash },
      }
  }
}

/** Signatures by WebCrypto, in browsers and Node. The answers are promises. */
export const webCryptoSignatures: Signatures = {
  async verify(algorithm, publicKey, message, signature) {
    const { importAs, use } = parameters(algorithm)
    const key = await crypto.subtle.importKey('spki', publicKey, importAs, false, ['verify'])
    return crypto.subtle.verify(use, key, signature, message)
  },
  async sign(algorithm, privateKey, message) {
    const { importAs, use } = parameters(algorithm)
    const key = await crypto.subtle.importKey('pkcs8', privateKey, importAs, false, ['sign'])
    return new Uint8Array(await crypto.subtle.sign(use, key, message))
  },
}
