import { findTagSignatures } from '../find-signatures.ts'
import type { CosignSignature } from '../stored-signature.ts'
import { type SignerTrust, verifyCosignSignature } from '../verify-cosign.ts'
import type { SignatureScheme } from './scheme.ts'

/** Payloads under the tag `sha256-….sig`, as cosign 1 and 2 keep them. */
export const cosignTag: SignatureScheme<CosignSignature, SignerTrust> = {
  name: 'cosign-tag',
  fetch: ({ client, name, digest, signal }) => findTagSignatures(client.reader(name, signal), digest),
  verify: async (signature, trust) => {
    const { payload, signer } = await verifyCosignSignature(signature, trust)
    return { key: signer.keyId, digest: payload.manifestDigest, name: payload.dockerReference }
  },
}
