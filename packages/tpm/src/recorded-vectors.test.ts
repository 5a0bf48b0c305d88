import { missingVectors, readVector, readVectorText, vectorsRoot } from '@vouchsafe/testkit'
import { createPublicKey, verify } from 'node:crypto'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../core/node/crypto.ts'
import {
  EK_HANDLED_CRITICAL,
  parseAnchor,
  parseCertificate,
  parsePem,
  readEkCertificate,
  verifyChain,
} from '../../core/src/x509/index.ts'
import { TpmError } from './codec/errors.ts'
import { tpmName } from './codec/name.ts'
import { parseTpmPublic } from './codec/public-area.ts'
import { digest } from './crypto/digest.ts'
import { readBootReport } from './eventlog/boot/boot-report.ts'
import type { BootReport } from './eventlog/boot/boot-report.ts'
import { parseSignatureDatabase } from './eventlog/efi/signature-list.ts'
import { completeExitBootServices } from './eventlog/exit-boot-services.ts'
import { toHex } from './eventlog/hex.ts'
import { parseTcgLog } from './eventlog/parse-tcg-log.ts'
import { replayTcgLog } from './eventlog/replay.ts'
import type { TcgLog } from './eventlog/tcg-log.ts'
import { verifyReplays } from './eventlog/verify-replays.ts'
import { readGotpm } from './gotpm/messages.ts'
import { verifyGotpmAttestation } from './gotpm/verify-attestation.ts'
import type { HashName } from './verify/index.ts'

/*
 * Every recorded log, quote and attestation gives here what its INDEX says, and something else once it is changed. The
 * folders are walked: a file that comes to lie there without an entry fails. What each field of each of them does when
 * it is wrong is in the tests beside the code.
 */

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const base64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
const refused = (code: string) => expect.objectContaining({ code })
type Check = (file: string) => unknown

interface ExpectedLog {
  readonly file: string
  readonly banks: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly derived: { readonly gceTechnology: string | null; readonly secureBootVariableHex: string }
  readonly upstream: { readonly parse: string; readonly options?: { readonly allowEFIAppBeforeCallingEvent?: boolean } }
}
const expectedLogs = () =>
  Object.values((JSON.parse(readVectorText('gce/tpm/expected.json')) as { logs: Record<string, ExpectedLog> }).logs)

const reportOf = (log: TcgLog, bank: HashName, changes = {}): BootReport =>
  readBootReport(log, bank, nodeCrypto, {
    applicationMayPrecedeBootOption: false,
    mayEndBeforeExit: false,
    ...changes,
  })

/** Replays to the values that the registers held; with one digest changed in any bank it does not. */
const bootLog: Check = (file) => {
  const wanted = expectedLogs().find((log) => `gce/${log.file}` === file)
  if (wanted === undefined) throw new Error(`expected.json has no ${file}`)
  const log = parseTcgLog(readVector(file))
  for (const [name, held] of Object.entries(wanted.banks)) {
    const bank = name.toLowerCase() as HashName
    const values = new Map(Object.entries(held).map(([i, value]) => [Number(i), hex(value)]))
    const attested = { space: 'pcr', bank, values } as const
    const check = (l: TcgLog) => verifyReplays([replayTcgLog(l, bank, nodeCrypto)], attested, { mayBeUnexplained: [] })
    expect(check(log).replayed.map(String)).toEqual(Object.keys(held))
    const at = log.events.findIndex((e) => e.register === 4)
    const event = log.events[at]
    const right = event?.digests.get(bank)
    if (event === undefined || right === undefined) throw new Error('no event of register 4')
    const digests = new Map([...event.digests, [bank, right.with(0, (right[0] ?? 0) ^ 1)]])
    expect(() => check({ ...log, events: log.events.with(at, { ...event, digests }) })).toThrow(refused('evidence.log'))
  }
  const bank = Object.keys(wanted.banks).at(-1)?.toLowerCase() as HashName
  const report = reportOf(log, bank, {
    applicationMayPrecedeBootOption: wanted.upstream.options?.allowEFIAppBeforeCallingEvent === true,
    mayEndBeforeExit: file.endsWith('debian-10.bin'),
  })
  const { parse } = wanted.upstream
  if (parse === 'pass') {
    expect(report.secureBoot).toMatchObject({
      kind: 'facts',
      facts: { enabled: wanted.derived.secureBootVariableHex === '01' },
    })
    expect([report.platform.kind, report.efi.kind]).toEqual(['facts', 'facts'])
    return
  }
  // upstream's words where ours agree; what it calls an invalid version is a digest that is not the data's
  const why =
    /"([^"]+)"/.exec(parse)?.[1]?.replace('invalid SCRTM version event for PCR0', 'EV_S_CRTM_VERSION') ?? parse
  const reasons = Object.values(report).flatMap((part) => (part.kind === 'refused' ? [part.reason] : []))
  expect(reasons).toContainEqual(expect.stringContaining(why))
}

