import type { Value } from '../../value/index.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from '../contract.ts'
import { declared, define, O } from '../define.ts'
import { hex } from '../encoding.ts'
import { verifySignature } from '../signatures/verify.ts'
import { T } from '../types.ts'
import { ASYMMETRIC, HMAC_HASHES, isHmacFor } from './algorithms.ts'
import { decodeVerify } from './decode-verify.ts'
import { keysFrom } from './keys.ts'
import { encodeSign, encodeSignRaw } from './sign.ts'
import { claimsOf, nestedToken, parseToken } from './token.ts'

/** Takes a token apart without checking anything. */
function decode(ctx: BuiltinContext, text: string): Value {
  let token = parseToken(text)
  for (let inner = nestedToken(token); inner !== undefined; inner = nestedToken(token)) {
    ctx.spend(1 + inner.length)
    token = parseToken(inner)
  }
  return [token.header, claimsOf(token.payload), hex(token.signature)]
}

function verifyWithKeys(name: string): Builtin {
  return define(`io.jwt.verify_${name.toLowerCase()}`, [O.string, O.string], T.boolean, (ctx, text, material) => {
    const algorithm = ASYMMETRIC.get(name)
    if (algorithm === undefined) throw new BuiltinError(`unknown JWS algorithm: ${name}`)
    const keys = keysFrom(material)
    const token = parseToken(text)
    return keys.some((key) => verifySignature(ctx, algorithm, key.spki, token.signed, token.signature))
  })
}

function verifyWithSecret(name: string): Builtin {
  return define(`io.jwt.verify_${name.toLowerCase()}`, [O.string, O.string], T.boolean, (ctx, text, secret) => {
    const hash = HMAC_HASHES.get(name)
    if (hash === undefined) throw new BuiltinError(`unknown JWS algorithm: ${name}`)
    ctx.spend(1 + (text.length >> 5))
    return isHmacFor(hash, secret, parseToken(text))
  })
}

const object = declared(O.object, T.object(T.string))

export const JWT: readonly Builtin[] = [
  define('io.jwt.decode', [O.string], T.tuple(T.object(), T.object(), T.string), decode),
  define('io.jwt.decode_verify', [O.string, object], T.tuple(T.boolean, T.object(), T.object()), decodeVerify, {
    nondeterministic: true,
  }),
  define('io.jwt.encode_sign', [object, object, object], T.string, encodeSign, { nondeterministic: true }),
  define('io.jwt.encode_sign_raw', [O.string, O.string, O.string], T.string, encodeSignRaw, { nondeterministic: true }),
  ...[...ASYMMETRIC.keys()].map(verifyWithKeys),
  ...[...HMAC_HASHES.keys()].map(verifyWithSecret),
]
