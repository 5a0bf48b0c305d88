import type { CryptoPort } from '../base/crypto.ts'
import { VouchsafeError, type ErrorCode } from '../base/errors.ts'
import type { Certificate } from './certificate.ts'
import type { RevocationList } from './crl.ts'
import { isIssuedBy, type EndorsementMemo } from './endorsement-memo.ts'
import { sameBytes } from './same-bytes.ts'

/**
 * How revocation is judged. There is no default: who does not check has to write so.
 * `every`: each certificate below the anchor needs a current list of its issuer. `authorities`: each CA needs one, the
 * leaf only if its issuer's list is given (AMD publishes one list, of its root).
 */
export type Revocation =
  'not-checked' | { readonly lists: readonly RevocationList[]; readonly require: 'every' | 'authorities' }

/** What the check rests on. `asOf` is the oldest list used: results say how old their knowledge is (D09). */
export type RevocationState = 'not-checked' | { readonly asOf: Date; readonly validUntil: Date }

interface Context {
  readonly at: Date
  readonly crypto: CryptoPort
  readonly revocation: Revocation
  readonly memo?: EndorsementMemo
}

/**
 * @param chain - Leaf first, anchor last; each already verified under the next.
 * @throws {VouchsafeError} `endorsement.revoked`; `endorsement.unavailable` where a list is needed and not there;
 *   `endorsement.expired` where it is there and not current; `endorsement.untrusted` where its signature is wrong.
 * @source RFC 5280 section 6.3, for complete and direct lists
 */
export async function checkRevocation(chain: readonly Certificate[], context: Context): Promise<RevocationState> {
  const { revocation } = context
  if (revocation === 'not-checked') return 'not-checked'
  const used: RevocationList[] = []
  for (let i = 0; i < chain.length - 1; i++) {
    const [certificate, issuer] = [chain[i], chain[i + 1]]
    if (certificate === undefined || issuer === undefined) throw new VouchsafeError('internal', 'chain with a hole')
    const before = used.length
    for (const list of revocation.lists) {
      if (!sameBytes(list.issuer.raw, issuer.subject.raw)) continue
      // whose list it is and how it is signed does not change; whether it is current does
      if (context.memo?.isIssued(issuer, list) === true) assertCurrent(list, issuer, context.at)
      else await verifyRevocationList(list, issuer, context)
      if (list.revoked.has(certificate.serial))
        throw new VouchsafeError(
          'endorsement.revoked',
          `certificate ${certificate.label}: serial ${certificate.serial} was revoked by ${issuer.label} on ` +
            `${list.revoked.get(certificate.serial)?.toISOString()}`,
        )
      used.push(list)
    }
    if (used.length === before && (i > 0 || revocation.require === 'every'))
      throw refuse('endorsement.unavailable', issuer, `none given, needed for ${certificate.label}`)
  }
  if (used.length === 0)
    throw new VouchsafeError('endorsement.unavailable', 'revocation list: none was given for any issuer of the chain')
  let asOf = Infinity
  let validUntil = Infinity
  for (const { thisUpdate, nextUpdate } of used) {
    asOf = Math.min(asOf, thisUpdate.getTime())
    validUntil = Math.min(validUntil, nextUpdate.getTime())
  }
  return { asOf: new Date(asOf), validUntil: new Date(validUntil) }
}

/**
 * Checks a revocation list by itself: signed by `issuer`, who may do so, and current at `at`.
 *
 * @throws {VouchsafeError} `endorsement.untrusted`, `endorsement.expired`, `endorsement.mismatch` for another issuer's list
 */
export async function verifyRevocationList(
  list: RevocationList,
  issuer: Certificate,
  { at, crypto, memo }: Pick<Context, 'at' | 'crypto' | 'memo'>,
): Promise<void> {
  if (!sameBytes(list.issuer.raw, issuer.subject.raw))
    throw refuse('endorsement.mismatch', issuer, `issued by ${list.issuer.text}`)
  if (issuer.keyUsage !== undefined && !issuer.keyUsage.has('cRLSign'))
    throw refuse('endorsement.untrusted', issuer, 'its issuer may not sign revocation lists')
  const { scheme, oid } = list.signatureAlgorithm
  if (scheme === undefined) throw refuse('evidence.algorithm', issuer, `signature algorithm ${oid} is not accepted`)
  if (!(await isIssuedBy(crypto, memo, issuer, list, scheme)))
    throw refuse('endorsement.untrusted', issuer, 'signature does not verify')
  assertCurrent(list, issuer, at)
}

function assertCurrent(list: RevocationList, issuer: Certificate, at: Date): void {
  const now = at.getTime()
  if (now < list.thisUpdate.getTime())
    throw refuse(
      'endorsement.expired',
      issuer,
      `thisUpdate ${list.thisUpdate.toISOString()} is after ${at.toISOString()}`,
    )
  if (now >= list.nextUpdate.getTime())
    throw refuse(
      'endorsement.expired',
      issuer,
      `nextUpdate ${list.nextUpdate.toISOString()} is not after ${at.toISOString()}`,
    )
}

function refuse(code: ErrorCode, issuer: Certificate, why: string): VouchsafeError {
  return new VouchsafeError(code, `revocation list of ${issuer.label}: ${why}`)
}