const parses: Check = (file) => {
  const raw = readVector(file)
  expect(parseTcgLog(raw).events.length).toBeGreaterThan(10)
  expect(() => parseTcgLog(raw.subarray(0, -1))).toThrow(refused('input.malformed'))
}

/** A JSON dump of log and registers: the SHA-1 bank replays; a register with another value is refused. */
const dump: Check = (file) => {
  const { Log } = JSON.parse(readVectorText(file)) as {
    Log: { Raw: string; PCRs: { Index: number; Digest: string; DigestAlg: number }[] }
  }
  const log = parseTcgLog(base64(Log.Raw))
  const replay = replayTcgLog(log, 'sha1', nodeCrypto)
  const held = new Map(
    Log.PCRs.map(({ Index, Digest }) => [Index, base64(Digest)] as const).filter(([, value]) => value.length === 20),
  )
  const check = (values: ReadonlyMap<number, Uint8Array>) =>
    verifyReplays([replay], { space: 'pcr', bank: 'sha1', values }, { mayBeUnexplained: [...Array(24).keys()] })
  expect(check(held).replayed).toEqual([...replay.registers.keys()].toSorted((a, b) => a - b))
  expect(() => check(new Map([...held, [7, new Uint8Array(20)]]))).toThrow(refused('evidence.log'))
  expect(log.events.map((e) => e.position)).toEqual(log.events.map((_, i) => i))
}

/** Verifies with its nonce; not with another, not with a value changed, not under another key. */
const attestation =
  (nonce: Uint8Array): Check =>
  async (file) => {
    const load = () => readGotpm('attestation', readVector(file), 'binarypb')
    const look = (message: ReturnType<typeof load>, wanted: Uint8Array) =>
      verifyGotpmAttestation(
        message,
        {
          anchor: { kind: 'none' },
          nonce: wanted,
          dangerouslyAllowEmptyNonce: true,
          banks: ['sha384', 'sha256'],
          mayBeUnexplained: [10],
          logMayBeMissing: false,
          applicationMayPrecedeBootOption: false,
          mayEndBeforeExit: false,
        },
        nodeCrypto,
      )
    const { quote, boot } = await look(load(), nonce)
    expect([quote.resetCount, quote.safe, quote.firmwareVersion]).toEqual([10, true, 0x2016051100162800n])
    expect(boot?.report.kernel.kind).toBe('facts')
    await expect(look(load(), Uint8Array.of(1))).rejects.toThrow(refused('evidence.stale'))
    const changed = load()
    for (const { pcrs } of changed.quotes)
      if (pcrs !== undefined) pcrs.pcrs[4] = new Uint8Array(pcrs.pcrs[4]?.length ?? 0)
    await expect(look(changed, nonce)).rejects.toThrow(refused('evidence.mismatch'))
  }

/** What others test, by the name that the file has there. */
const heldBy =
  (test: string, name?: string): Check =>
  (file) => {
    const source = fileURLToPath(new URL(`../../../${test}`, import.meta.url))
    expect(readFileSync(source, 'utf8'), test).toContain(name ?? path.basename(file).replace(/\.[a-z]+$/, ''))
  }

const recordedStatements = heldBy('packages/tpm/src/verify/recorded-statements.test.ts')
const derived: Check = (file) => {
  for (const test of ['software/make-credential', 'software/import-blob', 'crypto/kdf', 'codec/policy-digest'])
    heldBy(`packages/tpm/src/${test}.test.ts`)(file)
}

const chains = heldBy('packages/core/src/x509/verify-chain.test.ts', '_tpm_${kind}_cert.pem')
const authorities = heldBy('packages/core/src/x509/verify-chain.test.ts')

