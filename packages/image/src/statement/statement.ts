import { ImageError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestHex } from '../oci/digest.ts'
import {
  asArray,
  asObject,
  asString,
  asStringMap,
  type JsonObject,
  member,
  optional,
  parseJsonObject,
  readAs,
} from '../oci/json.ts'

export const IN_TOTO = 'application/vnd.in-toto+json'
const STATEMENT_V1 = 'https://in-toto.io/Statement/v1'
const STATEMENT_TYPES: readonly unknown[] = [STATEMENT_V1, 'https://in-toto.io/Statement/v0.1']

/** Predicate types by the short names that cosign gives them. */
export const PREDICATES = {
  sign: 'https://sigstore.dev/cosign/sign/v1',
  custom: 'https://cosign.sigstore.dev/attestation/v1',
  vuln: 'https://cosign.sigstore.dev/attestation/vuln/v1',
  slsaprovenance: 'https://slsa.dev/provenance/v0.2',
  slsaprovenance1: 'https://slsa.dev/provenance/v1',
  spdx: 'https://spdx.dev/Document',
  cyclonedx: 'https://cyclonedx.org/bom',
  link: 'https://in-toto.io/Link/v1',
  openvex: 'https://openvex.dev/ns',
} as const

/** What a statement is about: this content, and the name it was signed under, where there is one. */
export interface StatementSubject {
  readonly name?: string
  /** By algorithm, lower-case hexadecimal. */
  readonly digest: ReadonlyMap<string, string>
  readonly annotations?: JsonObject
}

/** What somebody states about subjects. Believe it only from a verified envelope. */
export interface Statement {
  readonly subjects: readonly StatementSubject[]
  readonly predicateType: string
  readonly predicate: unknown
}

/** SBOMs are the largest predicates; cosign's own limit is higher, and asks for memory that a guest lacks. */
export const MAX_STATEMENT_BYTES = 32 * 1024 * 1024
const MAX_SUBJECTS = 1024

/**
 * Reads an in-toto statement whose envelope was verified. Members that the specification may add are passed over, as it
 * demands; what is there must have the right form.
 *
 * @throws {ImageError} `statement.malformed`
 * @source in-toto attestation framework, statement v1 and v0.1
 */
export function parseStatement(bytes: Uint8Array, what = 'statement'): Statement {
  return readAs('statement.malformed', () => {
    const object = parseJsonObject(bytes, what, MAX_STATEMENT_BYTES)
    if (!STATEMENT_TYPES.includes(member(object, '_type')))
      throw malformed(`${what}: _type ${JSON.stringify(member(object, '_type'))} is not an in-toto statement`)
    const subjects = asArray(member(object, 'subject'), `${what}.subject`, MAX_SUBJECTS)
    if (subjects.length === 0) throw malformed(`${what}.subject: about nothing`)
    return {
      subjects: subjects.map((subject, i) => readSubject(subject, `${what}.subject[${i}]`)),
      predicateType: asString(member(object, 'predicateType'), `${what}.predicateType`),
      predicate: member(object, 'predicate'),
    }
  })
}

/** The bytes to put into an envelope. */
export function writeStatement(statement: {
  readonly subjects: readonly { readonly name?: string; readonly digest: Digest; readonly annotations?: object }[]
  readonly predicateType: string
  readonly predicate: unknown
}): Uint8Array {
  const subject = statement.subjects.map(({ name, digest, annotations }) => ({
    ...(name === undefined ? {} : { name }),
    digest: { [digestAlgorithm(digest)]: digestHex(digest) },
    ...(annotations === undefined ? {} : { annotations }),
  }))
  const { predicateType, predicate } = statement
  return new TextEncoder().encode(JSON.stringify({ _type: STATEMENT_V1, subject, predicateType, predicate }))
}

/** The subject that is this content, if the statement is about it at all. */
export function subjectFor(statement: Statement, digest: Digest): StatementSubject | undefined {
  return statement.subjects.find((subject) => subject.digest.get(digestAlgorithm(digest)) === digestHex(digest))
}

function readSubject(value: unknown, what: string): StatementSubject {
  const object = asObject(value, what)
  const name = optional(object, 'name', what, asString)
  const annotations = optional(object, 'annotations', what, asObject)
  const digest = asStringMap(member(object, 'digest'), `${what}.digest`)
  if (digest.size === 0) throw malformed(`${what}.digest: empty, so about nothing`)
  return {
    digest,
    ...(name === undefined ? {} : { name }),
    ...(annotations === undefined ? {} : { annotations }),
  }
}

function malformed(message: string): ImageError {
  return new ImageError('statement.malformed', message)
}
