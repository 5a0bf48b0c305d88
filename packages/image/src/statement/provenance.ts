import { z } from 'zod'
import { ImageError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestHex, parseDigest } from '../oci/digest.ts'
import { readShape } from '../oci/json.ts'
import type { CheckedOut } from '../source/check-out.ts'
import type { BundleSignature } from '../signature/stored-signature.ts'
import { verifyBundle } from '../signature/verify-bundle.ts'
import { type BuildIdentity, builderId } from './build-identity.ts'
import { PREDICATES, type Statement, subjectFor, writeStatement } from './statement.ts'

/** How `vouchsafe image build --from-commit` builds: from the files of one commit and a base by digest, running nothing. */
export const BUILD_TYPE = 'vouchsafe:image-build:v1'

/** What one image was built from. */
export interface Provenance {
  readonly builder: string
  readonly source: string
  readonly commit: string
  readonly tree: string
  /** The description's path in the repository. */
  readonly description: string
  readonly base?: { readonly reference: string; readonly digest: Digest }
  readonly finished: Date
}

const id = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/)
const sourceSchema = z.strictObject({ uri: z.string(), digest: z.strictObject({ gitCommit: id, gitTree: id }) })
const baseSchema = z.strictObject({
  uri: z.string(),
  digest: z.union([
    z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
    z.strictObject({ sha512: z.string().regex(/^[0-9a-f]{128}$/) }),
  ]),
})
/** Strict throughout: a parameter that is not known could have changed what was built. */
const predicateSchema = z.strictObject({
  buildDefinition: z.strictObject({
    buildType: z.literal(BUILD_TYPE),
    externalParameters: z.strictObject({ source: z.string(), commit: id, description: z.string() }),
    internalParameters: z.strictObject({}),
    resolvedDependencies: z.union([z.tuple([sourceSchema]), z.tuple([sourceSchema, baseSchema])]),
  }),
  runDetails: z.strictObject({
    builder: z.strictObject({ id: z.string() }),
    metadata: z.strictObject({ finishedOn: z.iso.datetime() }),
  }),
})

/**
 * The statement that a builder signs: which commit, which tree, which base.
 *
 * @throws {ImageError} `build.input` when the commit is none of the identity's repository.
 * @source SLSA provenance v1
 */
export function provenanceStatement(
  digest: Digest,
  built: {
    readonly identity: BuildIdentity
    readonly checkedOut: CheckedOut
    readonly description: string
    readonly base?: { readonly reference: string; readonly digest: Digest }
    readonly at: Date
  },
): Uint8Array {
  const { identity, checkedOut, description, base, at } = built
  assertOfRepository(identity, checkedOut)
  const { source } = identity
  const { commit, tree } = checkedOut
  const materials: object[] = [{ uri: `${source}@${commit}`, digest: { gitCommit: commit, gitTree: tree } }]
  if (base !== undefined)
    materials.push({ uri: base.reference, digest: { [digestAlgorithm(base.digest)]: digestHex(base.digest) } })
  return writeStatement({
    subjects: [{ digest }],
    predicateType: PREDICATES.slsaprovenance1,
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: { source, commit, description },
        internalParameters: {},
        resolvedDependencies: materials,
      },
      runDetails: { builder: { id: builderId(identity) }, metadata: { finishedOn: at.toISOString() } },
    },
  })
}

/** An identity speaks for one repository: a commit that comes from elsewhere is none of its business. */
function assertOfRepository({ rootCommit, source }: BuildIdentity, { commit, roots }: CheckedOut): void {
  if (roots.length === 1 && roots[0] === rootCommit) return
  throw new ImageError(
    'build.input',
    `commit ${commit} comes from ${roots.join(' and ') || 'nothing'}, and this identity builds ${source}, which began with ${rootCommit}`,
  )
}

/** What is wanted of an image's provenance. */
export interface ExpectedBuild {
  readonly identity: BuildIdentity
  readonly commit: string
  readonly digest: Digest
}

/**
 * Reads a provenance that must be by this identity, about this image, and from this commit.
 *
 * @throws {ImageError} `signature.unverified` by another key; `signature.mismatch` about another image or commit, by another builder
 *   or from another repository; `statement.malformed`, `signature.malformed`.
 */
export function verifyProvenance(signature: BundleSignature, expected: ExpectedBuild): Provenance {
  const { identity } = expected
  const { content } = verifyBundle(signature, { kind: 'keys', keys: [identity.key] })
  if (content.kind !== 'statement') throw new ImageError('signature.mismatch', `${signature.place}: states nothing`)
  return expectedProvenance(content.statement, expected, signature.place)
}

function expectedProvenance(statement: Statement, expected: ExpectedBuild, place: string): Provenance {
  const { identity, digest, commit } = expected
  const mismatch = (why: string) => new ImageError('signature.mismatch', `${place}: ${why}`)
  if (statement.predicateType !== PREDICATES.slsaprovenance1)
    throw mismatch(`states ${JSON.stringify(statement.predicateType.slice(0, 200))}, which is no provenance`)
  if (subjectFor(statement, digest) === undefined) throw mismatch('is about another image')
  const found = parseProvenance(statement.predicate, place)
  if (found.builder !== builderId(identity)) throw mismatch(`built by ${found.builder}, wanted ${builderId(identity)}`)
  if (found.source !== identity.source) throw mismatch(`built from ${found.source}, wanted ${identity.source}`)
  if (found.commit !== commit) throw mismatch(`built from commit ${found.commit}, wanted ${commit}`)
  return found
}

/**
 * @throws {ImageError} `statement.malformed`, also where it contradicts itself.
 */
export function parseProvenance(predicate: unknown, what = 'provenance'): Provenance {
  const { buildDefinition, runDetails } = readShape(predicateSchema, predicate, what, 'statement.malformed')
  const { source, commit, description } = buildDefinition.externalParameters
  const [git, base] = buildDefinition.resolvedDependencies
  if (git.digest.gitCommit !== commit || git.uri !== `${source}@${commit}`)
    throw new ImageError('statement.malformed', `${what}: resolvedDependencies[0]: not the commit that was asked for`)
  return {
    builder: runDetails.builder.id,
    source,
    commit,
    tree: git.digest.gitTree,
    description,
    ...(base === undefined ? {} : { base: { reference: base.uri, digest: toDigest(base.digest) } }),
    finished: new Date(runDetails.metadata.finishedOn),
  }
}

function toDigest(digest: z.output<typeof baseSchema>['digest']): Digest {
  return parseDigest('sha256' in digest ? `sha256:${digest.sha256}` : `sha512:${digest.sha512}`, 'base')
}
