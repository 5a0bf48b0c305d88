import type { HashName, SignatureScheme } from '../base/crypto.ts'
import { contextTag, type DerReader } from './der.ts'

/** An AlgorithmIdentifier of a signature. `scheme` is absent for algorithms that we do not accept, SHA-1 among them. */
export interface SignatureAlgorithm {
  readonly oid: string
  readonly scheme?: SignatureScheme
}

const HASHES: Readonly<Record<string, HashName>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}
const RSA: Readonly<Record<string, HashName>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
}
const ECDSA: Readonly<Record<string, HashName>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
}
const RSASSA_PSS = '1.2.840.113549.1.1.10'
const MGF1 = '1.2.840.113549.1.1.8'
const ED25519 = '1.3.101.112'

/** @source RFC 4055 sections 3.1 and 5; RFC 5758 section 3.2; RFC 8410 section 3 */
export function readSignatureAlgorithm(outer: DerReader, field: string): SignatureAlgorithm {
  const r = outer.sequence(field)
  const oid = r.oid('algorithm')
  const rsa = RSA[oid]
  if (rsa !== undefined) {
    r.null('parameters')
    r.end()
    return { oid, scheme: { kind: 'rsa-pkcs1', hash: rsa } }
  }
  const ecdsa = ECDSA[oid]
  if (ecdsa !== undefined) {
    r.end()
    return { oid, scheme: { kind: 'ecdsa', hash: ecdsa, encoding: 'der' } }
  }
  if (oid === ED25519) {
    r.end()
    return { oid, scheme: { kind: 'ed25519' } }
  }
  if (oid === RSASSA_PSS) {
    const scheme = r.done ? undefined : readPssParameters(r)
    r.end()
    return scheme === undefined ? { oid } : { oid, scheme }
  }
  return { oid }
}

/**
 * Both hashes the same, SHA-2, and a salt of the digest's size. Absent parameters mean SHA-1 (the defaults of 1998),
 * which is not a scheme of ours. AMD writes the trailer field although it has its default value: tolerated.
 */
function readPssParameters(outer: DerReader): SignatureScheme | undefined {
  const r = outer.sequence('parameters')
  const hash = readHash(r.optionalInside('hashAlgorithm', contextTag(0, 'constructed')))
  const mgf = r.optionalInside('maskGenAlgorithm', contextTag(1, 'constructed'))
  let mgfHash: HashName | undefined
  if (mgf !== undefined) {
    const generator = mgf.sequence('maskGenAlgorithm')
    if (generator.oid('algorithm') !== MGF1) throw generator.malformed('maskGenAlgorithm', 'not MGF1')
    mgfHash = readHash(generator)
    mgf.end()
  }
  const salt = r.optionalInside('saltLength', contextTag(2, 'constructed'))
  const saltBytes = salt?.smallInteger('saltLength', 64)
  salt?.end()
  const trailer = r.optionalInside('trailerField', contextTag(3, 'constructed'))
  if (trailer !== undefined && trailer.smallInteger('trailerField') !== 1)
    throw r.malformed('trailerField', 'not the one defined')
  trailer?.end()
  r.end()
  if (hash === undefined || hash !== mgfHash || saltBytes !== Number(hash.slice(3)) / 8) return undefined
  return { kind: 'rsa-pss', hash, saltBytes }
}

function readHash(r: DerReader | undefined): HashName | undefined {
  if (r === undefined) return undefined
  const algorithm = r.sequence('hash')
  const hash = HASHES[algorithm.oid('algorithm')]
  if (!algorithm.done) algorithm.null('parameters')
  algorithm.end()
  r.end()
  return hash
}
