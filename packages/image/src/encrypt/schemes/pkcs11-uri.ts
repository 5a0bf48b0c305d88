import { parse } from 'yaml'
import { ImageError } from '../../errors.ts'

/** Where a key is, as ocicrypt's key files say it. */
export interface TokenKeyAddress {
  /** The module's file, if the URI names one. */
  readonly modulePath?: string
  /** Environment that the module reads its configuration from. */
  readonly environment: ReadonlyMap<string, string>
  readonly token?: string
  readonly serial?: string
  readonly model?: string
  readonly manufacturer?: string
  readonly slotId?: number
  readonly object?: string
  readonly id?: Uint8Array
  readonly pin?: string
}

/** `type` says what is looked for, and that is known before: a private key to open with, a public one to wrap for. */
const TEXTS = {
  modulePath: 'module-path',
  token: 'token',
  serial: 'serial',
  model: 'model',
  manufacturer: 'manufacturer',
  object: 'object',
  pin: 'pin-value',
} as const
const ATTRIBUTES: readonly string[] = [...Object.values(TEXTS), 'slot-id', 'id', 'type']

/** True for bytes that are such a key file rather than a key. */
export function isPkcs11KeyFile(bytes: Uint8Array): boolean {
  return /^\s*pkcs11:/m.test(new TextDecoder().decode(bytes.subarray(0, 4096)))
}

/**
 * Reads a key file: `pkcs11: {uri: "pkcs11:…"}` and `module: {env: {…}}`, in YAML.
 *
 * @throws {ImageError} `encryption.recipient`.
 * @source RFC 7512 section 2.3; ocicrypt, docs/pkcs11.md
 */
export function parsePkcs11KeyFile(bytes: Uint8Array, what: string): TokenKeyAddress {
  const refuse = (why: string, cause?: unknown) => new ImageError('encryption.recipient', `${what}: ${why}`, { cause })
  let document: unknown
  try {
    document = parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), { maxAliasCount: 0, stringKeys: true })
  } catch (cause) {
    throw refuse('not YAML', cause)
  }
  const uri = at(document, 'pkcs11', 'uri')
  if (typeof uri !== 'string') throw refuse('no pkcs11.uri')
  const environment = at(document, 'module', 'env') ?? {}
  if (typeof environment !== 'object') throw refuse('module.env is no map')
  const variables = Object.entries(environment).map(([name, value]) => {
    if (typeof value !== 'string') throw refuse(`module.env.${name} is no text`)
    return [name, value] as const
  })
  const [, path = '', query = ''] = /^pkcs11:([^?]*)(?:\?(.*))?$/.exec(uri) ?? []
  if (path === '') throw refuse('not a pkcs11: URI')
  const attributes = new Map([...pairs(path, ';'), ...pairs(query, '&')])
  // what narrows the choice and is passed over could choose another token
  const unknown = [...attributes.keys()].find((name) => !ATTRIBUTES.includes(name))
  if (unknown !== undefined) throw refuse(`${unknown}: not known here; known are ${ATTRIBUTES.join(', ')}`)
  const slot = attributes.get('slot-id')
  if (slot !== undefined && !/^\d{1,10}$/.test(text(slot))) throw refuse('slot-id is not a number')
  if (attributes.get('object') === undefined && attributes.get('id') === undefined)
    throw refuse('the URI names neither object nor id')
  const texts = Object.entries(TEXTS).flatMap(([member, name]) => {
    const value = attributes.get(name)
    return value === undefined ? [] : [[member, text(value)] as const]
  })
  const id = attributes.get('id')
  return {
    environment: new Map(variables),
    ...(Object.fromEntries(texts) as { readonly [Member in keyof typeof TEXTS]?: string }),
    ...(slot === undefined ? {} : { slotId: Number(text(slot)) }),
    ...(id === undefined ? {} : { id }),
  }
}

function at(value: unknown, ...names: readonly string[]): unknown {
  let found = value
  for (const name of names) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}

/** `name=value` pairs; values are bytes in percent-encoding. */
function pairs(text: string, separator: string): readonly (readonly [string, Uint8Array])[] {
  return text
    .split(separator)
    .filter((part) => part.includes('='))
    .map((part) => [part.slice(0, part.indexOf('=')), percentDecoded(part.slice(part.indexOf('=') + 1))] as const)
}

function percentDecoded(value: string): Uint8Array {
  const bytes: number[] = []
  for (let i = 0; i < value.length; i++) {
    const octet = /^%([0-9a-fA-F]{2})/.exec(value.slice(i, i + 3))?.[1]
    if (octet === undefined) bytes.push(...new TextEncoder().encode(value[i]))
    else {
      bytes.push(Number.parseInt(octet, 16))
      i += 2
    }
  }
  return Uint8Array.from(bytes)
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
