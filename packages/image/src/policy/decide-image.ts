import type { FoundSignature } from '../signature/find-signatures.ts'
import type { SchemeModule, UnreadableSignature } from '../signature/scheme/scheme.ts'
import { verifySimple } from '../signature/scheme/simple-signing.ts'
import { otherKind, type StoredSignature } from '../signature/stored-signature.ts'
import {
  accepted,
  type AcceptedSigner,
  type Check,
  DEFAULT_IDENTITY,
  type SignedImage,
  sigstoreSigner,
  tryOne,
} from './judge-signature.ts'
import { judgeSigners } from './judge-signers.ts'
import type { MaterialReader } from './material.ts'
import type { OfScheme, Requirement, SignedBy, SigstoreSigned } from './requirement.ts'
import { type ChosenScope, withoutTagOfDigest } from './scope.ts'
import { loadRings, loadTrust } from './trust.ts'

/** What deciding needs of the world outside. */
export interface DecisionPorts {
  readonly material: MaterialReader
  /** Asked at most once for each kind, and only when a requirement wants it. */
  readonly signatures: {
    simple(): Promise<readonly FoundSignature[]>
    sigstore(): Promise<readonly FoundSignature[]>
    /** Why nothing is looked for, where it is not: told beside that nothing was found. */
    readonly notAsked?: { readonly simple?: string; readonly sigstore?: string }
    /** Of a module. Left out: there are none. */
    of?(scheme: SchemeModule): Promise<readonly ({ readonly place: string } | UnreadableSignature)[]>
  }
  /** What `vouchsafeScheme` may ask for, by name. Left out: nothing, and such a requirement does not hold. */
  readonly schemes?: readonly SchemeModule[]
  readonly at: Date
  /** `insecureAcceptAnything` then counts for nothing. */
  readonly requireSignature?: boolean
  readonly dangerouslyAcceptSha1?: boolean
}

/** What came of one requirement, also where it holds. */
export interface RequirementFinding {
  readonly requirement: string
  readonly fulfilled: boolean
  readonly explanation: string
  /** Each signature that was looked at, and what came of it. */
  readonly signatures: readonly { readonly place: string; readonly outcome: string }[]
  readonly signers: readonly AcceptedSigner[]
}

/** Accepted only where there are findings and each is fulfilled. */
export interface ImageDecision {
  readonly kind: 'accept' | 'refuse'
  readonly scope: string
  readonly findings: readonly RequirementFinding[]
  readonly signers: readonly AcceptedSigner[]
}

/**
 * Decides whether an image may be used under the requirements of its scope. All must hold; each leaves a finding.
 *
 * @throws {ImageError} When there is no answer: `policy.material` for a key that cannot be read, and what the source of
 *   signatures throws. That a signature is bad is a finding, not an error.
 * @source containers-policy.json(5)
 */
export async function decideImage(
  { scope, requirements }: ChosenScope,
  image: SignedImage,
  ports: DecisionPorts,
): Promise<ImageDecision> {
  const subject = { ...image, asked: withoutTagOfDigest(image.asked) }
  const once = { ...ports, signatures: remembering(ports.signatures) }
  const findings: RequirementFinding[] = []
  for (const requirement of requirements) findings.push(await judge(requirement, subject, once))
  const signers = findings.flatMap((finding) => finding.signers)
  const fulfilled = findings.length > 0 && findings.every((finding) => finding.fulfilled)
  if (fulfilled && ports.requireSignature === true && signers.length === 0)
    findings.push(unasked('a signature', false, 'the policy asks for none, and one is wanted'))
  const kind = findings.length > 0 && findings.every((finding) => finding.fulfilled) ? 'accept' : 'refuse'
  return { kind, scope, findings, signers }
}

async function judge(requirement: Requirement, image: SignedImage, ports: DecisionPorts): Promise<RequirementFinding> {
  switch (requirement.type) {
    case 'insecureAcceptAnything':
      return unasked(requirement.type, true, 'the policy accepts anything here')
    case 'reject':
      return unasked(requirement.type, false, 'the policy rejects everything here')
    case 'signedBaseLayer':
      return unasked(requirement.type, false, 'nobody implements this requirement')
    case 'signedBy':
      return judgeSimple(requirement, image, ports)
    case 'sigstoreSigned':
      return judgeSigstore(requirement, image, ports)
    case 'vouchsafeSigners':
      return judgeSigners(requirement, image, ports)
    case 'vouchsafeScheme':
      return judgeScheme(requirement, image, ports)
  }
}

