import type { Mutant } from './mutants-list.ts'

const image = 'packages/image/src'
const logged = `${image}/signature/verify-cosign.test.ts`
const signing = `${image}/sign/sign-image.test.ts`
const payload = `${image}/signature/payload.test.ts`
const bundle = `${image}/signature/verify-bundle.test.ts`
const identity = `${image}/policy/signed-identity.ts`
const identityTest = `${image}/policy/signed-identity.test.ts`
const decide = `${image}/policy/decide-image.ts`
const judge = `${image}/policy/judge-signature.ts`
const pull = `${image}/policy/pull-policy.test.ts`
const statements = `${image}/statement/find-statements.test.ts`

/** The checks of image signatures and policies, removed one at a time. */
export const IMAGE_SIGNING_MUTANTS: readonly Mutant[] = [
  {
    name: 'image-signature-by-anyone',
    file: `${image}/signature/verify-cosign.ts`,
    find: 'trust.keys.find((candidate) => isSignedBy(candidate, payload, raw))',
    replace: 'trust.keys[0]',
    testFile: signing,
    test: 'p256: the key accepts it',
  },
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
    find: 'image.documents.find(({ digest }) => digest === payload.manifestDigest)',
    replace: 'image.documents[0]',
    testFile: signing,
    test: 'H03 a signature for another digest',
  },
  {
    name: 'image-signature-name',
    file: judge,
    find: 'if (!matchesIdentity(identity, image.asked, payload.dockerReference))',
    replace: 'if (false as boolean)',
    testFile: signing,
    test: 'H03 a signature for another digest',
  },
  {
    name: 'image-bundle-name',
    file: judge,
    find: 'if (!matchesIdentity(identity, image.asked, subject.name))',
    replace: 'if (false as boolean)',
    testFile: signing,
    test: 'referrers API true: found, verified',
  },
  {
    name: 'image-bundle-predicate',
    file: judge,
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
    name: 'image-log-not-promised',
    file: `${image}/signature/rekor-entry.ts`,
    find: 'if (log === undefined || !isSignedBy(log, promised, entry.promise))',
    replace: 'if (log === undefined)',
    testFile: logged,
    test: 'H04 the log entry is promised by another log',
  },
  {
    name: 'image-log-another-payload',
    file: `${image}/signature/rekor-entry.ts`,
    find: "      differ('payload')\n",
    replace: '      void 0\n',
    testFile: logged,
    test: 'H04 the log entry is about another payload',
  },
  {
    name: 'image-log-another-signer',
    file: `${image}/signature/verify-bundle.ts`,
    find: "if (named !== undefined && named !== keyId) throw differ('key')",
    replace: '',
    testFile: bundle,
    test: 'an entry that names another key',
  },
  {
    name: 'image-certificate-issuer',
    file: `${image}/signature/certificate-identity.ts`,
    find: 'if (issuer !== trust.oidcIssuer)',
    replace: 'if (false as boolean)',
    testFile: logged,
    test: 'H03 another issuer is wanted',
  },
  {
    name: 'image-certificate-subject',
    file: `${image}/signature/certificate-identity.ts`,
    find: 'if (!emails.includes(trust.subjectEmail))',
    replace: 'if (false as boolean)',
    testFile: logged,
    test: 'H03 another subject is wanted',
  },
  {
    name: 'image-statement-of-another',
    file: `${image}/statement/find-statements.ts`,
    find: 'if (subjectFor(found.statement, digest) === undefined)',
    replace: 'if (false as boolean)',
    testFile: statements,
    test: 'CS-07 H03 a build statement counts',
  },
]
