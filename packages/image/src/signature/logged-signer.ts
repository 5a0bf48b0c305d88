import { createPublicKey, X509Certificate } from 'node:crypto'
import type { TransparencyLogEntry } from '@sigstore/bundle'
import { ImageError } from '../errors.ts'
import { asArray, asObject, type JsonObject, member } from '../oci/json.ts'
import { parseSignedJson, readBase64, wellFormed } from './signed-json.ts'
import { verificationKey } from './verification-key.ts'

const MAX_ENTRY_BYTES = 1024 * 1024

/** Whose act an entry must be the record of. */
export interface LoggedSigner {
  readonly keyId: string
  readonly certificate: Uint8Array | undefined
  /** Where none is, an entry of a kind that is not known says nothing; where one is, it could name anybody. */
  readonly isLogAsked: boolean
}

/**
 * Checks that a bundle's log entry names its signer: by certificate, the very certificate; by key, that key (H04). An entry
 * that names another, though it has our signature, is not the record of our signer's act. That signature and content
 * are the same is for the library.
 *
 * @throws {ImageError} `signature.mismatch`, `signature.malformed`.
 * @source Rekor: hashedrekord and dsse 0.0.1 and 0.0.2, intoto 0.0.2
 */
export function assertLogged(entry: TransparencyLogEntry, signer: LoggedSigner, place: string): void {
  const differ = (what: string) =>
    new ImageError('signature.mismatch', `${place}: a log entry is about another ${what}`)
  const body = parseSignedJson(entry.canonicalizedBody, `${place}: log entry`, MAX_ENTRY_BYTES)
  const { kind, version } = entry.kindVersion
  if (member(body, 'kind') !== kind || member(body, 'apiVersion') !== version) throw differ('kind of signature')
  const named = wellFormed(`${place}: log entry`, () => namedSigner(body, `${kind} ${version}`))
  if (named === undefined) {
    // the library refuses kinds that it does not know, but takes any later version for the last
    if (!signer.isLogAsked) return
    throw differ('kind of signature')
  }
  if (named.keyId !== signer.keyId) throw differ('key')
  if (signer.certificate !== undefined && named.certificate?.equals(signer.certificate) !== true)
    throw differ('certificate')
}

interface NamedSigner {
  readonly keyId: string
  readonly certificate?: Buffer
}

/** @returns undefined for a kind of entry that is not known. */
function namedSigner(body: JsonObject, kind: string): NamedSigner | undefined {
  const spec = asObject(member(body, 'spec'), 'spec')
  const inside = (object: JsonObject, ...names: readonly string[]) =>
    names.reduce((outer, name) => asObject(member(outer, name), name), object)
  const only = (object: JsonObject) => asObject(asArray(member(object, 'signatures'), 'signatures', 1)[0], 'signature')
  switch (kind) {
    case 'hashedrekord 0.0.1':
      return fromPem(member(inside(spec, 'signature', 'publicKey'), 'content'))
    case 'dsse 0.0.1':
      return fromPem(member(only(spec), 'verifier'))
    case 'intoto 0.0.2':
      return fromPem(member(only(inside(spec, 'content', 'envelope')), 'publicKey'))
    case 'hashedrekord 0.0.2':
      return fromVerifier(inside(spec, 'hashedRekordV002', 'signature', 'verifier'))
    case 'dsse 0.0.2':
      return fromVerifier(inside(only(inside(spec, 'dsseV002')), 'verifier'))
    default:
      return undefined
  }
}

function fromPem(encoded: unknown): NamedSigner {
  const pem = Buffer.from(readBase64(encoded, 'verifier')).toString('latin1')
  return pem.includes('CERTIFICATE') ? ofCertificate(pem) : { keyId: verificationKey(createPublicKey(pem)).id }
}

/** Logs of the second version: DER, under the name of what it is. */
function fromVerifier(verifier: JsonObject): NamedSigner {
  const raw = (name: string) =>
    Buffer.from(readBase64(member(asObject(member(verifier, name), name), 'rawBytes'), name))
  if (Object.hasOwn(verifier, 'x509Certificate')) return ofCertificate(raw('x509Certificate'))
  const key = createPublicKey({ key: raw('publicKey'), format: 'der', type: 'spki' })
  return { keyId: verificationKey(key).id }
}

function ofCertificate(encoded: string | Buffer): NamedSigner {
  const { raw, publicKey } = new X509Certificate(encoded)
  return { keyId: verificationKey(publicKey).id, certificate: raw }
}
