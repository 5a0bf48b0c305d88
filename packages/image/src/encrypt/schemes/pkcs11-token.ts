import { createPublicKey, type KeyObject } from 'node:crypto'
import path from 'node:path'
import { toBase64Url } from '@vouchsafe/core/base'
import { ImageError } from '../../errors.ts'
import type { OaepHash, TokenKey } from './pkcs11-packet.ts'
import type { TokenKeyAddress } from './pkcs11-uri.ts'

/**
 * The part of the native addon `pkcs11js` that is used here. It is an optional dependency, loaded when a token is
 * asked for: who has none needs no compiler.
 */
interface Cryptoki {
  load(file: string): void
  C_Initialize(): void
  C_Finalize(): void
  close(): void
  C_GetSlotList(present: boolean): Buffer[]
  C_GetTokenInfo(slot: Buffer): TokenInfo
  C_OpenSession(slot: Buffer, flags: number): Buffer
  C_CloseSession(session: Buffer): void
  C_Login(session: Buffer, user: number, pin: string): void
  C_FindObjectsInit(session: Buffer, template: readonly Attribute[]): void
  C_FindObjects(session: Buffer, max: number): Buffer[]
  C_FindObjectsFinal(session: Buffer): void
  C_GetAttributeValue(session: Buffer, object: Buffer, template: readonly Attribute[]): { value: Buffer }[]
  C_DecryptInit(session: Buffer, mechanism: unknown, key: Buffer): void
  C_Decrypt(session: Buffer, input: Buffer, output: Buffer): Buffer
}

interface TokenInfo {
  readonly label: string
  readonly serialNumber: string
  readonly model: string
  readonly manufacturerID: string
}

interface Attribute {
  readonly type: number
  readonly value?: number | Buffer | string
}

/** @source PKCS #11 Cryptographic Token Interface 2.40, pkcs11t.h */
const CK = {
  serialSession: 4,
  user: 1,
  attribute: { class: 0, label: 3, id: 0x102, modulus: 0x120, publicExponent: 0x122 },
  class: { publicKey: 2, privateKey: 3 },
  rsaOaep: 9,
  /** Of the addon, not of the standard. */
  oaepParameters: 4,
  hash: { sha1: { mechanism: 0x220, mask: 1 }, sha256: { mechanism: 0x250, mask: 2 } },
  dataSpecified: 1,
} as const

const MAX_BLOB_BYTES = 2048

/** A key in a token, and what may be loaded to reach it. */
export interface TokenAccess {
  /** The module files that may be loaded. A key file that names another is refused: loading a module runs its code. */
  readonly modules: readonly string[]
  readonly at: TokenKeyAddress
  /** Where the address carries none. */
  readonly pin?: string
}

/** The private key at an address; the token is opened for each use and closed after it. */
export function tokenKey(access: TokenAccess): TokenKey {
  return {
    decryptOaep: (ciphertext, hash) =>
      withObject(access, CK.class.privateKey, (cryptoki, session, key) =>
        decrypt(cryptoki, { session, key }, ciphertext, hash),
      ),
  }
}

/** The public half, for wrapping. */
export function tokenPublicKey(access: TokenAccess): Promise<KeyObject> {
  return withObject(access, CK.class.publicKey, (cryptoki, session, key) => {
    const [modulus, exponent] = cryptoki
      .C_GetAttributeValue(session, key, [{ type: CK.attribute.modulus }, { type: CK.attribute.publicExponent }])
      .map(({ value }) => toBase64Url(value))
    return createPublicKey({ key: { kty: 'RSA', n: modulus ?? '', e: exponent ?? '' }, format: 'jwk' })
  })
}

function decrypt(
  cryptoki: Cryptoki,
  at: { readonly session: Buffer; readonly key: Buffer },
  ciphertext: Uint8Array,
  hash: OaepHash,
): Uint8Array | undefined {
  const { mechanism, mask } = CK.hash[hash]
  const parameter = { type: CK.oaepParameters, hashAlg: mechanism, mgf: mask, source: CK.dataSpecified }
  cryptoki.C_DecryptInit(at.session, { mechanism: CK.rsaOaep, parameter }, at.key)
  try {
    return new Uint8Array(cryptoki.C_Decrypt(at.session, Buffer.from(ciphertext), Buffer.alloc(MAX_BLOB_BYTES)))
  } catch {
    // for another key: tokens say so in many ways
    return undefined
  }
}

