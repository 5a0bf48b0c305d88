import type { DecisionPorts, RequirementFinding } from './decide-image.ts'
import { type AcceptedSigner, DEFAULT_IDENTITY, sigstoreSigner, type SignedImage, tryOne } from './judge-signature.ts'
import type { Signers } from './requirement.ts'
import { loadSigners, type NamedKey } from './trust.ts'

/** So many different keys out of those named; a key counts once however often it signed (CS-11). */
export async function judgeSigners(
  requirement: Signers,
  image: SignedImage,
  ports: DecisionPorts,
): Promise<RequirementFinding> {
  const { threshold, signers, signed } = requirement
  const identity = requirement.signedIdentity ?? DEFAULT_IDENTITY
  const named = await loadSigners(signers, ports.material)
  const keys = named.map(({ key }) => key)
  const found = await ports.signatures.sigstore()
  const documents = signed === undefined ? image.documents : image.documents.filter(({ role }) => role === signed)
  const narrowed = { ...image, documents }
  const outcomes: { place: string; outcome: string }[] = []
  const counted = new Map<string, AcceptedSigner>()
  for (const signature of found) {
    const outcome = await tryOne(signature, (one) => sigstoreSigner(one, { kind: 'keys', keys }, narrowed, identity))
    if (outcome.signer === undefined) outcomes.push({ place: signature.place, outcome: outcome.why })
    else {
      const name = nameOf(named, outcome.signer.key)
      outcomes.push({ place: signature.place, outcome: `good, by ${name}` })
      counted.set(outcome.signer.key, { ...outcome.signer, name })
    }
  }
  const { notAsked } = ports.signatures
  const why = found.length > 0 || notAsked?.sigstore === undefined ? '' : `: ${notAsked.sigstore}`
  const who = [...counted.values()].map(({ name }) => name).join(', ')
  return {
    requirement: `vouchsafeSigners ${threshold} of ${signers.length}`,
    fulfilled: counted.size >= threshold,
    explanation: `${counted.size} of the ${threshold} signers that are wanted: ${who === '' ? 'nobody' : who}${why}`,
    signatures: outcomes,
    signers: [...counted.values()],
  }
}

function nameOf(named: readonly NamedKey[], id: string): string {
  return named.find(({ key }) => key.id === id)?.name ?? id
}
