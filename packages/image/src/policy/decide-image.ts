import { ImageError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { ImageReference } from '../oci/reference.ts'
import type { Payload } from '../signature/payload.ts'
import type { StoredSignature } from '../signature/stored-signature.ts'
import { subjectFor } from '../statement/statement.ts'
import { PREDICATES } from '../statement/statement.ts'
import type { FoundSignature } from '../signature/find-signatures.ts'
import { verifyBundle } from '../signature/verify-bundle.ts'
import { verifyCosignSignature } from '../signature/verify-cosign.ts'
import { verifySimpleSignature } from '../signature/verify-simple.ts'
import type { MaterialReader } from './material.ts'
import type { Requirement, Signers } from './requirement.ts'
import type { ChosenScope } from './scope.ts'
import { withoutTagOfDigest } from './scope.ts'
import { matchesIdentity, type SignedIdentity } from './signed-identity.ts'
import { bundleTrustOf, loadRings, loadSigners, loadTrust, type NamedKey } from './trust.ts'

/** The documents that a signature may be over (H02): the index that was asked for, and the platform's manifest. */
export interface SignedDocument {
  readonly role: 'index' | 'manifest'
  readonly digest: Digest
  readonly bytes: Uint8Array
}

/** What is decided about. */
export interface SignedImage {
  /** As the user asked for it, never a mirror's name. */
  readonly asked: ImageReference
  readonly documents: readonly SignedDocument[]
}

export interface DecisionPorts {
  readonly material: MaterialReader
  /** Asked at most once for each kind, and only when a requirement wants it. */
  readonly signatures: {
    simple(): Promise<readonly FoundSignature[]>
    sigstore(): Promise<readonly FoundSignature[]>
  }
  readonly at: Date
  /** `insecureAcceptAnything` then counts for nothing. */
  readonly requireSignature?: boolean
  readonly dangerouslyAcceptSha1?: boolean
}

/** Someone whose signature counted. */
export interface AcceptedSigner {
  /** Lower-case hexadecimal of a key's SPKI digest, or an OpenPGP fingerprint. */
  readonly key: string
  readonly name?: string
  readonly signed: 'index' | 'manifest'
  readonly place: string
}

export interface RequirementFinding {
  readonly requirement: string
  readonly fulfilled: boolean
  readonly explanation: string
  /** Each signature that was looked at, and what came of it. */
  readonly signatures: readonly { readonly place: string; readonly outcome: string }[]
  readonly signers: readonly AcceptedSigner[]
}

export interface ImageDecision {
  readonly kind: 'accept' | 'refuse'
  readonly scope: string
  readonly findings: readonly RequirementFinding[]
  readonly signers: readonly AcceptedSigner[]
}

/** What applies where a policy names no rule: reference, or repository for a digest. Cosign's tags name neither. */
const DEFAULT_IDENTITY: SignedIdentity = { type: 'matchRepoDigestOrExact' }

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
    findings.push({
      ...NOTHING,
      requirement: 'a signature',
      explanation: 'the policy asks for none, and one is wanted',
    })
  const kind = findings.length > 0 && findings.every((finding) => finding.fulfilled) ? 'accept' : 'refuse'
  return { kind, scope, findings, signers }
}

const NOTHING = { fulfilled: false, signatures: [], signers: [] } as const

async function judge(requirement: Requirement, image: SignedImage, ports: DecisionPorts): Promise<RequirementFinding> {
  switch (requirement.type) {
    case 'insecureAcceptAnything':
      return {
        ...NOTHING,
        requirement: requirement.type,
        fulfilled: true,
        explanation: 'the policy accepts anything here',
      }
    case 'reject':
      return { ...NOTHING, requirement: requirement.type, explanation: 'the policy rejects everything here' }
    case 'signedBaseLayer':
      return { ...NOTHING, requirement: requirement.type, explanation: 'nobody implements this requirement' }
    case 'signedBy': {
      if (requirement.keyType !== 'GPGKeys')
        return {
          ...NOTHING,
          requirement: requirement.type,
          explanation: `keyType ${requirement.keyType} is not implemented`,
        }
      const { at, dangerouslyAcceptSha1 = false } = ports
      const rings = await loadRings(requirement, ports.material)
      const identity = requirement.signedIdentity ?? DEFAULT_IDENTITY
      return firstGood('signedBy', await ports.signatures.simple(), async (found) => {
        if (found.kind !== 'simple') throw otherKind(found, 'a simple signature')
        const { payload, signer } = await verifySimpleSignature(found, { rings, at, dangerouslyAcceptSha1 })
        const { role } = assertPayloadFor(payload, image, identity, found.place)
        return { key: signer.fingerprint, signed: role, place: found.place }
      })
    }
    case 'sigstoreSigned': {
      const identity = requirement.signedIdentity ?? DEFAULT_IDENTITY
      const trust = await loadTrust(requirement, ports)
      return firstGood('sigstoreSigned', await ports.signatures.sigstore(), (found) =>
        sigstoreSigner(found, trust, image, identity),
      )
    }
    case 'vouchsafeSigners':
      return judgeSigners(requirement, image, ports)
  }
}

