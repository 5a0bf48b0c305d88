import { EK_POLICY_A_SHA256 } from '../codec/templates.ts'
import type { Authorization } from '../session/authorization.ts'
import type { TpmKey } from './entity.ts'
import type { Executor } from './executor.ts'
import { EK_POLICY, policyHashOf } from './policy.ts'
import type { Policy } from './policy.ts'
import { satisfyPolicy } from './satisfy-policy.ts'
import { endingSession, startSession } from './start-session.ts'

/**
 * How a key is authorized: by password or session, or by a policy that is then satisfied in a session of its own.
 * Left out, it is the key's password; for endorsement keys which only their policy opens, that policy.
 */
export type KeyAuthorization = Authorization | { readonly policy: Policy }

/** Calls `use` with what authorizes `key`; a session started for it ends with it. */
export async function authorizing<T>(
  tpm: Executor,
  key: TpmKey,
  wanted: KeyAuthorization | undefined,
  use: (auth: Authorization | undefined) => Promise<T>,
): Promise<T> {
  const policy = policyFor(key, wanted)
  if (policy === undefined) return use(wanted as Authorization | undefined)
  const session = await startSession(tpm, { type: 'policy', hash: policyHashOf(key.public) })
  return endingSession(tpm, session, async () => {
    await satisfyPolicy(tpm, session, policy)
    return use({ session, last: true })
  })
}

/** The policy that has to be satisfied, if any. */
export function policyFor(key: TpmKey, wanted: KeyAuthorization | undefined): Policy | undefined {
  if (wanted !== undefined) return 'policy' in wanted ? wanted.policy : undefined
  const { authPolicy, attributes } = key.public
  return !attributes.userWithAuth && Buffer.compare(authPolicy, EK_POLICY_A_SHA256) === 0 ? EK_POLICY : undefined
}
