import {
  compareNumbers,
  formatValue,
  isArray,
  isNumber,
  newRecord,
  numberFromBigInt,
  numberFromText,
  numberText,
  objectEntries,
  recordGet,
  typeName,
  type NumberValue,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../../value/index.ts'
import { multiply } from '../arithmetic.ts'
import { BuiltinError, type BuiltinContext } from '../contract.ts'
import { verifySignature } from '../signatures/verify.ts'
import { ASYMMETRIC, HMAC_HASHES, isHmacFor } from './algorithms.ts'
import type { VerificationKey } from './jwk.ts'
import { keysFrom } from './keys.ts'
import { claimsOf, nestedToken, parseToken, type Token } from './token.ts'

/** What a token must satisfy. Exactly one of `keys` and `secret` is there. */
type Constraints = {
  readonly keys: readonly VerificationKey[] | undefined
  readonly secret: string | undefined
  readonly alg: string | undefined
  readonly iss: string | undefined
  readonly aud: string | undefined
  readonly timeNs: NumberValue
}

const UNVERIFIED: Value = [false, newRecord(), newRecord()]
/** Tokens in tokens in tokens: no more than this. */
const MAX_NESTING = 10

function takeConstraints(ctx: BuiltinContext, given: RegoRecord | RegoMap): Constraints {
  const texts = new Map<string, string>()
  let timeNs: NumberValue | undefined
  for (const [k, v] of objectEntries(given)) {
    if (k === 'time') {
      if (!isNumber(v)) throw new BuiltinError(`time: must be number but got ${typeName(v)}`)
      timeNs = v
    } else if (typeof k === 'string' && ['cert', 'secret', 'alg', 'iss', 'aud'].includes(k)) {
      if (typeof v !== 'string') throw new BuiltinError(`${k} constraint: must be a string`)
      texts.set(k, v)
    } else {
      throw new BuiltinError(`unknown token validation constraint: ${formatValue(k)}`)
    }
  }
  const cert = texts.get('cert')
  const secret = texts.get('secret')
  if (cert === undefined && secret === undefined) throw new BuiltinError('no key constraint')
  if (cert !== undefined && secret !== undefined) throw new BuiltinError('duplicate key constraints')
  return {
    keys: cert === undefined ? undefined : keysFrom(cert),
    secret,
    alg: texts.get('alg'),
    iss: texts.get('iss'),
    aud: texts.get('aud'),
    timeNs: timeNs ?? numberFromBigInt(ctx.timeNs),
  }
}

/** [verified, header, claims]; both are empty where a check says no. */
export function decodeVerify(ctx: BuiltinContext, text: string, given: RegoRecord | RegoMap): Value {
  const constraints = takeConstraints(ctx, given)
  let next = text
  for (let depth = 0; depth < MAX_NESTING; depth++) {
    const token = parseToken(next)
    if (!headerAllows(token.header, constraints) || !signatureHolds(ctx, token, constraints)) return UNVERIFIED
    const inner = nestedToken(token)
    if (inner === undefined) {
      const claims = claimsOf(token.payload)
      return claimsHold(claims, constraints) ? [true, token.header, claims] : UNVERIFIED
    }
    next = inner
  }
  throw new BuiltinError('JWT is nested too deeply')
}

/** There must be an algorithm, the wanted one, and no extension that must be understood. */
function headerAllows(header: RegoRecord, { alg }: Constraints): boolean {
  const used = recordGet(header, 'alg')
  if (typeof used !== 'string' || used === '' || recordGet(header, 'crit') !== undefined) return false
  return alg === undefined || alg === used
}

function signatureHolds(ctx: BuiltinContext, token: Token, { keys, secret }: Constraints): boolean {
  const alg = recordGet(token.header, 'alg')
  if (typeof alg !== 'string') return false
  if (secret !== undefined) {
    const hash = HMAC_HASHES.get(alg)
    return hash !== undefined && isHmacFor(hash, secret, token)
  }
  const algorithm = ASYMMETRIC.get(alg)
  if (algorithm === undefined || keys === undefined) return false
  const holds = (key: VerificationKey): boolean =>
    verifySignature(ctx, algorithm, key.spki, token.signed, token.signature)
  const kid = recordGet(token.header, 'kid')
  const named = typeof kid === 'string' ? keys.find((key) => key.kid === kid) : undefined
  if (named !== undefined) return holds(named)
  return keys.some((key) => (key.alg === undefined || key.alg === alg) && holds(key))
}

function claimsHold(claims: RegoRecord, { iss, aud, timeNs }: Constraints): boolean {
  if (iss !== undefined && recordGet(claims, 'iss') !== iss) return false
  if (!audienceHolds(recordGet(claims, 'aud'), aud)) return false
  const exp = instant(claims, 'exp')
  if (exp !== undefined && compareNumbers(timeNs, exp) >= 0) return false
  const nbf = instant(claims, 'nbf')
  return nbf === undefined || compareNumbers(timeNs, nbf) >= 0
}

/** A token with an audience needs a constraint that it satisfies, and the other way round. */
function audienceHolds(claim: Value | undefined, wanted: string | undefined): boolean {
  if (claim === undefined) return wanted === undefined
  return wanted !== undefined && (claim === wanted || (isArray(claim) && claim.includes(wanted)))
}

/** A claim in seconds as exact nanoseconds. */
function instant(claims: RegoRecord, name: string): NumberValue | undefined {
  const seconds = recordGet(claims, name)
  if (seconds === undefined) return undefined
  if (!isNumber(seconds)) throw new BuiltinError(`${name} value must be a number`)
  const [mantissa = '0', exponent = '0'] = numberText(seconds).toLowerCase().split('e')
  return numberFromText(`${mantissa}e${Number(exponent) + 9}`) ?? multiply(seconds, 1_000_000_000)
}
