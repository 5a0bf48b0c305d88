/** One check removed: the text that makes it, what stands there without it, and the test that must then fail. */
export interface Mutant {
  /** Of a drill, where it holds one: the drill's id. */
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly testFile: string
  readonly test: string
}

const launch = 'packages/core/src/appraisal/launch.ts'
const appraiseTest = 'packages/core/src/appraisal/appraise.test.ts'
const flowTest = 'packages/core/src/flow.test.ts'
const tokenTest = 'packages/core/src/token/token.test.ts'
const decideTest = 'packages/core/src/policy/decide.test.ts'
const attacksTest = 'packages/broker/src/http/attacks.test.ts'

export const MUTANTS: readonly Mutant[] = [
  // the ten drills
  {
    name: 'image-byte',
    file: launch,
    find: 'workload.image, launch.image)',
    replace: 'launch.image, launch.image)',
    testFile: appraiseTest,
    test: 'another image',
  },
  {
    name: 'env-override',
    file: launch,
    find: 'variables(agreed.env), variables(launch.env)',
    replace: 'variables(launch.env), variables(launch.env)',
    testFile: appraiseTest,
    test: 'H14 an environment override',
  },
  {
    name: 'debug-launch',
    file: launch,
    find: "'debug false', `debug ${launch.debug}`",
    replace: "'', ''",
    testFile: appraiseTest,
    test: 'H17 debug',
  },
  {
    name: 'replayed-quote',
    file: 'packages/broker/src/store/nonces.ts',
    find: 'values (?, ?, ?) on conflict do nothing',
    replace: 'values (?, ?, ?) on conflict (tenant, id) do update set expires_at = excluded.expires_at',
    testFile: 'packages/broker/src/http/line.test.ts',
    test: 'A01 A17 evidence shown a second time is refused',
  },
  {
    name: 'forwarded-token',
    file: 'packages/core/src/token/verify.ts',
    find: 'if (claims.iss !== expected.issuer)',
    replace: 'if (false as boolean)',
    testFile: tokenTest,
    test: 'E10 another issuer',
  },
  {
    name: 'relayed-evidence',
    file: 'packages/tpm/src/verify/verify-tpm-quote.ts',
    find: '  assertExtraData(attest, quote)\n',
    replace: '',
    testFile: flowTest,
    test: 'A05 refuses evidence that was made for A07 A08 a thief’s seal key',
  },
  {
    name: 'clock-back',
    file: 'packages/broker/src/store/log.ts',
    find: 'if (clock.getTime() < newest - CLOCK_LEEWAY_MS)',
    replace: 'if (false as boolean)',
    testFile: 'packages/broker/src/store/sqlite.test.ts',
    test: 'refuses to write while the clock is behind the newest entry',
  },
  {
    name: 'swapped-keys',
    file: 'packages/broker/src/custody/wrap.ts',
    find: "return transcript('vouchsafe/wrap/v1', place, nodeCrypto)",
    replace: "return transcript('vouchsafe/wrap/v1', place.slice(place.length), nodeCrypto)",
    testFile: 'packages/broker/src/custody/root-key.test.ts',
    test: 'G07 opens what it wrapped only at its own place',
  },
  {
    name: 'edited-ledger',
    file: 'packages/core/src/ledger/check-ledger.ts',
    find: 'if (!sameBytes(rootOf(frontier, this.#crypto), claimed.root))',
    replace: 'if (false as boolean)',
    testFile: 'packages/core/src/ledger/check-ledger.test.ts',
    test: 'I05 an edit of entry',
  },
  {
    name: 'distrusted-platform',
    file: 'packages/core/src/appraisal/appraise.ts',
    find: "tier: rule === undefined ? 'affirming' : 'contraindicated',",
    replace: "tier: 'affirming',",
    testFile: appraiseTest,
    test: 'L01 distrust of a',
  },

  // the line
  {
    name: 'nonce-state',
    file: 'packages/core/src/evidence/verify.ts',
    find: "if (input.nonceState !== 'fresh')",
    replace: 'if (false as boolean)',
    testFile: flowTest,
    test: 'A01 A19 refuses a nonce that is not fresh',
  },
  {
    name: 'enrolled-key',
    file: 'packages/core/src/evidence/tpm/verify-tpm-evidence.ts',
    find: 'if (machine !== enrolment.machine)',
    replace: 'if (false as boolean)',
    testFile: flowTest,
    test: 'B03 refuses a machine that never enrolled',
  },
  {
    name: 'software-tpm-under-another-class',
    file: 'packages/core/src/evidence/tpm/enrolment.ts',
    find: "if (simulated && anchor.class !== 'simulated')",
    replace: 'if (false as boolean)',
    testFile: flowTest,
    test: 'D02 a software TPM is refused',
  },
  {
    name: 'boot-register',
    file: 'packages/core/src/appraisal/boot-state.ts',
    find: 'allowed !== undefined && allowed.includes(actual)',
    replace: 'allowed !== undefined',
    testFile: appraiseTest,
    test: 'another value in a pinned register',
  },
  {
    name: 'unpinned-register',
    file: 'packages/core/src/appraisal/boot-state.ts',
    find: 'if (allowed === undefined && actual === UNTOUCHED) return []',
    replace: 'if (allowed === undefined) return []',
    testFile: appraiseTest,
    test: 'B17 a measurement in a register that nobody pins',
  },
  {
    name: 'counters',
    file: 'packages/core/src/appraisal/appraise.ts',
    find: 'boot.resetCount === kept.resetCount && boot.restartCount === kept.restartCount',
    replace: 'true',
    testFile: appraiseTest,
    test: 'B09 a reset since enrolment',
  },
  {
    name: 'class',
    file: 'packages/core/src/appraisal/appraise.ts',
    find: "tier: strongEnough ? 'affirming' : 'contraindicated'",
    replace: "tier: 'affirming'",
    testFile: appraiseTest,
    test: 'a weaker class than agreed',
  },
  {
    name: 'host-excluded',
    file: 'packages/core/src/appraisal/appraise.ts',
    find: "tier: excluded ? 'affirming' : 'contraindicated'",
    replace: "tier: 'affirming'",
    testFile: appraiseTest,
    test: 'B11 L04 a TPM never satisfies',
  },

  // tokens
  {
    name: 'audience',
    file: 'packages/core/src/token/verify.ts',
    find: 'if (claims.aud !== expected.audience)',
    replace: 'if (false as boolean)',
    testFile: tokenTest,
    test: 'E09 another audience',
  },
  {
    name: 'token-signature',
    file: 'packages/core/src/token/verify.ts',
    find: '  await verifyJws(token, key)\n',
    replace: '',
    testFile: tokenTest,
    test: 'E08 refuses a key of another curve or another key',
  },
  {
    name: 'token-expiry',
    file: 'packages/core/src/token/verify.ts',
    find: 'if (now >= claims.exp + SKEW_SECONDS)',
    replace: 'if (false as boolean)',
    testFile: tokenTest,
    test: 'A19 says skew where the clocks differ',
  },
  {
    name: 'key-headers',
    file: 'packages/core/src/token/jws.ts',
    find: "if (name !== 'alg' && name !== 'typ' && !allowedHeaders.includes(name))",
    replace: 'if (false as boolean)',
    testFile: tokenTest,
    test: 'E14 a critical extension',
  },
  {
    name: 'proof-key',
    file: 'packages/core/src/token/proof.ts',
    find: 'if (thumbprint !== keyThumbprint)',
    replace: 'if (false as boolean)',
    testFile: tokenTest,
    test: 'E12 A20 a token without its key is worthless',
  },
  {
    name: 'proof-subject',
    file: 'packages/core/src/token/proof.ts',
    find: 'if (said.data[name] !== wanted[name])',
    replace: 'if (false as boolean)',
    testFile: tokenTest,
    test: 'a proof covers method, path, body, token and nonce',
  },
  {
    name: 'sealed-by-whom',
    file: 'packages/core/src/release/seal.ts',
    find: '    await verifyJws(inner, brokerKey)\n',
    replace: '',
    testFile: 'packages/core/src/release/seal.test.ts',
    test: 'G08 a payload sealed by anyone but the agreed broker',
  },

  // consent
  {
    name: 'own-owner',
    file: 'packages/core/src/policy/standing.ts',
    find: ' && approved.has(standing.owner) ? []',
    replace: ' ? []',
    testFile: decideTest,
    test: 'the resource’s own owner must approve',
  },
  {
    name: 'approval-expiry',
    file: 'packages/core/src/policy/standing.ts',
    find: 'Date.parse(a.issued) <= now && now < Date.parse(a.expires)',
    replace: 'Date.parse(a.issued) <= now',
    testFile: decideTest,
    test: 'waits when an approval has expired',
  },
  {
    name: 'registry-owner',
    file: 'packages/core/src/policy/standing.ts',
    find: 'if (own === undefined || !own.keys.some((k) => standing.ownerKeys.includes(k)))',
    replace: 'if (false as boolean)',
    testFile: decideTest,
    test: 'the registry knows another owner',
  },
  {
    name: 'missing-claim',
    file: 'packages/core/src/policy/grants.ts',
    find: '    if (holds(condition, actual)) return []\n',
    replace: '    if (actual === undefined || holds(condition, actual)) return []\n',
    testFile: decideTest,
    test: 'F01 a condition on a claim that is missing',
  },
  {
    name: 'statement-signature',
    file: 'packages/core/src/agreement/statement.ts',
    find: 'if (payload === null)',
    replace: 'if (false as boolean)',
    testFile: 'packages/core/src/agreement/statement.test.ts',
    test: 'G05 an approval in an owner’s name',
  },

  // the broker
  {
    name: 'who-may-call',
    file: 'packages/broker/src/services/callers.ts',
    find: 'if (!roles.includes(principal.role))',
    replace: 'if (false as boolean)',
    testFile: attacksTest,
    test: 'J06 an auditor reads and changes nothing',
  },
  {
    name: 'signed-call-nonce',
    file: 'packages/broker/src/services/registry.ts',
    find: "      { change: 'nonce.consume', nonce: caller.nonce },\n      { change: 'ticket.add'",
    replace: "      { change: 'ticket.add'",
    testFile: attacksTest,
    test: 'a signed call cannot be sent again',
  },
  {
    name: 'enrolment-conflict',
    file: 'packages/broker/src/services/enrol.ts',
    find: 'if ((await services.store.enrolment(tenant, handle.machine)) !== null)',
    replace: 'if (false as boolean)',
    testFile: attacksTest,
    test: 'B14 the same machine is not enrolled twice',
  },
  {
    name: 'duplicate-members',
    file: 'packages/core/src/base/strict-json.ts',
    find: 'if (Object.hasOwn(out, name))',
    replace: 'if (false as boolean)',
    testFile: 'packages/core/src/base/strict-json.test.ts',
    test: 'E14 duplicate members',
  },
]
