import { TrustedRoot } from '@sigstore/protobuf-specs'
import { toTrustMaterial, type TrustMaterial } from '@sigstore/verify'
import { ImageError } from '../errors.ts'
import { readCertificate } from './certified-signer.ts'
import { parseSignedJson, wellFormed } from './signed-json.ts'
import type { VerificationKey } from './verification-key.ts'

/** CAs, transparency logs and timestamp authorities, as a trusted_root.json holds them. */
export interface SigstoreRoot {
  readonly material: TrustMaterial
}

/** @throws {ImageError} `signature.malformed` */
export function parseTrustedRoot(bytes: Uint8Array, what = 'trusted root'): SigstoreRoot {
  const object = parseSignedJson(bytes, what, 4 * 1024 * 1024)
  return { material: wellFormed(what, () => trustMaterial(object)) }
}

/** Roots made of single keys and certificates, as policies name them. Valid at any time: their files are their limit. */
export function rootOf(parts: {
  readonly authorities?: readonly (readonly Uint8Array[])[]
  readonly logKeys: readonly VerificationKey[]
}): SigstoreRoot {
  const always = { start: new Date(0), end: new Date(8_640_000_000_000_000) }
  const authorities = (parts.authorities ?? []).map((chain) => ({
    certChain: { certificates: chain.map((der) => ({ rawBytes: Buffer.from(der).toString('base64') })) },
  }))
  const { certificateAuthorities } = trustMaterial({ certificateAuthorities: authorities, tlogs: [] })
  const tlogs = parts.logKeys.map(({ id, key }) => ({
    logID: Buffer.from(id, 'hex'),
    baseURL: '',
    publicKey: key,
    validFor: always,
  }))
  return {
    material: {
      certificateAuthorities,
      timestampAuthorities: [],
      tlogs,
      ctlogs: [],
      publicKey: () => {
        throw new Error('no key')
      },
    },
  }
}

/** The library passes over critical extensions: a CA that may certify some names only would certify any. */
function trustMaterial(json: object): TrustMaterial {
  const root = TrustedRoot.fromJSON(json)
  for (const { rawBytes } of root.certificateAuthorities.flatMap(({ certChain }) => certChain?.certificates ?? [])) {
    const { label, demanding } = readCertificate(rawBytes, 'CA')
    if (demanding.length > 0)
      throw new ImageError('signature.untrusted', `CA ${label}: critical extension ${demanding[0]} is not handled`)
  }
  return toTrustMaterial(root)
}
