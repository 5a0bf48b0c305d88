import { findLookasideSignatures, type LookasideReader } from '../find-signatures.ts'
import { otherKind } from '../stored-signature.ts'
import type { SimpleSignature } from '../stored-signature.ts'
import { type SimpleTrust, verifySimpleSignature } from '../verify-simple.ts'
import type { Attributed, SignaturePlace, SignatureScheme } from './scheme.ts'

/**
 * OpenPGP messages in files beside the registry.
 *
 * @param urlOf - The address of an image's n-th signature, counted from one. Left `undefined` there is no store, and none.
 */
export function simpleSigning(
  urlOf: ((place: SignaturePlace, number: number) => string) | undefined,
  read: LookasideReader,
): SignatureScheme<SimpleSignature, SimpleTrust> {
  return {
    name: 'simple-signing',
    fetch: async (place) => {
      if (urlOf === undefined) return []
      const found = await findLookasideSignatures((number) => urlOf(place, number), read)
      return found.map((one) => {
        if (one.kind === 'simple' || one.kind === 'unreadable') return one
        return { kind: 'unreadable' as const, place: one.place, error: otherKind(one, 'a simple signature') }
      })
    },
    verify: verifySimple,
  }
}

/** The payload and cryptography of simple signing, wherever the message was found. */
export async function verifySimple(signature: SimpleSignature, trust: SimpleTrust): Promise<Attributed> {
  const { payload, signer } = await verifySimpleSignature(signature, trust)
  return { key: signer.fingerprint, digest: payload.manifestDigest, name: payload.dockerReference }
}