/** The one recorded exchange of quotes whose values the seed publishes: names come out as recorded, and of no other key. */
const exchange: Check = (file) => {
  const { ak, certify } = JSON.parse(readVectorText(file)) as {
    ak: { tpmtPublic: string; name: string }
    certify: { certifiedTpmtPublic: string; certifiedName: string }
  }
  const nameOf = (area: string) => toHex(tpmName(parseTpmPublic(hex(area)), digest))
  expect([nameOf(ak.tpmtPublic), nameOf(certify.certifiedTpmtPublic)]).toEqual([ak.name, certify.certifiedName])
  const changed = hex(ak.tpmtPublic)
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
  expect(nameOf(toHex(changed))).not.toBe(ak.name)
  recordedStatements(file)
}

/** What a certified key signed, under the key that the recorded statement names. */
const certifiedKey: Check = (file) => {
  const { certify, testSignature } = JSON.parse(readVectorText(file)) as {
    certify: { certifiedPem: string }
    testSignature: { dataUtf8: string; signatureBase64: string }
  }
  const signed = (text: string) =>
    verify('sha256', Buffer.from(text), createPublicKey(certify.certifiedPem), base64(testSignature.signatureBase64))
  expect([signed(testSignature.dataUtf8), signed(`${testSignature.dataUtf8} `)]).toEqual([true, false])
  recordedStatements(file)
}

/** Firmware that is known, by what it means; each value that a recorded log reaches is of a machine of that kind. */
const knownFirmware: Check = (file) => {
  const known = JSON.parse(readVectorText(file)) as Record<'sha1' | 'sha256', { value: string; meaning: string }[]>
  const reached = new Set<string>()
  for (const bank of ['sha1', 'sha256'] as const)
    for (const { banks, derived: facts } of expectedLogs()) {
      const value = banks[bank.toUpperCase()]?.['0']
      const entry = known[bank].find((k) => k.value === value)
      if (entry === undefined) continue
      reached.add(entry.value)
      expect([entry.meaning, entry.meaning.includes('AMD SEV on')]).toEqual([
        entry.meaning,
        facts.gceTechnology === 'AMD_SEV',
      ])
    }
  expect(reached.size).toBe(5)
  // a table of policy, not one of ours: nothing that is shipped has any of them as a default
  const root = fileURLToPath(new URL('../../..', import.meta.url))
  const shipped = globSync('packages/*/{src,node,bin,web}/**/*.ts', {
    cwd: root,
    exclude: (f) => f.includes('node_modules') || f.includes('.test.') || f.includes('/testing/'),
  })
  expect(shipped.length).toBeGreaterThan(300)
  const values = [...known.sha1, ...known.sha256].map(({ value }) => value)
  const holding = shipped.filter((f) => values.some((v) => readFileSync(path.join(root, f), 'utf8').includes(v)))
  expect(holding).toEqual([])
}

const seedLog: Check = (file) => {
  const { pcrSha256 } = JSON.parse(readVectorText(file.replace('.bin', '.expected.json'))) as {
    pcrSha256: Record<string, string>
  }
  const log = parseTcgLog(readVector(file))
  expect(log.events.length).toBe(121)
  const values = new Map(Object.entries(pcrSha256).map(([i, value]) => [Number(i), hex(value)]))
  const check = (l: TcgLog) =>
    verifyReplays(
      [replayTcgLog(l, 'sha256', nodeCrypto)],
      { space: 'pcr', bank: 'sha256', values },
      {
        mayBeUnexplained: [10],
      },
    )
  expect(check(log).replayed.length).toBeGreaterThan(7)
  const [first, second, ...rest] = log.events.filter((e) => e.register === 4)
  if (first === undefined || second === undefined) throw new Error('register 4 has too few events')
  const others = log.events.filter((e) => e.register !== 4)
  for (const events of [
    [...others, second, first, ...rest],
    [...others, second, ...rest],
  ])
    expect(() => check({ ...log, events })).toThrow(refused('evidence.log'))
}

const importBlob: Check = (file) => {
  const { dataBase64 } = JSON.parse(readVectorText(file)) as { dataBase64: string }
  const raw = base64(dataBase64)
  const { publicArea } = readGotpm('import-blob', raw, 'binarypb')
  expect(parseTpmPublic(publicArea).type).toBe('keyedhash')
  expect(() => parseTpmPublic(readGotpm('import-blob', raw, 'binarypb').publicArea.slice(1))).toThrow(TpmError)
}

