import assert from 'node:assert/strict'
import { machineStateJson, readGotpm } from '@vouchsafe/tpm/gotpm'
import { hex, text } from '../tpm2-tools/workbench.ts'
import type { Pair } from '../tpm2-tools/workbench.ts'
import { eventLog, NONCE } from './attestations.ts'
import type { GoPrograms } from './go-programs.ts'

const secret = text('sealed between two command lines')
const KINDS = ['rsa', 'ecc'] as const
const PCRS = '0,8,13'

/** Our command line and theirs, over files. */
export const commandLine = (go: GoPrograms): readonly Pair[] =>
  KINDS.flatMap((kind): Pair[] => [
    {
      name: `vouchsafe tpm seal (${kind}) → gotpm unseal; refused when registers change`,
      async run(bench) {
        bench.write('secret', secret)
        await bench.vouchsafe('tpm', 'seal', 'secret', '--srk', kind, '--pcrs', PCRS, '--out', 'sealed')
        assert.deepEqual(go.gotpm(bench, ['unseal'], bench.read('sealed')), secret)
        await bench.ours((tpm) => tpm.pcrEvent(13, secret))
        assert.throws(() => go.gotpm(bench, ['unseal'], bench.read('sealed')))
      },
    },
    {
      name: `gotpm seal (${kind}) → vouchsafe tpm unseal, certified; refused when registers change`,
      async run(bench) {
        bench.write('sealed', go.gotpm(bench, ['seal', '--algo', kind, '--pcrs', PCRS], secret))
        assert.deepEqual(await bench.vouchsafe('tpm', 'unseal', 'sealed'), secret)
        assert.deepEqual(await bench.vouchsafe('tpm', 'unseal', 'sealed', '--sealed-in', PCRS), secret)
        await bench.ours((tpm) => tpm.pcrEvent(13, secret))
        assert.match(await bench.vouchsafeFails('tpm', 'unseal', 'sealed'), /TPM_RC_POLICY_FAIL/)
      },
    },
    {
      name: `vouchsafe tpm seal --to (${kind} EK) → Key.Import; CreateImportBlob → vouchsafe tpm import`,
      async run(bench) {
        bench.write('secret', secret)
        bench.write('state.json', await bench.vouchsafe('tpm', 'pcrs', '--json'))
        await bench.vouchsafe('tpm', 'identity', '--out', 'machine')
        const to = ['--to', `machine/ek-${kind}.pem`, '--pcrs', PCRS, '--state', 'state.json', '--format', 'binarypb']
        await bench.vouchsafe('tpm', 'seal', 'secret', ...to, '--out', 'blob')
        assert.deepEqual(go.peer(bench, ['import', kind], bench.read('blob')), secret)
        bench.write('theirs', go.peer(bench, ['create-import', bench.file(`machine/ek-${kind}.pem`), PCRS], secret))
        assert.deepEqual(await bench.vouchsafe('tpm', 'import', 'theirs'), secret)
        await bench.ours((tpm) => tpm.pcrEvent(13, secret))
        assert.match(await bench.vouchsafeFails('tpm', 'import', 'theirs'), /TPM_RC_POLICY_FAIL/)
      },
    },
    {
      name: `vouchsafe evidence collect (${kind}) → VerifyAttestation; both give the same machine state`,
      async run(bench) {
        await eventLog(bench)
        await bench.vouchsafe('tpm', 'identity', '--out', 'machine')
        const collect = ['--nonce', hex(NONCE), '--key', `ak-${kind}`, '--event-log', 'log', '--out', 'boot.pb']
        await bench.vouchsafe('evidence', 'collect', ...collect)
        const trusted = ['--nonce', hex(NONCE), '--trust-key', `machine/ak-${kind}.pem`, '--bank', 'sha384']
        await bench.vouchsafe('evidence', 'verify', 'boot.pb', ...trusted, '--machine-state', 'state')
        const theirs = go.peer(
          bench,
          ['verify', bench.file(`machine/ak-${kind}.pem`), hex(NONCE)],
          bench.read('boot.pb'),
        )
        const state = (bytes: Uint8Array) => machineStateJson(readGotpm('machine-state', bytes, 'textproto'))
        assert.deepEqual(state(bench.read('state')), state(theirs))
      },
    },
    {
      name: `Key.Attest (${kind}) → vouchsafe evidence verify; refused with another nonce and another key`,
      async run(bench) {
        await eventLog(bench)
        bench.write('boot.pb', go.peer(bench, ['attest', kind, hex(NONCE), bench.file('log')]))
        const { akPub } = readGotpm('attestation', bench.read('boot.pb'), 'binarypb')
        bench.write('ak.tpmt', akPub)
        const verify = (...options: readonly string[]) => ['evidence', 'verify', 'boot.pb', ...options] as const
        await bench.vouchsafe(...verify('--nonce', hex(NONCE), '--trust-key', 'ak.tpmt'))
        assert.match(
          await bench.vouchsafeFails(...verify('--nonce', 'c3', '--trust-key', 'ak.tpmt')),
          /evidence\.stale/,
        )
        await bench.vouchsafe('tpm', 'identity', '--out', 'machine')
        const other = `machine/ak-${kind === 'rsa' ? 'ecc' : 'rsa'}.pem`
        assert.match(
          await bench.vouchsafeFails(...verify('--nonce', hex(NONCE), '--trust-key', other)),
          /evidence\.key/,
        )
      },
    },
  ])
