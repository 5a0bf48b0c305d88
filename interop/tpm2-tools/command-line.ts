import assert from 'node:assert/strict'
import { parseTpmPublic, tpmName, digest } from '@vouchsafe/tpm'
import { hex, text } from './workbench.ts'
import type { Pair, Workbench } from './workbench.ts'

const secret = text('thirty-two bytes for a credential').subarray(0, 32)

/** Our endorsement and attestation keys, kept where both sides find them. */
async function kept(bench: Workbench): Promise<void> {
  const { persistent } = JSON.parse(String(Buffer.from(await bench.vouchsafe('tpm', 'keys', 'list', '--json')))) as {
    persistent: { handle: string }[]
  }
  for (const [key, handle] of [
    ['ek-ecc', '0x81010031'],
    ['ak-ecc', '0x81010032'],
    ['srk-ecc', '0x81000031'],
  ] as const)
    if (!persistent.some((k) => k.handle === handle)) await bench.vouchsafe('tpm', 'keys', 'persist', key, handle)
}

/** The command line and the tools, over files. */
export const COMMAND_LINE: readonly Pair[] = [
  {
    name: 'vouchsafe tpm identity → loadexternal, the same names',
    async run(bench) {
      await bench.vouchsafe('tpm', 'identity', '--out', 'machine')
      const { keys } = JSON.parse(String(Buffer.from(await bench.vouchsafe('tpm', 'identity', '--json')))) as {
        keys: Record<string, { name: string }>
      }
      for (const key of ['ek-rsa', 'ek-ecc', 'ak-rsa', 'ak-ecc']) {
        await bench.tool('loadexternal', '-C', 'n', '-u', `machine/${key}.pub`, '-c', 'e.ctx', '-n', 'e.name')
        assert.equal(hex(bench.read('e.name')), keys[key]?.name)
      }
    },
  },
  {
    name: 'vouchsafe tpm credential make → activatecredential',
    async run(bench) {
      await kept(bench)
      await bench.vouchsafe('tpm', 'identity', '--out', 'machine')
      bench.write('secret', secret)
      const make = ['--ek', 'machine/ek-ecc.pub', '--ak', 'machine/ak-ecc.pub', '--secret', 'secret', '--out', 'cred']
      await bench.vouchsafe('tpm', 'credential', 'make', ...make)
      await bench.tool('startauthsession', '--policy-session', '-S', 's.ctx')
      await bench.tool('policysecret', '-S', 's.ctx', '-c', 'e')
      const activate = ['-c', '0x81010032', '-C', '0x81010031', '-i', 'cred', '-o', 'out', '-P', 'session:s.ctx']
      await bench.tool('activatecredential', ...activate)
      await bench.tool('flushcontext', 's.ctx')
      assert.deepEqual(bench.read('out'), new Uint8Array(secret))
    },
  },
  {
    name: 'makecredential → vouchsafe tpm credential activate; refused for another key',
    async run(bench) {
      await bench.vouchsafe('tpm', 'identity', '--out', 'machine')
      bench.write('secret', secret)
      const name = hex(tpmName(parseTpmPublic(bench.readSized('machine/ak-ecc.pub')), digest))
      await bench.tool(
        'makecredential',
        '-T',
        'none',
        '-u',
        'machine/ek-rsa.pub',
        '-s',
        'secret',
        '-n',
        name,
        '-o',
        'cred',
      )
      await bench.vouchsafe('tpm', 'credential', 'activate', 'cred', '--out', 'out')
      assert.deepEqual(bench.read('out'), new Uint8Array(secret))
      assert.match(await bench.vouchsafeFails('tpm', 'credential', 'activate', 'cred', '--ak', 'ak-rsa'), /hint: /)
    },
  },
  {
    name: 'vouchsafe tpm nv write → nvread; nvwrite → vouchsafe tpm nv read, remove → nvreadpublic fails',
    async run(bench) {
      bench.write('in', text('by ours'))
      await bench.vouchsafe('tpm', 'nv', 'write', '0x01500031', 'in', '--define')
      await bench.tool('nvread', '0x01500031', '-o', 'out')
      assert.deepEqual(bench.read('out'), text('by ours'))
      bench.write('in', text('by them'))
      await bench.tool('nvwrite', '0x01500031', '-i', 'in')
      await bench.vouchsafe('tpm', 'nv', 'read', '0x01500031', '--out', 'out')
      assert.deepEqual(bench.read('out'), text('by them'))
      await bench.vouchsafe('tpm', 'nv', 'remove', '0x01500031')
      await bench.toolFails('nvread', '0x01500031')
    },
  },
  {
    name: 'duplicate → vouchsafe tpm import → sign, verifysignature',
    async run(bench) {
      await kept(bench)
      await bench.tool('startauthsession', '-S', 's.ctx')
      await bench.tool('policycommandcode', '-S', 's.ctx', 'TPM2_CC_Duplicate', '-L', 'policy')
      await bench.tool('flushcontext', 's.ctx')
      await bench.tool('createprimary', '-C', 'o', '-G', 'rsa', '-c', 'from.ctx')
      const create = ['-G', 'ecc:ecdsa', '-L', 'policy', '-a', 'sensitivedataorigin|userwithauth|sign']
      await bench.tool('create', '-C', 'from.ctx', ...create, '-u', 'k.pub', '-r', 'k.prv', '-c', 'k.ctx')
      await bench.tool('startauthsession', '--policy-session', '-S', 's.ctx')
      await bench.tool('policycommandcode', '-S', 's.ctx', 'TPM2_CC_Duplicate')
      const duplicate = [
        '-C',
        '0x81000031',
        '-c',
        'k.ctx',
        '-G',
        'null',
        '-p',
        'session:s.ctx',
        '-r',
        'k.dup',
        '-s',
        'k.seed',
      ]
      await bench.tool('duplicate', ...duplicate)
      await bench.tool('flushcontext', 's.ctx')
      const files = ['--public', 'k.pub', '--duplicate', 'k.dup', '--seed', 'k.seed']
      const out = ['--out-private', 'k.new', '--out-public', 'k.new.pub', '--persist', '0x81000033']
      await bench.vouchsafe('tpm', 'import', ...files, '--parent', '0x81000031', ...out)
      bench.write('message', text('signed by the key that came'))
      await bench.tool('sign', '-c', '0x81000033', '-g', 'sha256', '-o', 'sig', 'message')
      await bench.tool('verifysignature', '-c', '0x81000033', '-g', 'sha256', '-m', 'message', '-s', 'sig')
      await bench.tool('load', '-C', '0x81000031', '-u', 'k.new.pub', '-r', 'k.new', '-c', 'k2.ctx')
      await bench.vouchsafe('tpm', 'keys', 'evict', '0x81000033')
      await bench.toolFails('readpublic', '-c', '0x81000033')
    },
  },
  {
    name: 'vouchsafe tpm certify → the name that readpublic gives; vouchsafe evidence verify takes it for no boot',
    async run(bench) {
      await kept(bench)
      await bench.vouchsafe('tpm', 'identity', '--out', 'machine')
      await bench.vouchsafe('tpm', 'certify', '0x81000031', '--by', '0x81010032', '--nonce', 'c3c3', '--out', 'c.json')
      await bench.tool('readpublic', '-c', '0x81000031', '-n', 'o.name')
      const { certifiedName } = JSON.parse(Buffer.from(bench.read('c.json')).toString()) as { certifiedName: string }
      assert.equal(certifiedName, hex(bench.read('o.name')))
      const verify = ['evidence', 'verify', 'c.json', '--nonce', 'c3c3', '--trust-key', 'machine/ak-ecc.pem']
      assert.match(await bench.vouchsafeFails(...verify), /nothing of what the machine runs/)
      await bench.vouchsafe(...verify, '--certified-key-only', 'decrypt')
    },
  },
  {
    name: 'vouchsafe tpm pcrs = pcrread, in every bank',
    async run(bench) {
      const ours = JSON.parse(Buffer.from(await bench.vouchsafe('tpm', 'pcrs', '--json')).toString()) as Record<
        string,
        Record<string, string>
      >
      for (const [bank, registers] of Object.entries(ours)) {
        await bench.tool('pcrread', `${bank}:all`, '-o', 'pcrs')
        assert.equal(hex(bench.read('pcrs')), Object.values(registers).join(''))
      }
    },
  },
]