const completedLog: Check = (file) => {
  const log = parseTcgLog(readVector(file))
  const held = hex('31245808d6d35849bc394f6343f2b3ff908ed5e3')
  const completed = completeExitBootServices(log, 'sha1', held, nodeCrypto)
  if (completed === undefined) throw new Error('not completed')
  expect(replayTcgLog(completed.log, 'sha1', nodeCrypto).registers.get(5)).toEqual(held)
  expect(completeExitBootServices(log, 'sha1', held.with(0, 0), nodeCrypto)).toBeUndefined()
}

const secureBootOff: Check = (file) => {
  parses(file)
  const report = reportOf(parseTcgLog(readVector(file)), 'sha256')
  expect(report.secureBoot).toMatchObject({ kind: 'facts', facts: { enabled: false } })
}

const shortLog: Check = (file) => {
  const raw = readVector(file)
  expect(raw.length).toBe(49)
  expect(parseTcgLog(raw).format).toBe('sha1')
  expect(() => parseTcgLog(raw.subarray(0, -1))).toThrow(refused('input.malformed'))
}

const structures = heldBy('packages/tpm/src/eventlog/efi/structures.test.ts')
const wellKnown = heldBy('packages/tpm/src/eventlog/boot/boot-report.test.ts')

/** The certificates that were revoked in 2020 stand in the update of that year, and in no other. */
const revokedIn2020: Check = (file) => {
  const revoked = (update: string) => {
    const raw = readVector(`gce/tpm/secure-boot/${update}.bin`)
    const database = raw.subarray(16 + new DataView(raw.buffer).getUint32(16, true))
    return parseSignatureDatabase(database).certificates.some(({ der }) => toHex(der) === toHex(readVector(file)))
  }
  const updates = ['dbxupdate-2014-08-11', 'dbxupdate_x64-2020-10-12', 'dbxupdate_x64-2021-04-29']
  expect(updates.map(revoked)).toEqual([false, true, false])
}

/** A software TPM's certificate chains through its issuer to its root, as an endorsement key's, and not without either. */
const softwareTpm: Check = async (file) => {
  const pem = (name: string) => parsePem(readVectorText(`seed-systems/ek/${name}.pem`), 'CERTIFICATE')
  const [[root], [issuer]] = [pem('swtpm-localca-root'), pem('swtpm-localca-issuer')]
  if (root === undefined || issuer === undefined) throw new Error('no authority')
  const { certificate, tpm } = readEkCertificate(readVector(file))
  expect(tpm?.manufacturer).toMatch(/^id:[0-9A-F]{8}$/)
  const chain = (anchor: Uint8Array, intermediates: readonly Uint8Array[]) =>
    verifyChain({
      leaf: certificate,
      intermediates: intermediates.map((der) => parseCertificate(der)),
      anchors: [parseAnchor(anchor, { class: 'tpm', name: 'swtpm' })],
      at: new Date('2026-06-01T00:00:00Z'),
      crypto: nodeCrypto,
      leafKeyUsage: 'any',
      extendedKeyUsage: '2.23.133.8.1',
      handledCritical: EK_HANDLED_CRITICAL,
      revocation: 'not-checked',
    })
  expect((await chain(root, [issuer])).anchor.name).toBe('swtpm')
  await expect(chain(root, [])).rejects.toThrow(refused('endorsement.untrusted'))
  await expect(chain(readVector('gce/tpm/certs/gcp_ek_ak_ca_root.crt'), [issuer])).rejects.toThrow(
    refused('endorsement.untrusted'),
  )
}

/** An attribute certificate is no certificate. */
const attributeCertificate: Check = (file) =>
  expect(() => readEkCertificate(readVector(file))).toThrow(refused('endorsement.malformed'))

