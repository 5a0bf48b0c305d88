import { ImageError } from '../../errors.ts'
import { PREDICATES, subjectFor } from '../../statement/statement.ts'
import { findBundleSignatures } from '../find-signatures.ts'
import type { BundleSignature } from '../stored-signature.ts'
import { type BundleTrust, verifyBundle } from '../verify-bundle.ts'
import type { SignatureScheme } from './scheme.ts'

/** Sigstore bundles that refer to the image, as cosign 3 makes them. */
export const sigstoreBundle: SignatureScheme<BundleSignature, BundleTrust> = {
  name: 'sigstore-bundle',
  fetch: ({ client, name, digest, signal }) => findBundleSignatures(client.reader(name, signal), digest, signal),
  verify: async (signature, trust, documents) => {
    const { place } = signature
    const { content, signer } = verifyBundle(
      signature,
      trust,
      documents.map(({ bytes }) => bytes),
    )
    for (const { bytes, digest } of documents) {
      if (content.kind === 'artifact') {
        // over the document itself, and by no name
        if (bytes === content.artifact) return { key: signer.keyId, digest, name: undefined }
        continue
      }
      const { statement } = content
      if (statement.predicateType !== PREDICATES.sign)
        throw new ImageError(
          'signature.mismatch',
          `${place}: states ${JSON.stringify(statement.predicateType.slice(0, 200))}, which is no signature of an image`,
        )
      const subject = subjectFor(statement, digest)
      if (subject !== undefined) return { key: signer.keyId, digest, name: subject.name }
    }
    throw new ImageError('signature.mismatch', `${place}: is about another image`)
  },
}
