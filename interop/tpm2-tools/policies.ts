import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import {
  approvalMessage,
  encodeTpmSignature,
  objectAttributes,
  policyDigest,
  publicAreaFor,
  TEMPLATES,
  tpmName,
  digest,
} from '@vouchsafe/tpm'
import type { Policy, TpmPublic } from '@vouchsafe/tpm'
import { hex } from './workbench.ts'
import type { Pair, Workbench } from './workbench.ts'

const pcrs = [0, 7, 23] as const

async function theirDigest(bench: Workbench, ...steps: readonly (readonly [string, ...string[]])[]): Promise<string> {
  await bench.tool('startauthsession', '-S', 's.ctx')
  for (const [tool, ...args] of steps) await bench.tool(tool, '-S', 's.ctx', '-L', 'policy', ...args)
  await bench.tool('flushcontext', 's.ctx')
  return hex(bench.read('policy'))
}

const pcrPolicy = (bench: Workbench): Promise<Policy> =>
  bench.ours(async (tpm) => [
    { kind: 'pcr', selections: [{ hash: 'sha256', pcrs }], values: [await tpm.pcrRead('sha256', pcrs)] },
  ])

/** The same steps give the same digest on both sides. */
function same(
  what: string,
  ours: (bench: Workbench) => Policy | Promise<Policy>,
  ...theirs: readonly (readonly [string, ...string[]])[]
): Pair {
  return {
    name: `policyDigest of ${what} = ${theirs.map(([tool]) => tool).join(', ')}`,
    run: async (bench) => assert.equal(hex(policyDigest(await ours(bench))), await theirDigest(bench, ...theirs)),
  }
}

const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const authorityPublic: TpmPublic = {
  ...publicAreaFor(authority.publicKey, { ...TEMPLATES.akEccP256, scheme: { scheme: 'null' } }),
  attributes: objectAttributes('userWithAuth', 'sign'),
}

export const POLICIES: readonly Pair[] = [
  same('registers', pcrPolicy, ['policypcr', '-l', `sha256:${pcrs.join(',')}`]),
  same('a secret', () => [{ kind: 'secret', entity: 'endorsement' }], ['policysecret', '-c', 'e']),
  same('a password', () => [{ kind: 'password' }], ['policypassword']),
  same('an authorization value', () => [{ kind: 'auth-value' }], ['policyauthvalue']),
  same('a command', () => [{ kind: 'command-code', command: 'Unseal' }], ['policycommandcode', 'TPM2_CC_Unseal']),
  same('a locality', () => [{ kind: 'locality', locality: 0x08 }], ['policylocality', 'three']),
  same('written NV', () => [{ kind: 'nv-written', written: true }], ['policynvwritten', 's']),
  same(
    'several in a row',
    async (bench) => [...(await pcrPolicy(bench)), { kind: 'secret', entity: 'owner' }, { kind: 'auth-value' }],
    ['policypcr', '-l', `sha256:${pcrs.join(',')}`],
    ['policysecret', '-c', 'o'],
    ['policyauthvalue'],
  ),
  {
    name: 'policyDigest of PolicyOR = policyor',
    async run(bench) {
      const branches: Policy[] = [[{ kind: 'auth-value' }], [{ kind: 'secret', entity: 'endorsement' }]]
      branches.forEach((branch, at) => bench.write(`b${at}`, policyDigest(branch)))
      const theirs = await theirDigest(bench, ['policyor', '-l', 'sha256:b0,b1'])
      assert.equal(hex(policyDigest([{ kind: 'or', branches, taken: 0 }])), theirs)
    },
  },
  {
    name: 'policyDigest of PolicyDuplicationSelect = policyduplicationselect',
    async run(bench) {
      const name = tpmName(authorityPublic, digest)
      bench.write('n', name)
      const theirs = await theirDigest(bench, ['policyduplicationselect', '-N', 'n'])
      assert.equal(hex(policyDigest([{ kind: 'duplication-select', newParentName: name }])), theirs)
    },
  },
  {
    name: 'an approval signed here → verifysignature, policyauthorize, and the same here',
    async run(bench) {
      const approved: Policy = await pcrPolicy(bench)
      const raw = sign('sha256', approvalMessage(approved), { key: authority.privateKey, dsaEncoding: 'ieee-p1363' })
      const signature = { scheme: 'ecdsa', hash: 'sha256', r: raw.subarray(0, 32), s: raw.subarray(32) } as const
      const policy: Policy = [{ kind: 'authorize', key: authorityPublic, approved, signature }]
      bench.write('approved', policyDigest(approved))
      bench.write('message', approvalMessage(approved))
      bench.write('sig', encodeTpmSignature(signature))
      bench.writePublic('k.pub', authorityPublic)
      await bench.tool('loadexternal', '-C', 'o', '-u', 'k.pub', '-c', 'k.ctx', '-n', 'k.name')
      await bench.tool('verifysignature', '-c', 'k.ctx', '-m', 'message', '-s', 'sig', '-t', 'ticket', '-g', 'sha256')
      await bench.tool('startauthsession', '--policy-session', '-S', 's.ctx')
      await bench.tool('policypcr', '-S', 's.ctx', '-l', `sha256:${pcrs.join(',')}`)
      const authorize = ['-i', 'approved', '-n', 'k.name', '-t', 'ticket', '-L', 'policy']
      await bench.tool('policyauthorize', '-S', 's.ctx', ...authorize)
      await bench.tool('flushcontext', 's.ctx')
      assert.equal(hex(bench.read('policy')), hex(policyDigest(policy)))
      await bench.ours(async (tpm) => {
        const session = await tpm.startPolicySession(policy)
        const { policyDigest: value } = await tpm.run('PolicyGetDigest', { policySession: session })
        assert.equal(hex(value), hex(policyDigest(policy)))
        await tpm.endSession(session)
      })
    },
  },
]
