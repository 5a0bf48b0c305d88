import type { Mutant } from './mutants-list.ts'

const image = 'packages/image/src'
const signing = `${image}/sign/sign-image.test.ts`
const payload = `${image}/signature/payload.test.ts`
const identity = `${image}/policy/signed-identity.ts`
const identityTest = `${image}/policy/signed-identity.test.ts`
const decide = `${image}/policy/decide-image.ts`
const judge = `${image}/policy/judge-signature.ts`
const pull = `${image}/policy/pull-policy.test.ts`
const service = `${image}/signature/scheme/registry-service.ts`
const provenance = `${image}/statement/provenance.ts`
const provenanceTest = `${image}/statement/provenance.test.ts`
const approvals = 'packages/cli/src/commands/image/ledger-approvals.ts'
const approvalsTest = 'packages/cli/src/commands/image/approvals.test.ts'
const agent = 'packages/agent/src/workload'
const pulled = 'e2e/images/pulled-image.test.ts'
const statements = `${image}/statement/find-statements.test.ts`

/** The checks of image signatures and policies, removed one at a time. */
export const IMAGE_SIGNING_MUTANTS: readonly Mutant[] = [
  {
    name: 'image-payload-type',
    file: `${image}/signature/payload.ts`,
    find: 'if (type !== PAYLOAD_TYPES[kind])',
    replace: 'if (false as boolean)',
    testFile: payload,
    test: 'another type is refused',
  },
  {
    name: 'image-payload-members',
    file: `${image}/signature/payload.ts`,
    find: 'if (!names.includes(name))',
    replace: 'if (false as boolean)',
    testFile: payload,
    test: 'a fourth critical member',
  },
  {
    name: 'image-signature-digest',
    file: judge,
    find: 'image.documents.find((one) => one.digest === digest)',
    replace: 'image.documents[0]',
    testFile: signing,
    test: 'H03 a signature for another digest',
  },
  {
    name: 'image-signature-name',
    file: judge,
    find: 'if (!matchesIdentity(identity, image.asked, name))',
    replace: 'if (false as boolean)',
    testFile: signing,
    test: 'H03 a signature for another digest',
  },
  {
    name: 'image-bundle-name',
    file: judge,
    find: 'if (!matchesIdentity(identity, image.asked, name))',
    replace: 'if (false as boolean)',
    testFile: signing,
    test: 'referrers API true: found, verified',
  },
  {
    name: 'image-bundle-predicate',
    file: `${image}/signature/scheme/bundle.ts`,
    find: 'if (statement.predicateType !== PREDICATES.sign)',
    replace: 'if (false as boolean)',
    testFile: signing,
    test: 'H03 a statement of another kind',
  },
  {
    name: 'image-referrer-of-another',
    file: `${image}/signature/find-signatures.ts`,
    find: 'if (manifest.subject?.digest !== subject)',
    replace: 'if (false as boolean)',
    testFile: signing,
    test: 'H03 a referrer that the registry lists',
  },
  {
    name: 'image-requirements-or',
    file: decide,
    find: "const kind = findings.length > 0 && findings.every((finding) => finding.fulfilled) ? 'accept' : 'refuse'",
    replace: "const kind = findings.some((finding) => finding.fulfilled) ? 'accept' : 'refuse'",
    testFile: pull,
    test: 'good and bad',
  },
  {
    name: 'image-signers-threshold',
    file: `${image}/policy/judge-signers.ts`,
    find: 'fulfilled: counted.size >= threshold,',
    replace: 'fulfilled: counted.size > 0,',
    testFile: signing,
    test: 'two of three signers must have signed',
  },
  {
    name: 'image-signers-same-key',
    file: `${image}/policy/trust.ts`,
    find: 'if (twin !== undefined)',
    replace: 'if (false as boolean)',
    testFile: signing,
    test: 'a key under two names',
  },
  {
    name: 'image-policy-empty-list',
    file: `${image}/policy/parse-policy.ts`,
    find: '  if (list.length === 0) throw malformed(`${what}: an empty list would say nothing`)\n',
    replace: '',
    testFile: `${image}/policy/parse-policy.test.ts`,
    test: 'an empty scope',
  },
  {
    name: 'image-identity-name-only',
    file: identity,
    find: 'return isComplete(a) && isComplete(b) && referenceText(a) === referenceText(b)',
    replace: 'return referenceText(a) === referenceText(b)',
    testFile: identityTest,
    test: 'H03 a name without tag and digest stands for no image',
  },
  {
    name: 'image-statement-of-another',
    file: `${image}/statement/find-statements.ts`,
    find: 'if (subjectFor(found.statement, digest) === undefined)',
    replace: 'if (false as boolean)',
    testFile: statements,
    test: 'CS-07 H03 a build statement counts',
  },
  {
    name: 'scheme-service-of-another',
    file: service,
    find: "if (typeof name !== 'string' || !name.startsWith(`${digest}@`))",
    replace: 'if (false as boolean)',
    testFile: `${image}/signature/scheme/registry-service.test.ts`,
    test: 'an entry kept for another image does not count',
  },
  {
    name: 'scheme-service-not-offered',
    file: service,
    find: "return response.header(HEADER) === '1'",
    replace: 'return true',
    testFile: `${image}/signature/scheme/registry-service.test.ts`,
    test: 'without one nothing is found',
  },
  {
    name: 'scheme-service-version',
    file: service,
    find: 'if (version !== VERSION || type !== TYPE)',
    replace: 'if (false as boolean)',
    testFile: `${image}/signature/scheme/registry-service.test.ts`,
    test: 'an entry of another version does not count',
  },
  {
    name: 'scheme-says-another-digest',
    file: judge,
    find: 'image.documents.find((one) => one.digest === digest)',
    replace: 'image.documents[0]',
    testFile: `${image}/signature/scheme/own-scheme.test.ts`,
    test: 'a scheme that says another digest',
  },
  {
    name: 'commit-object',
    file: `${image}/source/git-objects.ts`,
    find: 'if (found !== id)',
    replace: 'if (false as boolean)',
    testFile: `${image}/source/check-out.test.ts`,
    test: 'with a file that is not what its id says',
  },
  {
    name: 'commit-entry',
    file: `${image}/source/check-out.ts`,
    find: '    assertTaken(mode, name, path)',
    replace: '',
    testFile: `${image}/source/check-out.test.ts`,
    test: 'with an entry 100644 .. is refused',
  },
  {
    name: 'commit-outside',
    file: 'packages/cli/src/commands/image/build-file.ts',
    find: 'if (found !== root && !found.startsWith(`${root}${path.sep}`))',
    replace: 'if (false as boolean)',
    testFile: 'packages/cli/src/commands/image/from-commit.test.ts',
    test: 'takes nothing of the machine it runs on',
  },
  {
    name: 'build-other-repository',
    file: provenance,
    find: 'if (roots.length === 1 && roots[0] === rootCommit) return',
    replace: 'if (roots.length >= 0) return',
    testFile: provenanceTest,
    test: 'comes from another repository',
  },
  {
    name: 'provenance-commit',
    file: provenance,
    find: 'if (found.commit !== commit)',
    replace: 'if (false as boolean)',
    testFile: provenanceTest,
    test: 'CS-04 from another commit is refused',
  },
  {
    name: 'provenance-builder',
    file: provenance,
    find: 'if (found.builder !== builderId(identity))',
    replace: 'if (false as boolean)',
    testFile: provenanceTest,
    test: 'calls itself another builder',
  },
  {
    name: 'provenance-source',
    file: provenance,
    find: 'if (found.source !== identity.source)',
    replace: 'if (false as boolean)',
    testFile: provenanceTest,
    test: 'CS-04 from another repository is refused',
  },
  {
    name: 'provenance-subject',
    file: provenance,
    find: 'if (subjectFor(statement, digest) === undefined)',
    replace: 'if (false as boolean)',
    testFile: provenanceTest,
    test: 'about another image is refused',
  },
  {
    name: 'approvals-slipped-in',
    file: approvals,
    find: 'if (!held.has(digest))',
    replace: 'if (false as boolean)',
    testFile: approvalsTest,
    test: 'one that its ledger never took down',
  },
  {
    name: 'approvals-unchecked-log',
    file: approvals,
    find: 'if (!check.ok)',
    replace: 'if (!check.ok && lines.length === 0)',
    testFile: approvalsTest,
    test: 'altered: another owner',
  },
  {
    name: 'pull-other-image',
    file: `${agent}/workload-image.ts`,
    find: "if (origin.kind === 'layout' || origin.reference.digest === launch.image) return",
    replace: 'if (origin.kind.length > 0) return',
    testFile: pulled,
    test: 'H01 CS-15 is named by digest',
  },
  {
    name: 'pull-on-a-disk',
    file: `${agent}/workload-image.ts`,
    find: "if (origin.kind === 'registry') await assertInMemory(config.workspace, 'it is pulled')",
    replace: '',
    testFile: pulled,
    test: 'H12 is unpacked in the guest',
  },
  {
    name: 'pull-material-of-two',
    file: `${agent}/image-material.ts`,
    find: 'if (more.length > 0)',
    replace: 'if (false as boolean)',
    testFile: pulled,
    test: 'a policy at kbs:///patients/key',
  },
]
