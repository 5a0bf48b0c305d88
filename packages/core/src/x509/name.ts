import { fromUtf8 } from '../base/encoding.ts'
import { DerReader, latin1, TAG, type DerElement } from './der.ts'
import { KnownOctets } from './known-octets.ts'
import { OID } from './oids.ts'

/** A distinguished name. Names are compared by `raw`: the readable form is for people only. */
export interface Name {
  /** DER of the RDNSequence, as received. */
  readonly raw: Uint8Array
  /** Most specific first, as RFC 4514 writes it; characters that a terminal would act on are escaped. */
  readonly text: string
  /** In the order of the encoding, relative names flattened. */
  readonly attributes: readonly { readonly oid: string; readonly value: string }[]
}

const SHORT: Readonly<Record<string, string>> = {
  [OID.commonName]: 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  [OID.tpmManufacturer]: 'tpmManufacturer',
  [OID.tpmModel]: 'tpmModel',
  [OID.tpmVersion]: 'tpmVersion',
}

/** Reads an RDNSequence. An empty one is a name too: EK certificates have it as subject. */
export function readName(outer: DerReader, field: string): Name {
  const { raw, content } = outer.take(field, TAG.sequence)
  const known = knownNames.find(content, 0, content.length)
  const { text, attributes } = known ?? knownNames.keep(content, readContent(outer, field, content))
  return { raw, attributes, text }
}

const knownNames = new KnownOctets<Pick<Name, 'text' | 'attributes'>>(512)

function readContent(outer: DerReader, field: string, content: Uint8Array): Pick<Name, 'text' | 'attributes'> {
  const names = new DerReader(`${outer.what}: ${field}`, content)
  const attributes: { oid: string; value: string }[] = []
  while (!names.done) {
    const rdn = names.set('RelativeDistinguishedName')
    do {
      const pair = rdn.sequence('AttributeTypeAndValue')
      const oid = pair.oid('type')
      attributes.push(Object.freeze({ oid, value: text(pair, pair.any('value')) }))
      pair.end()
    } while (!rdn.done)
    if (attributes.length > 64) throw names.malformed('RDNSequence', 'over 64 attributes')
  }
  const readable = attributes.map(({ oid, value }) => `${SHORT[oid] ?? oid}=${escape(value)}`)
  return { attributes: Object.freeze(attributes), text: readable.toReversed().join(',') }
}

/** The one value of an attribute; undefined when it is absent or stands there twice. */
export function attribute(name: Name, oid: string): string | undefined {
  let value: string | undefined
  for (const a of name.attributes) {
    if (a.oid !== oid) continue
    if (value !== undefined) return undefined
    value = a.value
  }
  return value
}

function text(where: DerReader, { tag, content }: DerElement): string {
  switch (tag) {
    case TAG.utf8String:
      if (isAscii(content)) return latin1(content)
      try {
        return fromUtf8(content)
      } catch {
        throw where.malformed('value', 'UTF8String is not UTF-8')
      }
    case TAG.printableString:
    case TAG.ia5String:
      if (!isAscii(content)) throw where.malformed('value', 'character beyond ASCII')
      return latin1(content)
    case TAG.teletexString:
      return latin1(content)
    case TAG.bmpString: {
      if (content.length % 2 !== 0) throw where.malformed('value', 'BMPString of odd length')
      let out = ''
      for (let i = 0; i < content.length; i += 2)
        out += String.fromCharCode((content[i] ?? 0) * 256 + (content[i + 1] ?? 0))
      return out
    }
    default:
      throw where.malformed('value', `string type 0x${tag.toString(16)}`)
  }
}

function isAscii(octets: Uint8Array): boolean {
  for (const octet of octets) if (octet > 0x7f) return false
  return true
}

const HARMLESS = /^[\w .:/()@-]*$/

function escape(value: string): string {
  if (HARMLESS.test(value)) return value
  return value
    .replace(/[\\,+"<>;=]/g, '\\$&')
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`)
}
