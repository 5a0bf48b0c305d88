import assert from 'node:assert/strict'
import { objectAttributes, parseTpmPublic, policyDigest, TEMPLATES } from '@vouchsafe/tpm'
import type { Policy, TpmPublic } from '@vouchsafe/tpm'
import { hex, text } from './workbench.ts'
import type { Pair, Workbench } from './workbench.ts'

const DUPLICATE: Policy = [{ kind: 'command-code', command: 'Duplicate' }]
const MOVABLE: TpmPublic = {
  ...TEMPLATES.akEccP256,
  attributes: objectAttributes('sensitiveDataOrigin', 'userWithAuth', 'sign'),
  authPolicy: policyDigest(DUPLICATE),
}
const FROM = 0x81000011
const TO = 0x81000012
const handle = (value: number) => `0x${value.toString(16)}`

/** Two storage keys under handles that both sides know. */
async function parents(bench: Workbench): Promise<void> {
  await bench.ours(async (tpm) => {
    const kept = await tpm.getCapability('handles', 0x81000000)
    for (const [at, template] of [
      [FROM, TEMPLATES.srkRsa2048],
      [TO, TEMPLATES.srkEccP256],
    ] as const) {
      if (kept.includes(at)) continue
      await using object = await tpm.createPrimary({ hierarchy: 'owner', template })
      await tpm.persist({ object, handle: at })
    }
  })
}

export const MOVING: readonly Pair[] = [
  {
    name: 'duplicate → import, load',
    async run(bench) {
      await parents(bench)
      const name = await bench.ours(async (tpm) => {
        const parent = await tpm.openKey(FROM)
        const made = await tpm.create({ parent, template: MOVABLE })
        await using object = await tpm.load({ parent, ...made })
        const moved = await tpm.duplicate({ object, newParent: await tpm.openKey(TO), policy: DUPLICATE })
        bench.writePublic('o.pub', object.public)
        bench.writeSized('o.dup', moved.duplicate)
        bench.writeSized('o.seed', moved.encryptedSeed)
        return object.name
      })
      await bench.tool('import', '-C', handle(TO), '-u', 'o.pub', '-i', 'o.dup', '-s', 'o.seed', '-r', 'o.prv')
      await bench.tool('load', '-C', handle(TO), '-u', 'o.pub', '-r', 'o.prv', '-c', 'o.ctx', '-n', 'o.name')
      assert.equal(hex(bench.read('o.name')), hex(name))
    },
  },
  {
    name: 'duplicate of theirs → import, load',
    async run(bench) {
      await parents(bench)
      bench.write('policy', policyDigest(DUPLICATE))
      const create = ['-G', 'ecc', '-L', 'policy', '-a', 'sensitivedataorigin|userwithauth|sign']
      await bench.tool('create', '-C', handle(FROM), ...create, '-u', 'o.pub', '-r', 'o.prv', '-c', 'o.ctx')
      await bench.tool('startauthsession', '--policy-session', '-S', 's.ctx')
      await bench.tool('policycommandcode', '-S', 's.ctx', 'TPM2_CC_Duplicate')
      const duplicate = [
        '-C',
        handle(TO),
        '-c',
        'o.ctx',
        '-G',
        'null',
        '-p',
        'session:s.ctx',
        '-r',
        'o.dup',
        '-s',
        'o.seed',
      ]
      await bench.tool('duplicate', ...duplicate)
      await bench.tool('flushcontext', 's.ctx')
      await bench.ours(async (tpm) => {
        const parent = await tpm.openKey(TO)
        const area = parseTpmPublic(bench.readSized('o.pub'))
        const moved = { duplicate: bench.readSized('o.dup'), encryptedSeed: bench.readSized('o.seed') }
        const imported = await tpm.import({ parent, public: area, ...moved })
        await using object = await tpm.load({ parent, public: area, private: imported })
        assert.equal((await tpm.sign({ key: object, digest: new Uint8Array(32), scheme: ECDSA })).scheme, 'ecdsa')
      })
    },
  },
  {
    name: 'persist → readpublic, evictcontrol',
    async run(bench) {
      const at = 0x81000021
      const name = await bench.ours(async (tpm) => {
        await using object = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
        return (await tpm.persist({ object, handle: at })).name
      })
      await bench.tool('readpublic', '-c', handle(at), '-n', 'o.name')
      assert.equal(hex(bench.read('o.name')), hex(name))
      await bench.tool('evictcontrol', '-c', handle(at))
      const left = await bench.ours((tpm) => tpm.getCapability('handles', 0x81000000))
      assert.ok(!left.includes(at))
    },
  },
  {
    name: 'evictcontrol → openKey, evict',
    async run(bench) {
      const at = 0x81000022
      await bench.tool('createprimary', '-C', 'o', '-G', 'ecc', '-c', 'o.ctx')
      await bench.tool('evictcontrol', '-c', 'o.ctx', handle(at))
      await bench.tool('readpublic', '-c', handle(at), '-n', 'o.name', '-q', 'o.qname')
      await bench.ours(async (tpm) => {
        const opened = await tpm.openKey(at)
        assert.equal(hex(opened.name), hex(bench.read('o.name')))
        assert.equal(hex(opened.qualifiedName), hex(bench.read('o.qname')))
        await tpm.evict({ handle: at })
      })
      await bench.toolFails('readpublic', '-c', handle(at))
    },
  },
  {
    name: 'changeauth of theirs → a session that proves the new password',
    async run(bench) {
      await bench.tool('changeauth', '-c', 'o', 'owner-password')
      const { permanentEntity } = await import('@vouchsafe/tpm')
      await bench.ours(async (tpm) => {
        const hierarchy = permanentEntity('owner', text('owner-password'))
        const session = await tpm.startSession({ type: 'hmac' })
        const auth = { session, encryptCommand: true }
        await using key = await tpm.createPrimary({ hierarchy, template: TEMPLATES.srkEccP256, auth })
        assert.ok(key.name.length === 34)
        const change = { authHandle: hierarchy, newAuth: text('again') }
        await tpm.run('HierarchyChangeAuth', change, { auth: { authHandle: { ...auth, last: true } } })
      })
      await bench.tool('changeauth', '-c', 'o', '-p', 'again')
    },
  },
]

const ECDSA = { scheme: 'ecdsa', hash: 'sha256' } as const
