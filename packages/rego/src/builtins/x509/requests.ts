import { newRecord, type Value } from '../../value/index.ts'
import { encodeBase64 } from '../base64.ts'
import { signatureAlgorithmOf } from './algorithms.ts'
import { extensionsOf, only, parsePublicKeyInfo, type Extension } from './certificate.ts'
import { malformed, readDer, TAG, type DerNode } from './der.ts'
import { alternativeNamesToGo, extensionsToGo, keyAlgorithmToGo, nameToGo, publicKeyToGo } from './go-json.ts'
import { parseName } from './names.ts'

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'

/** A PKCS #10 request in the shape of Go's `x509.CertificateRequest` as JSON. */
export function requestToGo(bytes: Uint8Array<ArrayBuffer>): Value {
  const request = readDer(bytes)
  const [info, algorithm, signature] = request.expect(TAG.sequence).children()
  const [version, subject, keyInfo, attributes] = info?.expect(TAG.sequence).children() ?? []
  if (
    info === undefined ||
    algorithm === undefined ||
    signature === undefined ||
    version === undefined ||
    subject === undefined ||
    keyInfo === undefined
  ) {
    throw malformed('a certificate request lacks fields')
  }
  const b64 = (raw: Uint8Array): string => encodeBase64(raw, 'standard', true)
  const key = parsePublicKeyInfo(keyInfo)
  const extensions = requestedExtensions(attributes)
  return Object.assign(newRecord(), {
    Raw: b64(request.raw),
    RawTBSCertificateRequest: b64(info.raw),
    RawSubjectPublicKeyInfo: b64(keyInfo.raw),
    RawSubject: b64(subject.raw),
    Version: Number(version.integer()),
    Signature: b64(signature.bits()),
    SignatureAlgorithm: signatureAlgorithmOf(algorithm).goNumber,
    PublicKeyAlgorithm: keyAlgorithmToGo(key),
    PublicKey: publicKeyToGo(key),
    Subject: nameToGo(parseName(subject)),
    Extensions: extensionsToGo(extensions),
    ExtraExtensions: null,
    ...alternativeNamesToGo(extensions),
  })
}

function requestedExtensions(attributes: DerNode | undefined): Extension[] {
  for (const attribute of attributes?.tag === 0xa0 ? attributes.children() : []) {
    const [id, values] = attribute.expect(TAG.sequence).children()
    if (id?.oid() === EXTENSION_REQUEST && values !== undefined) return extensionsOf(only(values))
  }
  return []
}
