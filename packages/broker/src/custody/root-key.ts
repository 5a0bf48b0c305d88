import { hkdfSync, randomBytes, scryptSync } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import path from 'node:path'
import { Secret, VouchsafeError, fromBase64, parseSchema, parseStrictJson, toBase64, utf8 } from '@vouchsafe/core'
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
 * wrapping key. It exists in clear only here, in memory, until it is sealed.
 */
export class RootKey {
  readonly #wrapping: Secret
  readonly #check: Secret
  #sealed = false

  constructor(key: Uint8Array) {
    if (key.length !== KEY_BYTES) throw new VouchsafeError('internal', `root key of ${key.length} bytes`)
    // a key for each use, so that what one of them shows says nothing about the other
    this.#wrapping = subkey(key, 'vouchsafe/root/wrap/v1')
    this.#check = subkey(key, 'vouchsafe/root/check/v1')
  }

  wrap(place: readonly string[], plain: Uint8Array): Uint8Array<ArrayBuffer> {
    this.assertOpen()
    return wrap(this.#wrapping, place, plain)
  }

  /** @throws {VouchsafeError} `custody.sealed`, `custody.wrong-key` */
  unwrap(place: readonly string[], wrapped: Uint8Array): Uint8Array<ArrayBuffer> {
    this.assertOpen()
    return unwrap(this.#wrapping, place, wrapped)
  }

  /** 32 bytes that tell whether a store's keys are wrapped under this root, and nothing else (decision 17). */
  checkValue(): Uint8Array {
    this.assertOpen()
    return new Uint8Array(this.#check.expose())
  }

  /** Forgets the keys. There is no way back but to open the custody file again. */
  seal(): void {
    this.#sealed = true
    this.#wrapping.wipe()
    this.#check.wipe()
  }

  /** @throws {VouchsafeError} `custody.sealed` */
  assertOpen(): void {
    if (this.#sealed) throw new VouchsafeError('custody.sealed', 'custody was sealed: open the custody file again')
  }
}

function subkey(key: Uint8Array, use: string): Secret {
  return new Secret(new Uint8Array(hkdfSync('sha256', key, new Uint8Array(), utf8(use), KEY_BYTES)))
}

/** Makes a root key and writes it, sealed by a passphrase, to a new file that only its owner can read. */
export function createCustodyFile(file: string, passphrase: Secret): RootKey {
  const root = randomBytes(KEY_BYTES)
  const salt = randomBytes(16)
  const under = derive(passphrase, salt, SCRYPT.n)
  const sealed = wrap(under, ['custody'], root)
  under.wipe()
  const content = {
    vouchsafe: 'custody/v1',
    kdf: { name: 'scrypt', ...SCRYPT, salt: toBase64(salt) },
    root: toBase64(sealed),
  }
  writeDurably(file, `${JSON.stringify(content)}\n`)
  const key = new RootKey(root)
  root.fill(0)
  return key
}

/** @throws {VouchsafeError} `custody.passphrase` for a wrong passphrase or an altered file; `input.malformed` for what is no custody file. */
export function openCustodyFile(file: string, passphrase: Secret): RootKey {
  const content = parseSchema(fileSchema, parseStrictJson(readFileSync(file), { maxBytes: 4096 }), 'custody file')
  const { kdf } = content
  const under = derive(passphrase, fromBase64(kdf.salt, 'custody file: salt'), kdf.n)
  let root: Uint8Array
  try {
    root = unwrap(under, ['custody'], fromBase64(content.root, 'custody file: root'))
  } catch (cause) {
    throw new VouchsafeError('custody.passphrase', `${file} does not open with this passphrase`, { cause })
  } finally {
    under.wipe()
  }
  const key = new RootKey(root)
  root.fill(0)
  return key
}

const PASSPHRASE_BYTES = { least: 8, most: 1024 } as const

/**
 * A passphrase from a file or, as `/dev/fd/N`, a descriptor: never from an argument or the environment, which other
 * processes can see (decision 17). One trailing newline is not part of it.
 *
 * @throws {VouchsafeError} `input.malformed` when it is shorter than 8 bytes or longer than 1024, or when every user of
 *   the machine can read the file.
 */
export function readPassphrase(file: string): Secret {
  const stat = statSync(file)
  if (stat.isFile() && (stat.mode & 0o007) !== 0)
    throw new VouchsafeError('input.malformed', `passphrase file ${file} is open to every user: chmod 600 it`)
  const bytes = readFileSync(file)
  const end = bytes.at(-1) === 0x0a ? bytes.length - 1 : bytes.length
  if (end < PASSPHRASE_BYTES.least || end > PASSPHRASE_BYTES.most)
    throw new VouchsafeError(
      'input.malformed',
      `passphrase file ${file}: ${end} bytes, wanted ${PASSPHRASE_BYTES.least} to ${PASSPHRASE_BYTES.most}`,
    )
  const secret = new Secret(bytes.subarray(0, end))
  bytes.fill(0)
  return secret
}

/** A broker that loses its custody file loses everything, so it is on the disk before anything is wrapped under it. */
function writeDurably(file: string, text: string): void {
  const handle = openSync(file, 'wx', 0o600)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  const directory = openSync(path.dirname(file), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

function derive(passphrase: Secret, salt: Uint8Array, n: number): Secret {
  return new Secret(
    scryptSync(passphrase.expose(), salt, KEY_BYTES, { N: n, r: SCRYPT.r, p: SCRYPT.p, maxmem: SCRYPT_MAX_MEMORY }),
  )
}
