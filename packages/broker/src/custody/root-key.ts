import { randomBytes, scryptSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { Secret, VouchsafeError, fromBase64, parseSchema, parseStrictJson, toBase64, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'
import { unwrap, wrap } from './wrap.ts'

const KEY_BYTES = 32
/** scrypt as OWASP advises: 128 MiB, about a third of a second. */
const SCRYPT = { n: 131_072, r: 8, p: 1 } as const
const SCRYPT_MAX_MEMORY = 256 * 1024 * 1024

const fileSchema = z.strictObject({
  vouchsafe: z.literal('custody/v1'),
  kdf: z.strictObject({
    name: z.literal('scrypt'),
    n: z.number().int().min(16_384).max(1_048_576),
    r: z.literal(8),
    p: z.literal(1),
    salt: z.string(),
  }),
  root: z.string(),
})

/**
 * The root of a broker's custody: everything secret at rest is wrapped under it, directly or through a tenant's
 * wrapping key. It exists in clear only here, in memory.
 */
export class RootKey {
  readonly #key: Secret

  constructor(key: Uint8Array) {
    if (key.length !== KEY_BYTES) throw new VouchsafeError('internal', `root key of ${key.length} bytes`)
    this.#key = new Secret(key)
  }

  wrap(place: readonly string[], plain: Uint8Array): Uint8Array<ArrayBuffer> {
    return wrap(this.#key, place, plain)
  }

  unwrap(place: readonly string[], wrapped: Uint8Array): Uint8Array<ArrayBuffer> {
    return unwrap(this.#key, place, wrapped)
  }

  /** 32 bytes that tell whether a store's keys are wrapped under this root, and nothing else (decision 17). */
  checkValue(): Uint8Array {
    return nodeCrypto.hmac('sha256', this.#key.expose(), utf8('vouchsafe/root-check/v1'))
  }
}

/** Makes a root key and writes it, sealed by a passphrase, to a new file that only its owner can read. */
export function createCustodyFile(file: string, passphrase: Secret): RootKey {
  const root = randomBytes(KEY_BYTES)
  const salt = randomBytes(16)
  const sealed = wrap(derive(passphrase, salt, SCRYPT.n), ['custody'], root)
  const content = {
    vouchsafe: 'custody/v1',
    kdf: { name: 'scrypt', ...SCRYPT, salt: toBase64(salt) },
    root: toBase64(sealed),
  }
  writeFileSync(file, `${JSON.stringify(content)}\n`, { mode: 0o600, flag: 'wx' })
  return new RootKey(root)
}

/** @throws {VouchsafeError} `custody.wrong-key` for a wrong passphrase; `input.malformed` for what is no custody file. */
export function openCustodyFile(file: string, passphrase: Secret): RootKey {
  const { kdf, root } = parseSchema(fileSchema, parseStrictJson(readFileSync(file), { maxBytes: 4096 }), 'custody file')
  return new RootKey(unwrap(derive(passphrase, fromBase64(kdf.salt), kdf.n), ['custody'], fromBase64(root)))
}

/**
 * A passphrase from a file or, as `/dev/fd/N`, a descriptor: never from an argument or the environment, which other
 * processes can see (decision 17). One trailing newline is not part of it.
 */
export function readPassphrase(file: string): Secret {
  const bytes = readFileSync(file)
  const end = bytes.at(-1) === 0x0a ? bytes.length - 1 : bytes.length
  if (end < 8) throw new VouchsafeError('input.malformed', `passphrase file ${file}: ${end} bytes, wanted at least 8`)
  const secret = new Secret(bytes.subarray(0, end))
  bytes.fill(0)
  return secret
}

function derive(passphrase: Secret, salt: Uint8Array, n: number): Secret {
  return new Secret(
    scryptSync(passphrase.expose(), salt, KEY_BYTES, { N: n, r: SCRYPT.r, p: SCRYPT.p, maxmem: SCRYPT_MAX_MEMORY }),
  )
}