/** Every file of the three folders, by its path or by that of its folder. The longest one that fits counts. */
const CHECKS: Readonly<Record<string, Check>> = {
  'gce/tpm/expected.json': () => expect(expectedLogs().length).toBe(14),
  'gce/tpm/eventlogs/': bootLog,
  'gce/tpm/eventlogs-legacy/crypto_agile_eventlog': parses,
  'gce/tpm/eventlogs-legacy/sb_cert_eventlog': parses,
  'gce/tpm/eventlogs-legacy/option_rom_eventlog': parses,
  'gce/tpm/eventlogs-legacy/short_no_action_eventlog': shortLog,
  'gce/tpm/eventlogs-legacy/ebs_event_missing_eventlog': completedLog,
  'gce/tpm/eventlogs-legacy/coreos_36_shielded_vm_no_secure_boot_eventlog': secureBootOff,
  'gce/tpm/eventlogs-legacy/windows_gcp_shielded_vm.json': dump,
  'gce/tpm/eventlogs-legacy/linux_tpm12.json': dump,
  'gce/tpm/attestations/gce-cos-85-no-nonce.pb': attestation(new Uint8Array()),
  'gce/tpm/attestations/gce-cos-85-nonce9009.pb': attestation(Uint8Array.of(0x90, 0x09)),
  'gce/tpm/derived/tpm-crypto.json': derived,
  'coco/tpm/tpm_evidence.json': recordedStatements,
  'seed-systems/tpm/td-2021-attest-flow.json': exchange,
  'seed-systems/tpm/rta-2023-certify.json': certifiedKey,
  'seed-systems/tpm/td-import-blob.json': importBlob,
  'seed-systems/tpm/known-pcr0.json': knownFirmware,
  'seed-systems/tpm/gce-eventlog.bin': seedLog,
  'seed-systems/tpm/gce-eventlog.expected.json': () => seedLog('seed-systems/tpm/gce-eventlog.bin'),
}
/** Certificates and updates of databases, which are neither log nor quote nor attestation. */
const OTHERS: Readonly<Record<string, Check>> = {
  'gce/tpm/certs/tpm_ek_intermediate_2.crt': heldBy('packages/core/src/evidence/gce-vtpm/verify-gce-vtpm.test.ts'),
  'gce/tpm/certs/tpm_ek_intermediate_3.crt': authorities,
  'gce/tpm/certs/tpm_ek_root_1.cer': authorities,
  'gce/tpm/certs/gcp_ek_ak_ca_': authorities,
  'gce/tpm/certs/uca_tpm_': chains,
  'gce/tpm/certs/pca_tpm_': chains,
  'gce/tpm/secure-boot/GcePk.crt': wellKnown,
  'gce/tpm/secure-boot/MicCor': wellKnown,
  'gce/tpm/secure-boot/MicWinProPCA2011_2011-10-19.crt': wellKnown,
  'gce/tpm/secure-boot/dbxupdate': structures,
  'gce/tpm/secure-boot/canonical-boothole.crt': revokedIn2020,
  'gce/tpm/secure-boot/cisco-boothole.crt': revokedIn2020,
  'gce/tpm/secure-boot/debian-boothole.crt': revokedIn2020,
  'seed-systems/ek/swtpm-ek-': softwareTpm,
  'seed-systems/ek/swtpm-localca-issuer.pem': () => softwareTpm('seed-systems/ek/swtpm-ek-rsa2048.der'),
  'seed-systems/ek/swtpm-localca-root.pem': () => softwareTpm('seed-systems/ek/swtpm-ek-secp384r1.der'),
  'seed-systems/ek/platform-attribute-cert.der': attributeCertificate,
}
/** Folders of the seed systems that hold no log, quote or attestation of a TPM. */
const ELSEWHERE = ['audit', 'bank', 'certs', 'cloud-init', 'cosign', 'jwt', 'kdf', 'opa', 'revocation', 'tink']

describe.skipIf(missingVectors())('a recorded vector gives what its INDEX states, and not when it is changed', () => {
  const checks = Object.entries({ ...CHECKS, ...OTHERS })
  const filesIn = (folder: string) =>
    globSync('**/*', { cwd: path.join(vectorsRoot, folder), withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(vectorsRoot, path.join(entry.parentPath, entry.name)))
      .toSorted()
  const files = missingVectors() ? [] : ['gce/tpm', 'coco/tpm', 'seed-systems/tpm', 'seed-systems/ek'].flatMap(filesIn)

  test.each(files)('%s', async (file) => {
    const found = checks.filter(([name]) => file.startsWith(name)).map(([, check]) => check)
    expect(found, 'a new vector needs an expectation here').toHaveLength(1)
    await found[0]?.(file)
  })

  test('each expectation is of a file that is there, and no folder is left out', () => {
    expect(checks.map(([name]) => name).filter((name) => !files.some((file) => file.startsWith(name)))).toEqual([])
    const folders = readdirSync(path.join(vectorsRoot, 'seed-systems'), { withFileTypes: true })
    expect(
      folders
        .filter((f) => f.isDirectory())
        .map((f) => f.name)
        .toSorted(),
    ).toEqual([...ELSEWHERE, 'ek', 'tpm'].toSorted())
    expect(readdirSync(path.join(vectorsRoot, 'coco/tpm'))).toEqual(['tpm_evidence.json'])
  })
})
