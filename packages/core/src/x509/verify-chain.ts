import type { CryptoPort } from '../base/crypto.ts'
import { VouchsafeError, type ErrorCode } from '../base/errors.ts'
import type { Anchor } from './anchor.ts'
import type { Certificate } from './certificate.ts'
import type { KeyUsage } from './extensions.ts'
import { OID } from './oids.ts'
import { checkRevocation, type Revocation, type RevocationState } from './revocation.ts'
import { isIssuedBy, type EndorsementMemo } from './endorsement-memo.ts'
import { sameBytes } from './same-bytes.ts'

export interface ChainRequest {
  readonly leaf: Certificate
  /** Where issuers are looked for, in any order. May hold what does not belong; a root in here is trusted by nobody. */
  readonly intermediates: readonly Certificate[]
  /** The only certificates that a chain may end in. An empty list accepts nothing. */
  readonly anchors: readonly Anchor[]
  readonly at: Date
  readonly crypto: CryptoPort
  /** What the leaf's key is wanted for. A leaf without keyUsage may do anything (RFC 5280). */
  readonly leafKeyUsage: KeyUsage | 'any'
  /** An OID that the leaf must carry, and that no CA between it and the anchor may have ruled out. */
  readonly extendedKeyUsage: `${number}.${string}` | 'any'
  readonly revocation: Revocation
  /** Critical extensions that the caller reads and judges itself. Left out: none. */
  readonly handledCritical?: readonly string[]
  readonly memo?: EndorsementMemo
}

/** A chain that was checked, from the leaf up to, and not including, the anchor. */
export interface VerifiedChain {
  readonly path: readonly [Certificate, ...Certificate[]]
  readonly anchor: Anchor
  readonly revocation: RevocationState
  /** The first moment at which any part of this, revocation lists included, would be refused. */
  readonly validUntil: Date
}

/** A chain longer than this, or a search dearer than this many signature checks, is an attack. */
const MAX_PATH = 8
const MAX_CHECKS = 32

/**
 * Path validation: signatures, validity at `at`, CA flag, keyCertSign, path length, names by their bytes, critical
 * extensions, purposes, revocation; up to a pinned anchor (E06, E07, B04, K01).
 *
 * @throws {VouchsafeError} naming certificate and field. `endorsement.untrusted`: no path to an anchor, or a link that
 *   does not hold. `endorsement.expired`: outside a validity period. `endorsement.malformed`: an extension that nobody
 *   handles. `endorsement.mismatch`: the leaf is certified for another purpose. `endorsement.revoked`,
 *   `endorsement.unavailable`: see `Revocation`. `evidence.algorithm`: a signature that we do not accept.
 * @source RFC 5280 section 6.1, without policies and name constraints: a CA that constrains names is refused
 */
export async function verifyChain(request: ChainRequest): Promise<VerifiedChain> {
  const { leaf, at, memo } = request
  if (Number.isNaN(at.getTime())) throw new VouchsafeError('internal', 'verifyChain: no time given')
  const known = knownChain(request)
  if (known !== undefined) return known
  checkSelf(leaf, request)
  checkPurpose(leaf, request)
  const search = new Search(request)
  const found = await search.from([leaf])
  if (found === undefined) throw search.reason(leaf)
  const certificates = [...found.path, found.anchor.certificate]
  const revocation = await checkRevocation(certificates, request)
  let end = revocation === 'not-checked' ? Infinity : revocation.validUntil.getTime()
  for (const { notAfter } of certificates) end = Math.min(end, notAfter.getTime())
  const chain: VerifiedChain = { path: found.path, anchor: found.anchor, revocation, validUntil: new Date(end) }
  if (search.refusedNobody) memo?.walks.keep(request, chain)
  return chain
}

/** @internal The chain that `verifyChain` would give at once, from the memo, for callers who need not wait then. */
export function knownChain(request: ChainRequest): VerifiedChain | undefined {
  return request.memo?.walks.find(request)
}

type Path = readonly [Certificate, ...Certificate[]]

class Search {
  readonly #request: ChainRequest
  #checks = 0
  /** Of all that was wrong, what is told: the failure furthest up a path, a signed one before an unsigned one. */
  #reason: { rank: number; error: VouchsafeError } | undefined

  constructor(request: ChainRequest) {
    this.#request = request
  }

  /** Then what was found does not depend on the time, as long as all of it holds. */
  get refusedNobody(): boolean {
    return this.#reason === undefined
  }

  reason(leaf: Certificate): VouchsafeError {
    return this.#reason?.error ?? refuse('endorsement.untrusted', leaf, 'issuer', `nobody here is ${leaf.issuer.text}`)
  }

