import { softwareHash } from '../codec/algorithms.ts'
import type { SoftwareHash } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import type { TpmSignature } from '../codec/signature.ts'
import { tpmName } from '../codec/name.ts'
import { digest } from '../crypto/digest.ts'
import type { TpmSession } from '../session/session.ts'
import type { Executor } from './executor.ts'
import { loadExternal } from './load-external.ts'
import { valuesInOrder } from './pcr-bank.ts'
import { commandCode, policyDigest, signedMessage } from './policy.ts'
import type { Policy, PolicyStep } from './policy.ts'

const NONE = new Uint8Array()

/** Makes every assertion of `policy` in a policy or trial session. */
export async function satisfyPolicy(tpm: Executor, session: TpmSession, policy: Policy): Promise<void> {
  for (const step of policy) await satisfy(tpm, session, step)
}

async function satisfy(tpm: Executor, session: TpmSession, step: PolicyStep): Promise<void> {
  const target = { policySession: session }
  switch (step.kind) {
    case 'pcr': {
      const { selections, values } = step
      const pcrDigest = values === undefined ? NONE : digest(session.hash, ...valuesInOrder(selections, values))
      await tpm.run('PolicyPCR', { ...target, pcrDigest, pcrs: selections })
      return
    }
    case 'secret':
      await tpm.run(
        'PolicySecret',
        { authHandle: step.entity, ...target, ...UNLIMITED, policyRef: step.policyRef ?? NONE },
        { auth: { authHandle: step.auth } },
      )
      return
    case 'signed':
      await satisfySigned(tpm, session, step)
      return
    case 'authorize':
      await satisfyAuthorize(tpm, session, step)
      return
    case 'nv': {
      const { index, operandB, offset, operation } = step
      await tpm.run('PolicyNV', {
        authHandle: step.authority ?? index,
        nvIndex: index,
        ...target,
        operandB,
        offset,
        operation,
      })
      return
    }
    case 'or':
      await satisfyPolicy(tpm, session, step.branches[step.taken] ?? [])
      await tpm.run('PolicyOR', {
        ...target,
        pHashList: step.branches.map((branch) => policyDigest(branch, session.hash)),
      })
      return
    case 'command-code':
      await tpm.run('PolicyCommandCode', { ...target, code: commandCode(step.command) })
      return
    case 'duplication-select': {
      const { newParentName, objectName } = step
      const includeObject = objectName !== undefined
      await tpm.run('PolicyDuplicationSelect', {
        ...target,
        objectName: objectName ?? NONE,
        newParentName,
        includeObject,
      })
      return
    }
    case 'locality':
      await tpm.run('PolicyLocality', { ...target, locality: step.locality })
      return
    case 'nv-written':
      await tpm.run('PolicyNvWritten', { ...target, writtenSet: step.written })
      return
    case 'counter-timer': {
      const { operandB, offset, operation } = step
      await tpm.run('PolicyCounterTimer', { ...target, operandB, offset, operation })
      return
    }
    case 'cp-hash':
      await tpm.run('PolicyCpHash', { ...target, cpHashA: step.cpHash })
      return
    case 'name-hash':
      await tpm.run('PolicyNameHash', { ...target, nameHash: step.nameHash })
      return
    case 'template':
      await tpm.run('PolicyTemplate', { ...target, templateHash: step.templateHash })
      return
    case 'auth-value':
      await tpm.run('PolicyAuthValue', target)
      session.requireProof('auth-value')
      return
    case 'password':
      await tpm.run('PolicyPassword', target)
      session.requireProof('password')
      return
  }
}

/** No expiry, no restriction to parameters. */
const UNLIMITED = { nonceTPM: NONE, cpHashA: NONE, expiration: 0 } as const

async function satisfySigned(
  tpm: Executor,
  session: TpmSession,
  step: Extract<PolicyStep, { kind: 'signed' }>,
): Promise<void> {
  const policyRef = step.policyRef ?? NONE
  const { nonceTPM } = session
  const auth = await step.sign(signedMessage(nonceTPM, policyRef))
  await using authObject = await loadExternal(tpm, { public: step.key, hierarchy: 'owner' })
  await tpm.run('PolicySigned', { authObject, policySession: session, ...UNLIMITED, nonceTPM, policyRef, auth })
}

async function satisfyAuthorize(
  tpm: Executor,
  session: TpmSession,
  step: Extract<PolicyStep, { kind: 'authorize' }>,
): Promise<void> {
  const policyRef = step.policyRef ?? NONE
  const approvedPolicy = policyDigest(step.approved, session.hash)
  await satisfyPolicy(tpm, session, step.approved)
  await using keyHandle = await loadExternal(tpm, { public: step.key, hierarchy: 'owner' })
  const { validation } = await tpm.run('VerifySignature', {
    keyHandle,
    digest: digest(hashOf(step.signature), approvedPolicy, policyRef),
    signature: step.signature,
  })
  const keySign = tpmName(step.key, digest)
  await tpm.run('PolicyAuthorize', {
    policySession: session,
    approvedPolicy,
    policyRef,
    keySign,
    checkTicket: validation,
  })
}

function hashOf(signature: TpmSignature): SoftwareHash {
  if (signature.scheme === 'null') throw new TpmError('input.malformed', 'the approval is not signed')
  return softwareHash(signature.scheme === 'hmac' ? signature.hmac.hash : signature.hash)
}
