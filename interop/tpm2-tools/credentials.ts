import assert from 'node:assert/strict'
import { makeCredential, parseTpmPublic, TEMPLATES, tpmName, digest } from '@vouchsafe/tpm'
import { createAk } from './quotes.ts'
import { hex, text } from './workbench.ts'
import type { Pair, Workbench } from './workbench.ts'

const credential = text('a credential of 32 bytes, no more').subarray(0, 32)
/** What tpm2_makecredential writes before its two TPM2Bs: magic, version. */
const HEADER = Buffer.from('badcc0de00000001', 'hex')
const EK = { rsa: TEMPLATES.ekRsa2048, ecc: TEMPLATES.ekEccP256 } as const

const sized = (bytes: Uint8Array) => Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes])

async function activate(bench: Workbench): Promise<Uint8Array> {
  await bench.tool('startauthsession', '--policy-session', '-S', 's.ctx')
  await bench.tool('policysecret', '-S', 's.ctx', '-c', 'e')
  await bench.tool(
    'activatecredential',
    '-c',
    'ak.ctx',
    '-C',
    'ek.ctx',
    '-i',
    'cred',
    '-o',
    'out',
    '-P',
    'session:s.ctx',
  )
  await bench.tool('flushcontext', 's.ctx')
  return bench.read('out')
}

function oursActivated(kind: 'rsa' | 'ecc'): Pair {
  return {
    name: `makeCredential (${kind} EK) → activatecredential`,
    async run(bench) {
      await createAk(bench, 'ecc')
      await bench.tool('createek', '-G', kind, '-c', 'ek.ctx', '-u', 'ek.pub')
      await bench.tool(
        'createak',
        '-C',
        'ek.ctx',
        '-c',
        'ak.ctx',
        '-G',
        'ecc',
        '-g',
        'sha256',
        '-s',
        'ecdsa',
        '-u',
        'ak.pub',
      )
      const endorsementKey = parseTpmPublic(bench.readSized('ek.pub'))
      const objectName = tpmName(bench.readSized('ak.pub'), digest)
      const challenge = makeCredential({ endorsementKey, objectName, credential })
      bench.write('cred', Buffer.concat([HEADER, sized(challenge.credentialBlob), sized(challenge.encryptedSecret)]))
      assert.deepEqual(await activate(bench), new Uint8Array(credential))
    },
  }
}

function theirsActivated(kind: 'rsa' | 'ecc'): Pair {
  return {
    name: `makecredential (${kind} EK) → activateCredential`,
    async run(bench) {
      const recovered = await bench.ours(async (tpm) => {
        await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: EK[kind] })
        await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
        bench.writePublic('ek.pub', ek.public)
        bench.write('secret', credential)
        return hex(ak.name)
      })
      await bench.tool('makecredential', '-T', 'none', '-u', 'ek.pub', '-s', 'secret', '-n', recovered, '-o', 'cred')
      const raw = bench.read('cred')
      assert.deepEqual(Buffer.from(raw.subarray(0, 8)), HEADER)
      const split = 10 + (((raw[8] ?? 0) << 8) | (raw[9] ?? 0))
      const challenge = { credentialBlob: raw.slice(10, split), encryptedSecret: raw.slice(split + 2) }
      await bench.ours(async (tpm) => {
        await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: EK[kind] })
        await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
        const activated = await tpm.activateCredential({ endorsementKey: ek, object: ak, challenge })
        assert.deepEqual(activated, new Uint8Array(credential))
      })
    },
  }
}

export const CREDENTIALS: readonly Pair[] = [
  oursActivated('rsa'),
  oursActivated('ecc'),
  theirsActivated('rsa'),
  theirsActivated('ecc'),
]
