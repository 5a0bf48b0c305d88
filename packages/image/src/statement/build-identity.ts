import { z } from 'zod'
import { parseJsonObject, readShape } from '../oci/json.ts'
import { parsePublicKey, type VerificationKey } from '../signature/verification-key.ts'

/**
 * Who builds images from one repository, and nothing else (CS-04): a key that is used for its provenance alone. Neither
 * owner of an agreement nor signer of images, so whoever holds it can say what was built from what, and release nothing.
 */
export interface BuildIdentity {
  /** Where the repository is kept, for people: `git+https://git.example/team/app`. Signed into each provenance. */
  readonly source: string
  /** Its first commit: what tells the repository from another under the same address. */
  readonly rootCommit: string
  readonly key: VerificationKey
}

const schema = z.strictObject({
  vouchsafe: z.literal('build-identity/v1'),
  source: z
    .string()
    .regex(/^git\+[a-z]+:\/\/[^\s@#]{1,500}$/, 'wanted git+https://…, without user, commit or fragment'),
  rootCommit: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/),
  key: z.string(),
})

const MAX_IDENTITY_BYTES = 64 * 1024

/** @throws {ImageError} `document.*`, `key.*`, naming the file. */
export function parseBuildIdentity(bytes: Uint8Array, what = 'build identity'): BuildIdentity {
  const json = parseJsonObject(bytes, what, MAX_IDENTITY_BYTES)
  const { source, rootCommit, key } = readShape(schema, json, what, 'document.malformed')
  return { source, rootCommit, key: parsePublicKey(key, `${what}: key`) }
}

/** The file: JSON, which `parseBuildIdentity` reads. */
export function writeBuildIdentity({ source, rootCommit, key }: BuildIdentity): string {
  const pem = key.key.export({ format: 'pem', type: 'spki' }).toString()
  return `${JSON.stringify({ vouchsafe: 'build-identity/v1', source, rootCommit, key: pem }, null, 2)}\n`
}

/** The name of a builder in a provenance: its key, so that nobody else can claim it. */
export function builderId({ key }: BuildIdentity): string {
  return `vouchsafe:build-identity:sha256:${key.id}`
}
