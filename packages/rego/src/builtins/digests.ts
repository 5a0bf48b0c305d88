import { hmac } from '@noble/hashes/hmac.js'
import { md5, sha1 } from '@noble/hashes/legacy.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'
import { textToBytes } from '../value/index.ts'
import type { Builtin, BuiltinContext } from './contract.ts'
import { define, O } from './define.ts'
import { hex } from './encoding.ts'
import { T } from './types.ts'

export const HASHES = { md5, sha1, sha256, sha384, sha512 } as const
export type HashName = keyof typeof HASHES

/** Longer texts cost more; about one step a block. */
function spendOn(ctx: BuiltinContext, ...texts: readonly string[]): void {
  for (const s of texts) ctx.spend(1 + (s.length >> 5))
}

/** HMAC of bytes. */
export function hmacOf(hash: HashName, key: Uint8Array, message: Uint8Array): Uint8Array {
  return hmac(HASHES[hash], key, message)
}

/** Equality in time that depends on the lengths only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  let different = a.length ^ b.length
  for (let i = 0; i < a.length; i++) different |= (a[i] ?? 0) ^ (b[i % Math.max(1, b.length)] ?? 0)
  return different === 0
}

function digest(hash: 'md5' | 'sha1' | 'sha256'): Builtin {
  return define(`crypto.${hash}`, [O.string], T.string, (ctx, s) => {
    spendOn(ctx, s)
    return hex(HASHES[hash](textToBytes(s)))
  })
}

function mac(hash: 'md5' | 'sha1' | 'sha256' | 'sha512'): Builtin {
  return define(`crypto.hmac.${hash}`, [O.string, O.string], T.string, (ctx, message, key) => {
    spendOn(ctx, message, key)
    return hex(hmacOf(hash, textToBytes(key), textToBytes(message)))
  })
}

export const DIGESTS: readonly Builtin[] = [
  digest('md5'),
  digest('sha1'),
  digest('sha256'),
  mac('md5'),
  mac('sha1'),
  mac('sha256'),
  mac('sha512'),
  define('crypto.hmac.equal', [O.string, O.string], T.boolean, (ctx, a, b) => {
    spendOn(ctx, a, b)
    return equalBytes(textToBytes(a), textToBytes(b))
  }),
]
