import type { BuiltinContext } from '../contract.ts'
import { verifySignature } from '../signatures/verify.ts'
import { COORDINATE_BYTES, CURVES, signatureAlgorithmOf } from './algorithms.ts'
import { sameBytes, type Certificate } from './certificate.ts'
import { readDer, TAG } from './der.ts'
import { concatBytes } from './der-write.ts'
import {
  alternativeNames,
  basicConstraints,
  EXTENSION,
  extendedKeyUsage,
  KEY_CERT_SIGN,
  keyUsage,
} from './extensions.ts'
import { bigIntToBytes } from './private-keys.ts'
import { ANY_USAGE } from './usages.ts'

export type ChainOptions = {
  /** Nanoseconds since 1970. */
  readonly at: bigint
  /** A name that the leaf must be for; undefined: any. */
  readonly dnsName: string | undefined
  /** Purposes of which every certificate must allow one. */
  readonly usages: readonly string[]
}

/** Critical extensions that are understood here. Name constraints are not: a chain with them is refused. */
const UNDERSTOOD = new Set<string>([
  EXTENSION.keyUsage,
  EXTENSION.alternativeNames,
  EXTENSION.basicConstraints,
  EXTENSION.extendedKeyUsage,
  EXTENSION.certificatePolicies,
  EXTENSION.subjectKeyId,
  EXTENSION.authorityKeyId,
])

const MAX_LENGTH = 10

/** The chain from leaf to root, leaf first; undefined if there is none that holds. */
export function findChain(
  ctx: BuiltinContext,
  leaf: Certificate,
  intermediates: readonly Certificate[],
  root: Certificate,
  options: ChainOptions,
): Certificate[] | undefined {
  if (!acceptable(leaf, options) || !isFor(leaf, options.dnsName)) return undefined
  const extend = (chain: Certificate[]): Certificate[] | undefined => {
    const last = chain.at(-1)
    if (last === undefined || chain.length > MAX_LENGTH) return undefined
    if (issues(ctx, root, last, chain.length - 1, options)) return [...chain, root]
    for (const next of intermediates) {
      ctx.spend(1)
      if (chain.includes(next) || !issues(ctx, next, last, chain.length - 1, options)) continue
      const found = extend([...chain, next])
      if (found !== undefined) return found
    }
    return undefined
  }
  return extend([leaf])
}

function acceptable(c: Certificate, { at, usages }: ChainOptions): boolean {
  if (at < c.notBefore || at >= c.notAfter + 1_000_000_000n) return false
  if (c.extensions.some((e) => e.critical && !UNDERSTOOD.has(e.id))) return false
  const allowed = extendedKeyUsage(c.extensions)
  return (
    allowed === undefined ||
    usages.includes(ANY_USAGE) ||
    allowed.some((usage) => usage === ANY_USAGE || usages.includes(usage))
  )
}

/** May `issuer` stand above `child`, with so many authorities between it and the leaf, and did it sign it? */
function issues(
  ctx: BuiltinContext,
  issuer: Certificate,
  child: Certificate,
  authoritiesBelow: number,
  options: ChainOptions,
): boolean {
  if (!sameBytes(issuer.subject.raw, child.issuer.raw) || !acceptable(issuer, options)) return false
  const constraints = basicConstraints(issuer.extensions)
  if (issuer.version === 3 && constraints?.isCa !== true) return false
  if (constraints?.maxPathLength !== undefined && authoritiesBelow > constraints.maxPathLength) return false
  const usage = keyUsage(issuer.extensions)
  if (usage !== undefined && (usage & KEY_CERT_SIGN) === 0) return false
  return signatureHolds(ctx, issuer, child)
}

function signatureHolds(ctx: BuiltinContext, issuer: Certificate, child: Certificate): boolean {
  const { jose } = signatureAlgorithmOf(child.signatureAlgorithm)
  if (jose === undefined) return false
  const signature = jose.startsWith('ES') ? joseSignature(child.signature, issuer.publicKey.curve) : child.signature
  if (signature === undefined) return false
  // certificates may hash with any size on any curve; JOSE names bind the two
  const curve = CURVES.get(issuer.publicKey.curve ?? '')
  if (jose.startsWith('ES') && curve !== CURVE_OF_ALGORITHM[jose]) return false
  return verifySignature(ctx, jose, issuer.publicKey.raw, child.tbs, signature)
}

const CURVE_OF_ALGORITHM: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

/** r ‖ s of a DER signature. */
function joseSignature(
  der: Uint8Array<ArrayBuffer>,
  curveOid: string | undefined,
): Uint8Array<ArrayBuffer> | undefined {
  const curve = CURVES.get(curveOid ?? '')
  const numbers = readDer(der)
    .expect(TAG.sequence)
    .children()
    .map((n) => bigIntToBytes(n.integer()))
  const [r, s] = numbers
  if (curve === undefined || r === undefined || s === undefined || numbers.length !== 2) return undefined
  const size = COORDINATE_BYTES[curve]
  if (r.length > size || s.length > size) return undefined
  return concatBytes(new Uint8Array(size - r.length), r, new Uint8Array(size - s.length), s)
}

function isFor(leaf: Certificate, dnsName: string | undefined): boolean {
  if (dnsName === undefined) return true
  const wanted = dnsName.toLowerCase().replace(/\.$/, '')
  return alternativeNames(leaf.extensions).dns.some((name) => matchesHost(name.toLowerCase(), wanted))
}

/** A star stands for exactly the first label. */
function matchesHost(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === host
  const dot = host.indexOf('.')
  return dot > 0 && host.slice(dot) === pattern.slice(1)
}