/** So many different keys out of those named; a key counts once however often it signed (CS-11). */
async function judgeSigners(
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
  const who = [...counted.values()].map(({ name }) => name).join(', ')
  return {
    requirement: `vouchsafeSigners ${threshold} of ${signers.length}`,
    fulfilled: counted.size >= threshold,
    explanation: `${counted.size} of the ${threshold} signers that are wanted: ${who === '' ? 'nobody' : who}`,
    signatures: outcomes,
    signers: [...counted.values()],
  }
}

function nameOf(named: readonly NamedKey[], id: string): string {
  return named.find(({ key }) => key.id === id)?.name ?? id
}

type Check = (found: StoredSignature) => Promise<AcceptedSigner>

/** One good signature is enough, whatever lies beside it. */
async function firstGood(
  requirement: string,
  found: readonly FoundSignature[],
  check: Check,
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
  const explanation =
    found.length === 0 ? 'the image carries no signature' : `none of ${found.length} signatures counts`
  return { requirement, fulfilled: false, explanation, signatures, signers: [] }
}

async function tryOne(
  found: FoundSignature,
  check: Check,
): Promise<{ readonly signer: AcceptedSigner } | { readonly signer?: never; readonly why: string }> {
  if (found.kind === 'unreadable') return { why: `${found.error.code}: ${found.error.message}` }
  try {
    return { signer: await check(found) }
  } catch (error) {
    // what is wrong with a signature is a finding; anything else means that there is no answer
    if (error instanceof ImageError && /^(signature|statement|digest|key)\./.test(error.code))
      return { why: `${error.code}: ${error.message}` }
    throw error
  }
}

async function sigstoreSigner(
  found: StoredSignature,
  trust: Awaited<ReturnType<typeof loadTrust>>,
  image: SignedImage,
  identity: SignedIdentity,
): Promise<AcceptedSigner> {
  if (found.kind === 'cosign') {
    const { payload, signer } = await verifyCosignSignature(found, trust)
    const { role } = assertPayloadFor(payload, image, identity, found.place)
    return { key: signer.keyId, signed: role, place: found.place }
  }
  if (found.kind !== 'bundle') throw otherKind(found, 'a sigstore signature')
  return bundleSigner(found, trust, image, identity)
}

function bundleSigner(
  found: Extract<StoredSignature, { kind: 'bundle' }>,
  trust: Awaited<ReturnType<typeof loadTrust>>,
  image: SignedImage,
  identity: SignedIdentity,
): AcceptedSigner {
  const { content, signer } = verifyBundle(found, bundleTrustOf(trust, found.place))
  if (content.kind !== 'statement') throw otherKind(found, 'a signed statement')
  const { statement } = content
  if (statement.predicateType !== PREDICATES.sign)
    throw new ImageError(
      'signature.mismatch',
      `${found.place}: states ${JSON.stringify(statement.predicateType.slice(0, 200))}, which is no signature of an image`,
    )
  for (const document of image.documents) {
    const subject = subjectFor(statement, document.digest)
    if (subject === undefined) continue
    if (!matchesIdentity(identity, image.asked, subject.name))
      throw otherName(found.place, subject.name ?? 'no name', identity)
    return { key: signer.keyId, signed: document.role, place: found.place }
  }
  throw new ImageError('signature.mismatch', `${found.place}: is about another image`)
}

/**
 * @returns Which of the documents the payload is about.
 * @throws {ImageError} `signature.mismatch` when it is about none of them, or under another name (H03).
 */
export function assertPayloadFor(
  payload: Payload,
  image: SignedImage,
  identity: SignedIdentity,
  place: string,
): SignedDocument {
  const document = image.documents.find(({ digest }) => digest === payload.manifestDigest)
  if (document === undefined)
    throw new ImageError('signature.mismatch', `${place}: is about ${payload.manifestDigest}, another image`)
  if (!matchesIdentity(identity, image.asked, payload.dockerReference))
    throw otherName(place, payload.dockerReference, identity)
  return document
}

function otherName(place: string, name: string, identity: SignedIdentity): ImageError {
  return new ImageError(
    'signature.mismatch',
    `${place}: signed as ${JSON.stringify(name.slice(0, 200))}, which ${identity.type} does not allow here`,
  )
}

function otherKind(found: StoredSignature, wanted: string): ImageError {
  return new ImageError('signature.mismatch', `${found.place}: not ${wanted}`)
}

function remembering(source: DecisionPorts['signatures']): DecisionPorts['signatures'] {
  let simple: Promise<readonly FoundSignature[]> | undefined
  let sigstore: Promise<readonly FoundSignature[]> | undefined
  return { simple: () => (simple ??= source.simple()), sigstore: () => (sigstore ??= source.sigstore()) }
}
