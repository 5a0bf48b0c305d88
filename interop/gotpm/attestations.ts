import assert from 'node:assert/strict'
import { nodeVerifyCrypto, parseTpmPublic, spkiOfTpmPublic, TEMPLATES } from '@vouchsafe/tpm'
import type { Tpm } from '@vouchsafe/tpm'
import {
  bootEvents,
  encodeSignatureDatabase,
  measuredEvent,
  newTcgLog,
  VENDOR,
  writeTcgLog,
} from '@vouchsafe/tpm/eventlog'
import { gotpmAttestation, readGotpm, verifyGotpmAttestation, writeGotpm } from '@vouchsafe/tpm/gotpm'
import { hex } from '../tpm2-tools/workbench.ts'
import type { Pair, Workbench } from '../tpm2-tools/workbench.ts'
import type { GoPrograms } from './go-programs.ts'

const BANKS = ['sha1', 'sha256', 'sha384', 'sha512'] as const
export const NONCE = new Uint8Array(32).fill(0xc3)
const LINE = '/vmlinuz root=/dev/vda ro'
const AK = { rsa: TEMPLATES.akRsa2048, ecc: TEMPLATES.akEccP256 } as const

const variable = (name: string, data: Uint8Array) =>
  bootEvents.secureBootVariable({ vendor: name.startsWith('d') ? VENDOR.imageSecurity : VENDOR.global, name, data })

/** Measures what the firmware and boot loader of a machine without Secure Boot would, and gives their log. */
async function boot(tpm: Tpm): Promise<Uint8Array> {
  const empty = encodeSignatureDatabase({ certificates: [], hashes: [] })
  const events = [
    bootEvents.firmwareVersion('GCE Virtual Firmware v1'),
    variable('SecureBoot', Uint8Array.of(0)),
    ...['PK', 'KEK', 'db', 'dbx'].map((name) => variable(name, empty)),
    bootEvents.separator(7),
    bootEvents.action(4, 'Calling EFI Application from Boot Option'),
    ...[0, 1, 2, 3, 4, 5, 6].map(bootEvents.separator),
    bootEvents.application(Uint8Array.of(1)),
    bootEvents.grubCommand('linux /vmlinuz'),
    bootEvents.kernelCommandLine(LINE),
    bootEvents.file('/vmlinuz', Uint8Array.of(2)),
    bootEvents.action(5, 'Exit Boot Services Invocation'),
    bootEvents.action(5, 'Exit Boot Services Returned with Success'),
  ].map((event) => measuredEvent(event, BANKS, nodeVerifyCrypto))
  for (const { register, digests } of events)
    await tpm.pcrExtend(
      Number(register),
      Array.from(digests, ([hash, digest]) => ({ hash, digest })),
    )
  return writeTcgLog(newTcgLog(BANKS, events))
}

/** A machine boots once; the pairs share its log. */
export async function eventLog(bench: Workbench): Promise<Uint8Array> {
  await bench.reset()
  const log = await bench.ours(boot)
  bench.write('log', log)
  return log
}

export const attestations = (go: GoPrograms): readonly Pair[] =>
  (['rsa', 'ecc'] as const).flatMap((kind): Pair[] => [
    {
      name: `Key.Attest (${kind}) → verifyGotpmAttestation`,
      async run(bench) {
        await eventLog(bench)
        const file = go.peer(bench, ['attest', kind, hex(NONCE), bench.file('log')])
        const attestation = readGotpm('attestation', file, 'binarypb')
        const spki = spkiOfTpmPublic(parseTpmPublic(attestation.akPub))
        const options = {
          anchor: { kind: 'trusted-keys', spkis: [spki] },
          nonce: NONCE,
          banks: ['sha256'],
          mayBeUnexplained: [],
          logMayBeMissing: false,
          applicationMayPrecedeBootOption: false,
          mayEndBeforeExit: false,
        } as const
        const verified = await verifyGotpmAttestation(attestation, options, nodeVerifyCrypto)
        assert.equal(verified.keyTrusted, true)
        await assert.rejects(
          verifyGotpmAttestation(attestation, { ...options, nonce: NONCE.with(0, 0) }, nodeVerifyCrypto),
          { code: 'evidence.stale' },
        )
      },
    },
    {
      name: `quote (${kind}), gotpmAttestation → VerifyAttestation; refused with another nonce`,
      async run(bench) {
        const log = await eventLog(bench)
        const file = await bench.ours(async (tpm) => {
          await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: AK[kind] })
          bench.writePem('ak.pem', key.public)
          const quotes = []
          for (const bank of BANKS) quotes.push(await tpm.quote({ key, bank, extraData: NONCE }))
          const { akPublic = new Uint8Array() } = quotes[0] ?? {}
          return writeGotpm('attestation', gotpmAttestation({ akPublic, quotes, eventLog: log }), 'binarypb')
        })
        const state = Buffer.from(go.peer(bench, ['verify', bench.file('ak.pem'), hex(NONCE)], file)).toString()
        assert.ok(state.includes(LINE), state)
        assert.match(state, /gce_version:\s*1/)
        assert.throws(() => go.peer(bench, ['verify', bench.file('ak.pem'), hex(NONCE.with(0, 0))], file))
      },
    },
  ])
