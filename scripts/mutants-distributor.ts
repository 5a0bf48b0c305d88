import type { Mutant } from './mutants-list.ts'

const identity = 'packages/core/src/evidence/instance/identity-document.ts'
const identityTest = 'packages/core/src/evidence/instance/identity-document.test.ts'
const clientTpm = 'packages/core/src/evidence/instance/client-tpm.ts'
const client = 'packages/core/src/appraisal/client.ts'
const trail = 'packages/core/src/appraisal/audit-trail.ts'
const documentTest = 'packages/broker/src/distributor/gce/document.test.ts'
const lineTest = 'packages/broker/src/distributor/distributor.test.ts'
const originalTest = 'packages/broker/src/distributor/original-client.test.ts'
const twins = 'each input that matters has a twin that is refused'

/** The checks of the token distributor, removed one at a time. */
export const DISTRIBUTOR_MUTANTS: readonly Mutant[] = [
  {
    name: 'distributor-audience',
    file: identity,
    find: 'if (payload.aud !== expected.audience)',
    replace: 'if (false as boolean)',
    testFile: identityTest,
    test: 'TD-11 DEF-18 is for another audience',
  },
  {
    name: 'distributor-issuer',
    file: identity,
    find: 'if (payload.iss !== expected.issuer)',
    replace: 'if (false as boolean)',
    testFile: identityTest,
    test: 'DEF-18 is by another issuer',
  },
  {
    name: 'distributor-document-age',
    file: identity,
    find: 'if (now - payload.iat > expected.maxAgeSeconds)',
    replace: 'if (false as boolean)',
    testFile: identityTest,
    test: 'TD-12 is too old',
  },
  {
    name: 'distributor-document-of-the-future',
    file: identity,
    find: 'if (payload.iat > now + MAX_AHEAD_SECONDS)',
    replace: 'if (false as boolean)',
    testFile: identityTest,
    test: 'DEF-25 is from the future',
  },
  {
    name: 'distributor-trail-cut',
    file: trail,
    find: '      made && complete,',
    replace: '      made,',
    testFile: documentTest,
    test: 'a trail that was cut',
  },
  {
    name: 'distributor-edits-of-one-version',
    file: trail,
    find: "return method.replace(VERSION, '')",
    replace: 'return method',
    testFile: documentTest,
    test: 'changes nothing',
  },
  {
    name: 'distributor-edits',
    file: trail,
    find: '      changes.length === 0,',
    replace: '      true,',
    testFile: documentTest,
    test: 'after the making refuses',
  },
  {
    name: 'distributor-launch-hooks',
    file: client,
    find: '      unmeasured.length === 0,\n',
    replace: '      true,\n',
    testFile: documentTest,
    test: 'project-wide keys',
  },
  {
    name: 'distributor-fingerprint',
    file: client,
    find: "same('fingerprint', launch.fingerprint, facts.launch.fingerprint),",
    replace: '',
    testFile: lineTest,
    test: 'TD-08 another fingerprint',
  },
  {
    name: 'distributor-nonce-state',
    file: clientTpm,
    find: "if (evidence.nonceState !== 'fresh')",
    replace: 'if (false as boolean)',
    testFile: lineTest,
    test: twins,
  },
  {
    name: 'distributor-activation',
    file: clientTpm,
    find: "if (evidence.activation !== 'activated' || evidence.ekPublic === null)",
    replace: 'if (evidence.ekPublic === null)',
    testFile: lineTest,
    test: twins,
  },
  {
    name: 'distributor-seal-key',
    file: 'packages/core/src/evidence/instance/client-binding.ts',
    find: "parts.nonce, parts.sealKey, parts.certificate]\n  return transcript('vouchsafe/distributor/quote/v1'",
    replace: "parts.nonce, '', parts.certificate]\n  return transcript('vouchsafe/distributor/quote/v1'",
    testFile: lineTest,
    test: 'A08 a quote over another seal key is refused',
  },
  {
    name: 'distributor-count',
    file: 'packages/core/src/policy/decide-delivery.ts',
    find: 'delivered < body.delivery.times',
    replace: '(true as boolean)',
    testFile: lineTest,
    test: 'DEF-27 they leave as often as was approved',
  },
  {
    name: 'distributor-exemption',
    file: 'packages/core/src/agreement/client-terms.ts',
    find: "if (exempt !== (body.leastClass === 'unattested'))",
    replace: 'if (false as boolean)',
    testFile: originalTest,
    test: 'nobody slides into it',
  },
]
