import { Tagged } from 'cborg'
import { toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { readCbor } from '../../evidence/cca/cose.ts'

/** One measured thing that a manifest vouches for. Nothing of it is authenticated. */
export interface CorimValue {
  /** `vendor/model/key`, as far as the manifest says. */
  readonly name: string
  /** Lower-case hexadecimal, any of them. */
  readonly digests: readonly string[]
}

const TAG = { corim: 501, comid: 506, uuid: 37, bytes: 560, oid: 111, ueid: 550 } as const
/** Tags that may stand where we read past: URIs, times, versions and the like. */
const PASSED_OVER = [0, 1, 32, 505, 508, 551, 552, 553, 554, 557, 561]
const TAGS = [...Object.values(TAG), ...PASSED_OVER]

/**
 * Reads the reference values of an unsigned CoRIM: whoever imports it vouches for it by signing the set that it goes into.
 *
 * @throws {VouchsafeError} `input.malformed`; `evidence.unsupported` for a signed one, whose maker we could not check
 * @source draft-ietf-rats-corim: unsigned-corim-map, concise-mid-tag, reference-triple-record
 */
export function readCorim(raw: Uint8Array): readonly CorimValue[] {
  const what = 'CoRIM'
  const outer = readCbor(what, raw, 18, 500, 502, ...TAGS)
  if (outer instanceof Tagged && (outer.tag === 18 || outer.tag === 502))
    throw new VouchsafeError('evidence.unsupported', `${what}: it is signed; its signature is not judged here`)
  const map = tagged(what, outer, TAG.corim)
  const tags = mapOf(what, map).get(1)
  if (!Array.isArray(tags)) throw malformed('tags', 'missing')
  const values = tags.flatMap((tag: unknown) => {
    if (!(tag instanceof Tagged) || tag.tag !== TAG.comid) return [] // CoSWID and others vouch for other things
    const bytes: unknown = tag.value
    if (!(bytes instanceof Uint8Array)) throw malformed('CoMID', 'not bytes')
    return readComid(bytes)
  })
  if (values.length === 0) throw malformed('reference values', 'there are none')
  return values
}

function readComid(bytes: Uint8Array): readonly CorimValue[] {
  const triples = mapOf('triples', mapOf('CoMID', readCbor('CoMID', bytes, ...TAGS)).get(4))
  const references: unknown = triples.get(0) ?? []
  if (!Array.isArray(references)) throw malformed('reference triples', 'not a list')
  return references.flatMap((triple: unknown) => {
    if (!Array.isArray(triple) || !Array.isArray(triple[1])) throw malformed('reference triple', 'not a pair')
    const environment = environmentName(triple[0])
    return triple[1].flatMap((m: unknown) => readMeasurement(environment, m))
  })
}

/** What has no digest, such as a version alone, cannot be compared with evidence and is left out. */
function readMeasurement(environment: readonly string[], measurement: unknown): readonly CorimValue[] {
  const map = mapOf('measurement', measurement)
  const digests: unknown = mapOf('measurement value', map.get(1)).get(2)
  if (digests === undefined) return []
  if (!Array.isArray(digests)) throw malformed('digests', 'not a list')
  const key = map.has(0) ? [text(map.get(0))] : []
  const values = digests.map((pair: unknown) => {
    const value: unknown = Array.isArray(pair) ? pair[1] : undefined
    if (!(value instanceof Uint8Array) || value.length < 32) throw malformed('digest', 'not of 32 bytes or more')
    return toHex(value)
  })
  return [{ name: [...environment, ...key].join('/'), digests: values }]
}

function environmentName(environment: unknown): readonly string[] {
  const map = mapOf('environment', environment)
  const names = map.has(0) ? mapOf('class', map.get(0)) : new Map<unknown, unknown>()
  return [1, 2].flatMap((n) => (names.has(n) ? [text(names.get(n))] : []))
}

function text(value: unknown): string {
  const inner: unknown = value instanceof Tagged ? value.value : value
  if (typeof inner === 'number' || typeof inner === 'bigint') return String(inner)
  if (inner instanceof Uint8Array) return value instanceof Tagged && value.tag === TAG.uuid ? uuid(inner) : toHex(inner)
  if (typeof inner !== 'string') throw malformed('name', 'neither text, number nor bytes')
  return inner.replaceAll(/[^A-Za-z0-9._-]+/g, '-')
}

function uuid(bytes: Uint8Array): string {
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function tagged(what: string, value: unknown, tag: number): unknown {
  if (!(value instanceof Tagged)) throw malformed(what, `not tagged ${tag}`)
  const inner: unknown = value.value
  return value.tag === 500 ? tagged(what, inner, tag) : inner
}

function mapOf(what: string, value: unknown): ReadonlyMap<unknown, unknown> {
  if (!(value instanceof Map)) throw malformed(what, 'not a map')
  return value as ReadonlyMap<unknown, unknown>
}

function malformed(field: string, why: string): VouchsafeError {
  return new VouchsafeError('input.malformed', `CoRIM: ${field}: ${why}`)
}
