import assert from 'node:assert/strict'
import { createImportBlob, objectAttributes, parseTpmPublic, policyDigest, sealToKey, TEMPLATES } from '@vouchsafe/tpm'
import type { Policy, Tpm } from '@vouchsafe/tpm'
import { text } from './workbench.ts'
import type { Pair, Workbench } from './workbench.ts'

const secret = text('sealed between two toolboxes')
const password = 'password'
const SRK = 0x81000001
const HANDLE = '0x81000001'

/** A storage key that both sides find under its handle. */
async function storageKey(bench: Workbench): Promise<void> {
  await bench.ours(async (tpm) => {
    const kept = await tpm.getCapability('handles', 0x81000000)
    if (kept.includes(SRK)) return
    await using object = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkRsa2048 })
    await tpm.persist({ object, handle: SRK })
  })
}

async function currentPcrs(tpm: Tpm): Promise<Policy> {
  const selections = [{ hash: 'sha256', pcrs: [0, 7, 13] }] as const
  return [{ kind: 'pcr', selections, values: [await tpm.pcrRead('sha256', [0, 7, 13])] }]
}

function sealedByUs(policyFor: (tpm: Tpm) => Promise<Policy | undefined>, authValue?: string) {
  return async (bench: Workbench) => {
    await storageKey(bench)
    await bench.ours(async (tpm) => {
      const policy = await policyFor(tpm)
      const parent = await tpm.openKey(SRK)
      const sealed = await tpm.seal({
        parent,
        data: secret,
        ...(policy === undefined ? {} : { policy }),
        ...(authValue === undefined ? {} : { authValue: text(authValue) }),
      })
      bench.writePublic('o.pub', sealed.public)
      bench.writeSized('o.prv', sealed.private)
    })
    await bench.tool('load', '-C', HANDLE, '-u', 'o.pub', '-r', 'o.prv', '-c', 'o.ctx')
  }
}

async function unsealedByUs(bench: Workbench, options: { policy?: Policy; authValue?: Uint8Array } = {}) {
  const sealed = { public: parseTpmPublic(bench.readSized('o.pub')), private: bench.readSized('o.prv') }
  return bench.ours(async (tpm) => tpm.unseal({ parent: await tpm.openKey(SRK), sealed, ...options }))
}