async function withObject<T>(
  access: TokenAccess,
  kind: number,
  use: (cryptoki: Cryptoki, session: Buffer, object: Buffer) => T,
): Promise<T> {
  const { at } = access
  const cryptoki = await loadModule(access)
  const before = setEnvironment(at.environment)
  let initialized = false
  try {
    cryptoki.C_Initialize()
    initialized = true
    const session = cryptoki.C_OpenSession(findSlot(cryptoki, at), CK.serialSession)
    const pin = at.pin ?? access.pin
    if (pin !== undefined) cryptoki.C_Login(session, CK.user, pin)
    return use(cryptoki, session, findObject(cryptoki, session, kind, at))
  } catch (cause) {
    if (cause instanceof ImageError) throw cause
    // the module's own message: it names the call and the CKR code, never the PIN
    throw new ImageError('encryption.pkcs11', (cause as Error).message, { cause })
  } finally {
    if (initialized) cryptoki.C_Finalize()
    cryptoki.close()
    restoreEnvironment(before)
  }
}

async function loadModule({ modules, at }: TokenAccess): Promise<Cryptoki> {
  const file = at.modulePath ?? (modules.length === 1 ? modules[0] : undefined)
  if (file === undefined)
    throw new ImageError('encryption.pkcs11', 'the key names no module, and not exactly one was allowed')
  if (!modules.some((allowed) => path.resolve(allowed) === path.resolve(file)))
    throw new ImageError('encryption.pkcs11', `${file}: not among the modules that may be loaded`)
  // a name in a variable: neither bundler nor type checker then demands the optional package
  const addon: string = 'pkcs11js'
  let cryptoki: Cryptoki
  try {
    const { PKCS11 } = ((await import(addon)) as { default: { PKCS11: new () => Cryptoki } }).default
    cryptoki = new PKCS11()
  } catch (cause) {
    throw new ImageError('encryption.pkcs11', 'the package pkcs11js is not installed: npm install pkcs11js', { cause })
  }
  try {
    cryptoki.load(file)
    return cryptoki
  } catch (cause) {
    throw new ImageError('encryption.pkcs11', `${file}: ${(cause as Error).message}`, { cause })
  }
}

function findSlot(cryptoki: Cryptoki, at: TokenKeyAddress): Buffer {
  const slots = cryptoki.C_GetSlotList(true)
  const found = slots.filter(
    (slot) =>
      (at.slotId === undefined || Number(slot.readBigUInt64LE(0)) === at.slotId) &&
      isToken(cryptoki.C_GetTokenInfo(slot), at),
  )
  const [slot] = found
  if (slot === undefined || found.length > 1)
    throw new ImageError('encryption.pkcs11', `${found.length} tokens fit ${at.token ?? at.slotId ?? 'any'}`)
  return slot
}

/** All that the address says of the token; the token pads what it says of itself. */
function isToken({ label, serialNumber, model, manufacturerID }: TokenInfo, at: TokenKeyAddress): boolean {
  const pairs = [
    [at.token, label],
    [at.serial, serialNumber],
    [at.model, model],
    [at.manufacturer, manufacturerID],
  ] as const
  return pairs.every(([wanted, found]) => wanted === undefined || wanted === found.trimEnd())
}

function findObject(cryptoki: Cryptoki, session: Buffer, kind: number, at: TokenKeyAddress): Buffer {
  cryptoki.C_FindObjectsInit(session, [
    { type: CK.attribute.class, value: kind },
    ...(at.object === undefined ? [] : [{ type: CK.attribute.label, value: at.object }]),
    ...(at.id === undefined ? [] : [{ type: CK.attribute.id, value: Buffer.from(at.id) }]),
  ])
  const found = cryptoki.C_FindObjects(session, 2)
  cryptoki.C_FindObjectsFinal(session)
  const [object] = found
  if (object === undefined || found.length > 1)
    throw new ImageError('encryption.pkcs11', `${found.length} keys fit ${at.object ?? 'the id'}`)
  return object
}

/** Modules read their configuration from the process environment, and nowhere else. */
function setEnvironment(wanted: ReadonlyMap<string, string>): ReadonlyMap<string, string | undefined> {
  const before = new Map([...wanted.keys()].map((name) => [name, process.env[name]]))
  for (const [name, value] of wanted) process.env[name] = value
  return before
}

function restoreEnvironment(before: ReadonlyMap<string, string | undefined>): void {
  for (const [name, value] of before)
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
}
