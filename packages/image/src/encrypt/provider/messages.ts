import { toBase64, utf8 } from '@vouchsafe/core/base'
import { asArray, type JsonObject, member, readAs } from '../../oci/json.ts'
import { malformed, MAX_PACKET_BYTES, readBase64, readEncryptionJson, readObject } from '../read-json.ts'

/** Values given for one provider, after `provider:<name>:` on a command line. */
export type ProviderParameters = ReadonlyMap<string, readonly Uint8Array[]>

/** What an encrypting or decrypting program asks of a key provider. */
export type ProviderRequest =
  | { readonly kind: 'wrap'; readonly parameters: ProviderParameters; readonly privateOptions: Uint8Array }
  | { readonly kind: 'unwrap'; readonly parameters: ProviderParameters; readonly packet: Uint8Array }

/**
 * Reads a request of the key provider protocol, in each dialect that is spoken: byte fields as base64, as arrays of
 * numbers, or, where a Rust client wraps, as the bare text of the options.
 *
 * @throws {ImageError} `encryption.malformed`.
 * @source ocicrypt, docs/keyprovider.md
 */
export function parseProviderRequest(bytes: Uint8Array): ProviderRequest {
  const what = 'key provider request'
  const request = readEncryptionJson(bytes, what)
  const operation = member(request, 'op')
  if (operation === 'keywrap') {
    const wrap = readObject(member(request, 'keywrapparams'), `${what}.keywrapparams`)
    const config = readObject(member(wrap, 'ec') ?? {}, `${what}.ec`)
    const options = member(wrap, 'optsdata')
    const isText = typeof options === 'string' && options.startsWith('{')
    return {
      kind: 'wrap',
      parameters: readParameters(config, `${what}.ec`),
      privateOptions: isText ? utf8(options) : readBytes(options, `${what}.optsdata`),
    }
  }
  if (operation !== 'keyunwrap') throw malformed(what, `op ${JSON.stringify(operation)}`)
  const unwrap = readObject(member(request, 'keyunwrapparams'), `${what}.keyunwrapparams`)
  const config = readObject(member(unwrap, 'dc') ?? {}, `${what}.dc`)
  return {
    kind: 'unwrap',
    parameters: readParameters(config, `${what}.dc`),
    packet: readBytes(member(unwrap, 'annotation'), `${what}.annotation`),
  }
}

/** Arrays of numbers: what every client reads, those in Rust alone. */
export function wrapResponse(packet: Uint8Array): Uint8Array<ArrayBuffer> {
  return json({ keywrapresults: { annotation: [...packet] }, keyunwrapresults: { optsdata: null } })
}

export function unwrapResponse(privateOptions: Uint8Array): Uint8Array<ArrayBuffer> {
  return json({ keywrapresults: { annotation: null }, keyunwrapresults: { optsdata: [...privateOptions] } })
}

/**
 * Asks a provider to wrap. Only what is the provider's own goes to it: upstream sends it all keys that were given for
 * other schemes too, in clear.
 */
export function wrapRequest(
  provider: string,
  parameters: readonly Uint8Array[],
  privateOptions: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const ec = { Parameters: { [provider]: parameters.map(toBase64) }, DecryptConfig: { Parameters: {} } }
  return json({
    op: 'keywrap',
    keywrapparams: { ec, optsdata: toBase64(privateOptions) },
    keyunwrapparams: { dc: null, annotation: null },
  })
}

export function unwrapRequest(
  provider: string,
  parameters: readonly Uint8Array[],
  packet: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return json({
    op: 'keyunwrap',
    keywrapparams: { ec: null, optsdata: null },
    keyunwrapparams: { dc: { Parameters: { [provider]: parameters.map(toBase64) } }, annotation: toBase64(packet) },
  })
}

/** @throws {ImageError} `encryption.malformed`, also when the provider answered with nothing. */
export function parseWrapResponse(bytes: Uint8Array): Uint8Array {
  return readResult(bytes, 'keywrapresults', 'annotation')
}

/** @throws {ImageError} `encryption.malformed`, also when the provider answered with nothing. */
export function parseUnwrapResponse(bytes: Uint8Array): Uint8Array {
  return readResult(bytes, 'keyunwrapresults', 'optsdata')
}

function readResult(bytes: Uint8Array, results: string, field: string): Uint8Array {
  const what = 'key provider answer'
  const object = readObject(member(readEncryptionJson(bytes, what), results), `${what}.${results}`)
  const value = readBytes(member(object, field), `${what}.${field}`)
  if (value.length === 0) throw malformed(`${what}.${field}`, 'empty')
  return value
}

function readParameters(config: JsonObject, what: string): ProviderParameters {
  const parameters = readObject(member(config, 'Parameters') ?? {}, `${what}.Parameters`)
  return new Map(
    Object.entries(parameters).map(([name, list]) => [
      name,
      readArray(list ?? [], `${what}.${name}`).map((value) => readBytes(value ?? '', `${what}.${name}`)),
    ]),
  )
}

function readBytes(value: unknown, what: string): Uint8Array {
  if (!Array.isArray(value)) return readBase64(value, what)
  const numbers = readArray(value, what)
  if (!numbers.every((n): n is number => typeof n === 'number' && Number.isInteger(n) && n >= 0 && n <= 255))
    throw malformed(what, 'not an array of bytes')
  return Uint8Array.from(numbers)
}

function readArray(value: unknown, what: string): readonly unknown[] {
  return readAs('encryption.malformed', () => asArray(value, what, MAX_PACKET_BYTES))
}

function json(value: unknown): Uint8Array<ArrayBuffer> {
  return utf8(JSON.stringify(value))
}