export const SEALING: readonly Pair[] = [
  {
    name: 'seal with registers → policypcr, unseal; refused when they change',
    async run(bench) {
      await sealedByUs(currentPcrs)(bench)
      const open = async () => {
        await bench.tool('startauthsession', '--policy-session', '-S', 's.ctx')
        await bench.tool('policypcr', '-S', 's.ctx', '-l', 'sha256:0,7,13')
      }
      await open()
      await bench.tool('unseal', '-c', 'o.ctx', '-p', 'session:s.ctx', '-o', 'out')
      assert.deepEqual(bench.read('out'), secret)
      await bench.tool('flushcontext', 's.ctx')
      await bench.tool('pcrextend', `13:sha256=${'11'.repeat(32)}`)
      await open()
      await bench.toolFails('unseal', '-c', 'o.ctx', '-p', 'session:s.ctx', '-o', 'out')
      await bench.tool('flushcontext', 's.ctx')
    },
  },
  {
    name: 'create with policypcr → unseal; refused when they change',
    async run(bench) {
      await storageKey(bench)
      await bench.tool('createpolicy', '--policy-pcr', '-l', 'sha256:0,7,13', '-L', 'policy')
      bench.write('secret', secret)
      const create = ['-C', HANDLE, '-i', 'secret', '-L', 'policy', '-a', 'fixedtpm|fixedparent|adminwithpolicy']
      await bench.tool('create', ...create, '-u', 'o.pub', '-r', 'o.prv')
      const policy: Policy = [{ kind: 'pcr', selections: [{ hash: 'sha256', pcrs: [0, 7, 13] }] }]
      assert.deepEqual(await unsealedByUs(bench, { policy }), secret)
      await bench.tool('pcrextend', `13:sha256=${'22'.repeat(32)}`)
      await assert.rejects(unsealedByUs(bench, { policy }), { code: 'tpm.response' })
    },
  },
  {
    name: 'seal with a password → unseal -p; refused with another',
    async run(bench) {
      await sealedByUs(() => Promise.resolve(undefined), password)(bench)
      await bench.tool('unseal', '-c', 'o.ctx', '-p', password, '-o', 'out')
      assert.deepEqual(bench.read('out'), secret)
      await bench.toolFails('unseal', '-c', 'o.ctx', '-p', 'wrong')
      await bench.tool('dictionarylockout', '-c')
    },
  },
  {
    name: 'create with a password → unseal; refused with another',
    async run(bench) {
      await storageKey(bench)
      bench.write('secret', secret)
      await bench.tool('create', '-C', HANDLE, '-i', 'secret', '-p', password, '-u', 'o.pub', '-r', 'o.prv')
      assert.deepEqual(await unsealedByUs(bench, { authValue: text(password) }), secret)
      await assert.rejects(unsealedByUs(bench, { authValue: text('wrong') }), { code: 'tpm.response' })
      await bench.tool('dictionarylockout', '-c')
    },
  },
  {
    name: 'seal → unseal in an encrypting, salted HMAC session of theirs',
    async run(bench) {
      await sealedByUs(() => Promise.resolve(undefined), password)(bench)
      await bench.tool('startauthsession', '--hmac-session', '-c', HANDLE, '-S', 's.ctx')
      await bench.tool('sessionconfig', '--enable-encrypt', 's.ctx')
      await bench.tool('unseal', '-c', 'o.ctx', '-p', `session:s.ctx+${password}`, '-o', 'out')
      assert.deepEqual(bench.read('out'), secret)
      await bench.tool('flushcontext', 's.ctx')
    },
  },
  {
    name: 'create → unseal in an encrypting, salted and bound HMAC session of ours',
    async run(bench) {
      await storageKey(bench)
      bench.write('secret', secret)
      await bench.tool('create', '-C', HANDLE, '-i', 'secret', '-p', password, '-u', 'o.pub', '-r', 'o.prv')
      await bench.ours(async (tpm) => {
        const parent = await tpm.openKey(SRK)
        const area = { public: parseTpmPublic(bench.readSized('o.pub')), private: bench.readSized('o.prv') }
        await using object = await tpm.load({ parent, ...area, authValue: text(password) })
        const session = await tpm.startSession({ type: 'hmac', salt: parent, bind: object })
        const itemHandle = { session, encryptResponse: true, last: true }
        const { outData } = await tpm.run('Unseal', { itemHandle: object }, { auth: { itemHandle } })
        assert.deepEqual(outData, secret)
      })
    },
  },
  {
    name: 'seal with PolicyAuthValue → policyauthvalue, unseal',
    async run(bench) {
      await sealedByUs(() => Promise.resolve([{ kind: 'auth-value' }]), password)(bench)
      await bench.tool('startauthsession', '--policy-session', '-S', 's.ctx')
      await bench.tool('policyauthvalue', '-S', 's.ctx')
      await bench.tool('unseal', '-c', 'o.ctx', '-p', `session:s.ctx+${password}`, '-o', 'out')
      assert.deepEqual(bench.read('out'), secret)
      await bench.tool('flushcontext', 's.ctx')
    },
  },
  {
    name: 'sealToKey → import, load, unseal',
    async run(bench) {
      await storageKey(bench)
      const parent = await bench.ours((tpm) => tpm.openKey(SRK))
      const blob = sealToKey({ parent: parent.public, data: secret })
      bench.writePublic('o.pub', blob.public)
      bench.writeSized('o.dup', blob.duplicate)
      bench.writeSized('o.seed', blob.encryptedSeed)
      await bench.tool('import', '-C', HANDLE, '-u', 'o.pub', '-i', 'o.dup', '-s', 'o.seed', '-r', 'o.prv')
      await bench.tool('load', '-C', HANDLE, '-u', 'o.pub', '-r', 'o.prv', '-c', 'o.ctx')
      await bench.tool('unseal', '-c', 'o.ctx', '-o', 'out')
      assert.deepEqual(bench.read('out'), secret)
    },
  },
  {
    name: 'sealToKey with registers → import, policypcr, unseal',
    async run(bench) {
      await storageKey(bench)
      const { parent, authPolicy } = await bench.ours(async (tpm) => ({
        parent: await tpm.openKey(SRK),
        authPolicy: policyDigest(await currentPcrs(tpm)),
      }))
      const blob = sealToKey({ parent: parent.public, data: secret, authPolicy })
      bench.writePublic('o.pub', blob.public)
      bench.writeSized('o.dup', blob.duplicate)
      bench.writeSized('o.seed', blob.encryptedSeed)
      await bench.tool('import', '-C', HANDLE, '-u', 'o.pub', '-i', 'o.dup', '-s', 'o.seed', '-r', 'o.prv')
      await bench.tool('load', '-C', HANDLE, '-u', 'o.pub', '-r', 'o.prv', '-c', 'o.ctx')
      await bench.tool('startauthsession', '--policy-session', '-S', 's.ctx')
      await bench.tool('policypcr', '-S', 's.ctx', '-l', 'sha256:0,7,13')
      await bench.tool('unseal', '-c', 'o.ctx', '-p', 'session:s.ctx', '-o', 'out')
      assert.deepEqual(bench.read('out'), secret)
      await bench.tool('flushcontext', 's.ctx')
    },
  },
  {
    name: 'createImportBlob of a signing key → import, sign',
    async run(bench) {
      await storageKey(bench)
      const { generateKeyPairSync, verify } = await import('node:crypto')
      const { publicAreaFor } = await import('@vouchsafe/tpm')
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const attributes = objectAttributes('userWithAuth', 'sign')
      const scheme = { scheme: 'null' } as const
      const area = { ...publicAreaFor(pair.publicKey, { ...TEMPLATES.akEccP256, scheme }), attributes }
      const scalar = new Uint8Array(Buffer.from(pair.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'))
      const none = new Uint8Array()
      const parent = await bench.ours((tpm) => tpm.openKey(SRK))
      const sensitive = { type: 'ecc', authValue: none, seedValue: none, sensitive: scalar } as const
      const blob = createImportBlob({ parent: parent.public, public: area, sensitive })
      bench.writePublic('o.pub', blob.public)
      bench.writeSized('o.dup', blob.duplicate)
      bench.writeSized('o.seed', blob.encryptedSeed)
      await bench.tool('import', '-C', HANDLE, '-u', 'o.pub', '-i', 'o.dup', '-s', 'o.seed', '-r', 'o.prv')
      await bench.tool('load', '-C', HANDLE, '-u', 'o.pub', '-r', 'o.prv', '-c', 'o.ctx')
      bench.write('message', text('message'))
      await bench.tool('sign', '-c', 'o.ctx', '-g', 'sha256', '-s', 'ecdsa', '-f', 'plain', '-o', 'sig', 'message')
      assert.ok(verify('sha256', text('message'), pair.publicKey, bench.read('sig')))
    },
  },
]
