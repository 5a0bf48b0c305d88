import {
  bytesToText,
  isArray,
  isNumber,
  jsonName,
  newRecord,
  numberToBigInt,
  objectEntries,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../../value/index.ts'
import { decodeBase64, encodeBase64 } from '../base64.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from '../contract.ts'
import { declared, define, O } from '../define.ts'
import { T } from '../types.ts'
import { KEY_ALGORITHMS } from './algorithms.ts'
import { parseCertificate, parseCertificates, type Certificate } from './certificate.ts'
import { readDer } from './der.ts'
import { certificateToGo } from './go-json.ts'
import { firstPemBlock, pemBlocks } from './pem.ts'
import { privateKeyIn, privateKeyToGo, rsaToJwk, type PrivateKey } from './private-keys.ts'
import { requestToGo } from './requests.ts'
import { EXTENDED_KEY_USAGES, SERVER_AUTH } from './usages.ts'
import { findChain, type ChainOptions } from './verify-chain.ts'

const PEM_START = '-----BEGIN'

/** PEM text; or base64 of PEM text or of DER, which comes back as bytes. */
function pemOrDer(text: string): string | Uint8Array<ArrayBuffer> {
  if (text.startsWith(PEM_START)) return text
  const bytes = decodeBase64(text, 'standard', true)
  const inner = bytesToText(bytes)
  return inner.startsWith(PEM_START) ? inner : bytes
}

function takeCertificates(ctx: BuiltinContext, text: string): Certificate[] {
  ctx.spend(1 + (text.length >> 3))
  const source = pemOrDer(text)
  if (typeof source !== 'string') return parseCertificates(source)
  return pemBlocks(source).map(({ label, bytes }) => {
    if (label !== 'CERTIFICATE') throw new BuiltinError(`PEM-encoded certificate expected, got ${label}`)
    return parseCertificate(bytes)
  })
}

function takeRequest(text: string): Value {
  const source = pemOrDer(text)
  if (typeof source !== 'string') return requestToGo(source)
  const pem = firstPemBlock(source)
  if (pem?.block.label !== 'CERTIFICATE REQUEST')
    throw new BuiltinError('invalid PEM-encoded certificate signing request')
  return requestToGo(pem.block.bytes)
}

/** The first certificate is the root, the last the leaf, the rest may stand between. */
function parseAndVerify(ctx: BuiltinContext, text: string, options: ChainOptions): Value {
  const failed: Value = [false, []]
  let certificates: Certificate[]
  try {
    certificates = takeCertificates(ctx, text)
  } catch (error) {
    if (error instanceof BuiltinError) return failed
    throw error
  }
  const [root] = certificates
  const leaf = certificates.at(-1)
  if (root === undefined || leaf === undefined || root === leaf) return failed
  const chain = findChain(ctx, leaf, certificates.slice(1, -1), root, options)
  return chain === undefined ? failed : [true, chain.map(certificateToGo)]
}

function takeOptions(ctx: BuiltinContext, given: RegoRecord | RegoMap): ChainOptions {
  let at = ctx.timeNs
  let dnsName: string | undefined
  let usages: readonly string[] = [SERVER_AUTH]
  for (const [k, v] of objectEntries(given)) {
    if (k === 'CurrentTime' && isNumber(v)) at = numberToBigInt(v) ?? badOption(k)
    else if (k === 'DNSName' && typeof v === 'string') dnsName = v
    else if (k === 'KeyUsages' && isArray(v)) usages = v.map(usageNamed)
    // comparisons of name constraints: chains with such constraints are refused, so there is nothing to count
    else if (k !== 'MaxConstraintComparisons' || !isNumber(v)) badOption(jsonName(k))
  }
  return { at, dnsName, usages: usages.length === 0 ? [SERVER_AUTH] : usages }
}

function badOption(name: string): never {
  throw new BuiltinError(`invalid verification option ${JSON.stringify(name)}`)
}

function usageNamed(name: Value): string {
  const usage = EXTENDED_KEY_USAGES.find((u) => u.name === name)
  if (usage === undefined) throw new BuiltinError('invalid entries for KeyUsages found')
  return usage.oid
}

function parseRsaPrivateKey(text: string): Value {
  const source = pemOrDer(text)
  const key = typeof source === 'string' ? keysIn(source)[0] : undefined
  if (key === undefined) throw new BuiltinError('failed to parse private key')
  if (key.kind !== 'RSA') throw new BuiltinError('error: found non-RSA key')
  return rsaToJwk(key)
}

function keysIn(pem: string): PrivateKey[] {
  return pemBlocks(pem).flatMap((block) => privateKeyIn(block) ?? [])
}

/** Go gives null for no text at all, an empty list for text without keys. */
function parsePrivateKeys(text: string): Value {
  if (text === '') return null
  if (text.startsWith(PEM_START)) return keysIn(text).map(privateKeyToGo)
  try {
    const inner = bytesToText(decodeBase64(text, 'standard', true))
    return keysIn(inner).map(privateKeyToGo)
  } catch (error) {
    if (error instanceof BuiltinError) return []
    throw error
  }
}

function parseKeyPair(ctx: BuiltinContext, certificateText: string, keyText: string): Value {
  const certificates = takeCertificates(ctx, certificateText)
  const keySource = pemOrDer(keyText)
  const key = typeof keySource === 'string' ? keysIn(keySource)[0] : undefined
  const [leaf] = certificates
  if (leaf === undefined || key === undefined) throw new BuiltinError('tls: failed to find certificate or key PEM data')
  if (!belongs(key, leaf)) throw new BuiltinError('tls: private key does not match public key')
  return Object.assign(newRecord(), {
    Certificate: certificates.map((c) => encodeBase64(c.raw, 'standard', true)),
    PrivateKey: privateKeyToGo(key),
    SupportedSignatureAlgorithms: null,
    OCSPStaple: null,
    SignedCertificateTimestamps: null,
    Leaf: certificateToGo(leaf),
  })
}

function belongs(key: PrivateKey, certificate: Certificate): boolean {
  const { publicKey } = certificate
  if (KEY_ALGORITHMS.get(publicKey.algorithm)?.kind !== key.kind) return false
  if (key.kind === 'RSA') return readDer(publicKey.key).children()[0]?.integer() === key.n
  if (key.kind === 'Ed25519') return true
  const half = (publicKey.key.length - 1) / 2
  let x = 0n
  for (const b of publicKey.key.subarray(1, 1 + half)) x = (x << 8n) | BigInt(b)
  return x === key.x
}

const goObject = T.object(T.string)
const verified = T.tuple(T.boolean, T.array(goObject))

export const X509: readonly Builtin[] = [
  define('crypto.x509.parse_certificates', [O.string], T.array(goObject), (ctx, text) =>
    takeCertificates(ctx, text).map(certificateToGo),
  ),
  define('crypto.x509.parse_and_verify_certificates', [O.string], verified, (ctx, text) =>
    parseAndVerify(ctx, text, takeOptions(ctx, {})),
  ),
  define(
    'crypto.x509.parse_and_verify_certificates_with_options',
    [O.string, declared(O.object, goObject)],
    verified,
    (ctx, text, options) => parseAndVerify(ctx, text, takeOptions(ctx, options)),
  ),
  define('crypto.x509.parse_certificate_request', [O.string], goObject, (ctx, text) => {
    ctx.spend(1 + (text.length >> 3))
    return takeRequest(text)
  }),
  define('crypto.x509.parse_keypair', [O.string, O.string], goObject, parseKeyPair),
  define('crypto.x509.parse_rsa_private_key', [O.string], goObject, (_, text) => parseRsaPrivateKey(text)),
  define('crypto.parse_private_keys', [O.string], T.array(goObject), (_, text) => parsePrivateKeys(text)),
]