/** Where no signature had to be looked at. */
function unasked(requirement: string, fulfilled: boolean, explanation: string): RequirementFinding {
  return { requirement, fulfilled, explanation, signatures: [], signers: [] }
}

async function judgeSimple(
  requirement: SignedBy,
  image: SignedImage,
  ports: DecisionPorts,
): Promise<RequirementFinding> {
  const { type, keyType, signedIdentity = DEFAULT_IDENTITY } = requirement
  if (keyType !== 'GPGKeys')
    return unasked(type, false, `keyType ${keyType} is none that signatures are checked by; wanted GPGKeys`)
  const { at, dangerouslyAcceptSha1 = false } = ports
  const rings = await loadRings(requirement, ports.material)
  const check = async (found: StoredSignature) => {
    if (found.kind !== 'simple') throw otherKind(found, 'a simple signature')
    const attributed = await verifySimple(found, { rings, at, dangerouslyAcceptSha1 })
    return accepted(attributed, image, signedIdentity, found.place)
  }
  return firstGood(type, await ports.signatures.simple(), check, ports.signatures.notAsked?.simple)
}

async function judgeSigstore(
  requirement: SigstoreSigned,
  image: SignedImage,
  ports: DecisionPorts,
): Promise<RequirementFinding> {
  const { type, signedIdentity = DEFAULT_IDENTITY } = requirement
  const trust = await loadTrust(requirement, ports)
  const check = (found: StoredSignature) => sigstoreSigner(found, trust, image, signedIdentity)
  return firstGood(type, await ports.signatures.sigstore(), check, ports.signatures.notAsked?.sigstore)
}

async function judgeScheme(
  requirement: OfScheme,
  image: SignedImage,
  ports: DecisionPorts,
): Promise<RequirementFinding> {
  const name = `vouchsafeScheme ${requirement.scheme}`
  const scheme = ports.schemes?.find((one) => one.name === requirement.scheme)
  if (scheme === undefined || ports.signatures.of === undefined)
    return unasked(name, false, 'no module here knows this scheme')
  const trust = await scheme.readTrust(requirement.parameters, ports)
  const identity = requirement.signedIdentity ?? DEFAULT_IDENTITY
  return firstGood(name, await ports.signatures.of(scheme), async (found) =>
    accepted(await scheme.verify(found, trust, image.documents), image, identity, found.place),
  )
}

/** One good signature is enough, whatever lies beside it. */
async function firstGood<Signature extends { readonly place: string }>(
  requirement: string,
  found: readonly (Signature | UnreadableSignature)[],
  check: Check<Signature>,
  notAsked?: string,
): Promise<RequirementFinding> {
  const signatures: { place: string; outcome: string }[] = []
  for (const signature of found) {
    const outcome = await tryOne(signature, check)
    if (outcome.signer !== undefined)
      return {
        requirement,
        fulfilled: true,
        explanation: `signed by ${outcome.signer.key}, over the ${outcome.signer.signed}`,
        signatures: [...signatures, { place: signature.place, outcome: 'good' }],
        signers: [outcome.signer],
      }
    signatures.push({ place: signature.place, outcome: outcome.why })
  }
  const none = `the image carries no signature${notAsked === undefined ? '' : `: ${notAsked}`}`
  const explanation = found.length === 0 ? none : `none of ${found.length} signatures counts`
  return { requirement, fulfilled: false, explanation, signatures, signers: [] }
}

function remembering(source: DecisionPorts['signatures']): DecisionPorts['signatures'] {
  let simple: Promise<readonly FoundSignature[]> | undefined
  let sigstore: Promise<readonly FoundSignature[]> | undefined
  // modules are asked each time: a policy rarely names one twice
  return { ...source, simple: () => (simple ??= source.simple()), sigstore: () => (sigstore ??= source.sigstore()) }
}