  /** Depth first; anchors before intermediates, so that the shortest way up is taken. */
  async from(path: Path): Promise<{ path: Path; anchor: Anchor } | undefined> {
    const { anchors, intermediates } = this.#request
    const child = path[path.length - 1] ?? path[0]
    for (const anchor of anchors)
      if (names(anchor.certificate, child) && (await this.#issued(anchor.certificate, path, 'anchor')))
        return { path, anchor }
    if (path.length === MAX_PATH)
      return this.#note(path, 0, refuse('endorsement.untrusted', child, 'issuer', 'chain is too long'))
    for (const issuer of intermediates) {
      if (!names(issuer, child) || path.some((c) => sameBytes(c.der, issuer.der))) continue
      if (!(await this.#issued(issuer, path, 'intermediate'))) continue
      const found = await this.from([...path, issuer])
      if (found !== undefined) return found
    }
    return this.#note(
      path,
      0,
      refuse(
        'endorsement.untrusted',
        child,
        'issuer',
        `no anchor, and nobody else here, is ${child.issuer.text} and may issue it`,
      ),
    )
  }

  async #issued(issuer: Certificate, path: Path, role: 'anchor' | 'intermediate'): Promise<boolean> {
    const child = path[path.length - 1] ?? path[0]
    if (++this.#checks > MAX_CHECKS)
      throw refuse('endorsement.untrusted', child, 'issuer', `over ${MAX_CHECKS} ways to try`)
    const { crypto, memo } = this.#request
    const { scheme, oid } = child.signatureAlgorithm
    if (scheme === undefined) throw refuse('evidence.algorithm', child, 'signatureAlgorithm', `${oid} is not accepted`)
    const issued = isIssuedBy(crypto, memo, issuer, child, scheme)
    if (issued !== true && !(await issued)) {
      this.#note(
        path,
        1,
        refuse('endorsement.untrusted', child, 'signature', `does not verify under the key of ${issuer.label}`),
      )
      return false
    }
    try {
      checkSelf(issuer, this.#request)
      checkAuthority(issuer, path, role, this.#request)
      return true
    } catch (error) {
      if (!(error instanceof VouchsafeError)) throw error
      this.#note(path, 2, error)
      return false
    }
  }

  #note(path: Path, weight: number, error: VouchsafeError): undefined {
    const rank = path.length * 3 + weight
    if (this.#reason === undefined || rank > this.#reason.rank) this.#reason = { rank, error }
  }
}

function names(issuer: Certificate, child: Certificate): boolean {
  return sameBytes(issuer.subject.raw, child.issuer.raw)
}

/** What must hold for every certificate on the path, the anchor included. */
function checkSelf(certificate: Certificate, { at, handledCritical = [] }: ChainRequest): void {
  const now = at.getTime()
  if (now < certificate.notBefore.getTime())
    throw refuse('endorsement.expired', certificate, 'notBefore', `${iso(certificate.notBefore)} is after ${iso(at)}`)
  if (now > certificate.notAfter.getTime())
    throw refuse('endorsement.expired', certificate, 'notAfter', `${iso(certificate.notAfter)} is before ${iso(at)}`)
  for (const oid of certificate.demanding)
    if (!handledCritical.includes(oid))
      throw refuse('endorsement.malformed', certificate, 'extensions', `critical extension ${oid} is not handled`)
}

/** What must hold for a certificate that issued the last one of `path`. */
function checkAuthority(issuer: Certificate, path: Path, role: 'anchor' | 'intermediate', request: ChainRequest): void {
  if (issuer.basicConstraints?.ca !== true)
    throw refuse('endorsement.untrusted', issuer, 'basicConstraints', 'not a CA')
  // an anchor was pinned by hand, perhaps made before RFC 5280; everybody else must say what its key is for
  const usage = issuer.keyUsage
  if (usage === undefined ? role === 'intermediate' : !usage.has('keyCertSign'))
    throw refuse('endorsement.untrusted', issuer, 'keyUsage', 'may not sign certificates')
  const between = path.slice(1).filter((c) => !sameBytes(c.subject.raw, c.issuer.raw)).length
  const { pathLength } = issuer.basicConstraints
  if (pathLength !== undefined && between > pathLength)
    throw refuse('endorsement.untrusted', issuer, 'pathLenConstraint', `${pathLength}, and ${between} CAs below it`)
  const wanted = request.extendedKeyUsage
  const allowed = issuer.extendedKeyUsage
  if (role === 'anchor' || wanted === 'any' || allowed === undefined) return
  if (!allowed.includes(wanted) && !allowed.includes(OID.anyExtendedKeyUsage))
    throw refuse('endorsement.untrusted', issuer, 'extKeyUsage', `may not certify ${wanted}`)
}

function checkPurpose(leaf: Certificate, { leafKeyUsage, extendedKeyUsage }: ChainRequest): void {
  if (leafKeyUsage !== 'any' && leaf.keyUsage !== undefined && !leaf.keyUsage.has(leafKeyUsage))
    throw refuse('endorsement.mismatch', leaf, 'keyUsage', `lacks ${leafKeyUsage}`)
  // anyExtendedKeyUsage does not count: who wants a purpose wants it named
  if (extendedKeyUsage !== 'any' && leaf.extendedKeyUsage?.includes(extendedKeyUsage) !== true)
    throw refuse('endorsement.mismatch', leaf, 'extKeyUsage', `lacks ${extendedKeyUsage}`)
}

function refuse(code: ErrorCode, certificate: Certificate, field: string, why: string): VouchsafeError {
  return new VouchsafeError(code, `certificate ${certificate.label}: ${field}: ${why}`)
}

function iso(date: Date): string {
  return date.toISOString()
}
