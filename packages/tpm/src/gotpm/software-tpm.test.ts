import { describe, expect, test } from 'vitest'
import { TEMPLATES } from '../codec/templates.ts'
import { nodeVerifyCrypto } from '../crypto/verify-crypto.ts'
import {
  bootEvents,
  encodeSignatureDatabase,
  launchEvents,
  launchRecord,
  measuredEvent,
  newTcgLog,
  VENDOR,
  writeCel,
  writeTcgLog,
} from '../eventlog/index.ts'
import type { Launch } from '../eventlog/index.ts'
import { useTpm } from '../testing/tpm-fixture.ts'
import type { Tpm } from '../tpm/tpm.ts'
import { spkiOfTpmPublic } from '../verify/index.ts'
import { parseTpmPublic } from '../codec/public-area.ts'
import { gotpmAttestation } from './attestation.ts'
import { readGotpm, writeGotpm } from './messages.ts'
import { verifyGotpmAttestation } from './verify-attestation.ts'
import type { GotpmVerification } from './verify-attestation.ts'

const BANKS = ['sha256', 'sha384'] as const
const NONCE = Uint8Array.from({ length: 32 }, (_, i) => 255 - i)
const LINE = '/vmlinuz root=/dev/vda ro'
const keys = encodeSignatureDatabase({
  certificates: [{ owner: VENDOR.shim, der: Uint8Array.of(0x30, 0) }],
  hashes: [],
})
const variable = (name: string, data: Uint8Array) =>
  bootEvents.secureBootVariable({ vendor: name.startsWith('d') ? VENDOR.imageSecurity : VENDOR.global, name, data })

const launch: Launch = {
  agreement: `sha256:${'1'.repeat(64)}`,
  image: `sha256:${'2'.repeat(64)}`,
  imageReference: 'registry.example/count:1',
  args: ['/bin/count'],
  env: { LANG: 'C' },
  debug: false,
  network: 'none',
  output: 'closed',
  restart: 'never',
  isolation: 'runc',
  capabilities: [],
  mounts: [],
}

/** What firmware, boot loader and launcher of a simulated machine do: measure into the TPM, and keep the logs. */
async function boot(tpm: Tpm) {
  const events = [
    bootEvents.firmwareVersion('Simulated Firmware 1'),
    variable('SecureBoot', Uint8Array.of(0)),
    ...['PK', 'KEK', 'db', 'dbx'].map((name) => variable(name, keys)),
    bootEvents.separator(7),
    bootEvents.action(4, 'Calling EFI Application from Boot Option'),
    ...[0, 1, 2, 3, 4, 5, 6].map(bootEvents.separator),
    bootEvents.application(Uint8Array.of(1)),
    bootEvents.grubCommand('linux /vmlinuz'),
    bootEvents.kernelCommandLine(LINE),
    bootEvents.file('/vmlinuz', Uint8Array.of(2)),
    bootEvents.loadOptions(LINE),
    bootEvents.action(5, 'Exit Boot Services Invocation'),
  ].map((event) => measuredEvent(event, BANKS, nodeVerifyCrypto))
  const records = launchEvents(launch).map((event) => launchRecord(event, 'pcr', BANKS, nodeVerifyCrypto))
  for (const { register, digests } of [...events, ...records])
    await tpm.pcrExtend(
      Number(register),
      [...digests].map(([hash, digest]) => ({ hash, digest })),
    )
  return { eventLog: writeTcgLog(newTcgLog(BANKS, events)), canonicalEventLog: writeCel(records) }
}

describe('a simulated machine on a software TPM', () => {
  const get = useTpm()
  const options: GotpmVerification = {
    anchor: { kind: 'none' },
    nonce: NONCE,
    banks: BANKS,
    mayBeUnexplained: [],
    logMayBeMissing: false,
    applicationMayPrecedeBootOption: false,
    mayEndBeforeExit: false,
  }
  let logs: Awaited<ReturnType<typeof boot>>

  const attest = async (template: keyof typeof TEMPLATES) => {
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[template] })
    const quotes = []
    for (const bank of BANKS) quotes.push(await get().quote({ key, bank, extraData: NONCE }))
    const attestation = gotpmAttestation({ akPublic: quotes[0]!.akPublic, quotes, ...logs })
    return readGotpm('attestation', writeGotpm('attestation', attestation, 'textproto'), 'textproto')
  }

  test('VT-05 VT-06 is told from its attestation, by every kind of key: every register, its boot, its launch', async () => {
    logs = await boot(get())
    for (const template of ['akEccP256', 'akEccP384', 'akRsa2048'] as const) {
      const attestation = await attest(template)
      const spki = spkiOfTpmPublic(parseTpmPublic(attestation.akPub))
      const anchor = { kind: 'trusted-keys', spkis: [spki] } as const
      const verified = await verifyGotpmAttestation(attestation, { ...options, anchor }, nodeVerifyCrypto)
      expect(verified.keyTrusted).toBe(true)
      expect(verified.boot?.coverage.replayed).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13])
      expect(verified.boot?.coverage.unexplained).toEqual([])
      expect(verified.boot?.report.kernel).toMatchObject({
        facts: { commandLine: { text: LINE }, confirmedByStub: true },
      })
      expect(verified.launch).toEqual({ kind: 'launch', launch })
    }
  })

  test('C04 without its launch log nothing explains the launch register', async () => {
    const attestation = await attest('akEccP256')
    const foreign = { ...attestation, canonicalEventLog: new Uint8Array() }
    await expect(verifyGotpmAttestation(foreign, options, nodeVerifyCrypto)).rejects.toMatchObject({
      code: 'evidence.log',
    })
    const named = { ...options, mayBeUnexplained: [13] }
    expect(await verifyGotpmAttestation(foreign, named, nodeVerifyCrypto)).not.toHaveProperty('launch')
  })

  test('C03 after anything more was measured into the launch register, its log no longer explains it', async () => {
    await get().pcrEvent(13, Uint8Array.of(1))
    const attestation = await attest('akEccP256')
    await expect(verifyGotpmAttestation(attestation, options, nodeVerifyCrypto)).rejects.toMatchObject({
      code: 'evidence.log',
      message: expect.stringContaining('pcr 13 (sha256)'),
    })
  })
})
