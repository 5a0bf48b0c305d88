import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { permanentEntity, TEMPLATES, Tpm } from '@vouchsafe/tpm'
import {
  bootEvents,
  encodeSignatureDatabase,
  measuredEvent,
  newTcgLog,
  VENDOR,
  writeTcgLog,
} from '@vouchsafe/tpm/eventlog'
import { readGotpm, teeAttestation, writeGotpm } from '@vouchsafe/tpm/gotpm'
import { encodeSnpCertificateTable, missingVectors, readVector } from '@vouchsafe/testkit'
import { beforeAll, describe, expect, test } from 'vitest'
import { nodeCrypto } from '@vouchsafe/core/node'
import { useCommandLine } from '../testing/command-line.ts'
import { requestReport, withTsmEntry } from './tsm-report.ts'

const get = useCommandLine()
const NONCE = 'c3'.repeat(32)
const LINE = '/vmlinuz root=/dev/vda ro'
const BANKS = ['sha1', 'sha256', 'sha384', 'sha512'] as const
const variable = (name: string, data: Uint8Array) =>
  bootEvents.secureBootVariable({ vendor: name.startsWith('d') ? VENDOR.imageSecurity : VENDOR.global, name, data })

/** Measures a boot without Secure Boot, and gives its log. */
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
  ].map((event) => measuredEvent(event, BANKS, nodeCrypto))
  const present = await tpm.pcrBanks()
  for (const { register, digests } of events)
    await tpm.pcrExtend(
      Number(register),
      Array.from(digests, ([hash, digest]) => ({ hash, digest })).filter(({ hash }) => present.includes(hash)),
    )
  return writeTcgLog(newTcgLog(BANKS, events))
}

/** A software TPM serves one connection at a time: ours is open only inside `use`. */
async function withTpm<T>(use: (tpm: Tpm) => Promise<T>): Promise<T> {
  await using tpm = await Tpm.open(get().tpm.address)
  return await use(tpm)
}

beforeAll(async () => {
  get().write('boot.log', await withTpm(boot))
  await get().answer('tpm', 'identity', '--out', 'machine')
})

const collect = (out: string, ...more: readonly string[]) =>
  get().answer('evidence', 'collect', '--nonce', NONCE, '--event-log', 'boot.log', '--out', out, ...more)
const TRUSTED = ['--nonce', NONCE, '--trust-key', 'machine/ak-ecc.pem'] as const

describe('VT-05 evidence that is collected here', () => {
  test.each(['binarypb', 'textproto'])(
    'as %s is recognised, shown, and verified to the last register',
    async (format) => {
      const line = get()
      await collect('boot.pb', '--format', format)
      expect(await line.answer('evidence', 'show', 'boot.pb')).toMatchObject({
        verified: false,
        format: 'gotpm',
        quotes: expect.arrayContaining([expect.objectContaining({ bank: 'sha256', nonce: NONCE })]),
        events: 21,
      })
      expect(await line.answer('evidence', 'verify', 'boot.pb', ...TRUSTED)).toMatchObject({
        keyTrusted: true,
        coverage: { replayed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], unexplained: [] },
        boot: { kernel: 'understood', secureBoot: 'understood' },
        machineState: { linuxKernel: { commandLine: `${LINE}\0` } },
      })
    },
  )

  test('VT-02 with the key that is asked for: RSA or ECC, each under its own trust', async () => {
    await collect('rsa.pb', '--key', 'ak-rsa')
    const line = get()
    expect(
      await line.answer('evidence', 'verify', 'rsa.pb', '--nonce', NONCE, '--trust-key', 'machine/ak-rsa.pub'),
    ).toMatchObject({
      keyTrusted: true,
    })
    expect(await line.refusal('evidence', 'verify', 'rsa.pb', ...TRUSTED)).toMatchObject({
      status: 1,
      code: 'evidence.key',
    })
  })

  test('VT-03 needs the TPM device and the boot log, and no owner’s, endorsement or lockout password', async () => {
    const line = get()
    const change = (from: Uint8Array, newAuth: Uint8Array) =>
      withTpm(async (tpm) => {
        for (const name of ['owner', 'endorsement', 'lockout'] as const)
          await tpm.run('HierarchyChangeAuth', { authHandle: permanentEntity(name, from), newAuth })
      })
    const [none, some] = [new Uint8Array(), new TextEncoder().encode('an administrator’s')]
    await withTpm(async (tpm) => {
      await using object = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
      await tpm.persist({ object, handle: 0x81010042 })
    })
    await change(none, some)
    try {
      await collect('boot.pb', '--key', '0x81010042')
      expect(await line.answer('evidence', 'verify', 'boot.pb', ...TRUSTED)).toMatchObject({ keyTrusted: true })
      line.write('bytes', 'x')
      expect(await line.refusal('tpm', 'nv', 'write', '0x01500001', 'bytes', '--define')).toMatchObject({ status: 1 })
      expect(await line.refusal('tpm', 'keys', 'evict', '0x81010042')).toMatchObject({ status: 1 })
    } finally {
      await change(some, none)
    }
  })

  test('VT-06 its machine state is written as gotpm writes it, in both forms', async () => {
    const line = get()
    await collect('boot.pb')
    for (const format of ['textproto', 'binarypb'] as const) {
      await line.answer('evidence', 'verify', 'boot.pb', ...TRUSTED, '--machine-state', 'state', '--format', format)
      const state = readGotpm('machine-state', line.read('state'), format)
      expect(state.linuxKernel?.commandLine).toBe(`${LINE}\0`)
      expect(state.rawEvents.every((event) => event.digest.length === 64)).toBe(true)
    }
  })
})

describe('evidence is refused', () => {
  test('DEF-44 when nothing says whose key it is, and no machine state is written for it', async () => {
    const line = get()
    await collect('boot.pb')
    const { status, stdout } = await line.run(
      'evidence',
      'verify',
      'boot.pb',
      '--nonce',
      NONCE,
      '--machine-state',
      'none',
    )
    expect([status, stdout]).toEqual([1, expect.stringContaining('NOT TRUSTED')])
    expect(readdirSync(line.directory)).not.toContain('none')
    const looked = await line.run('evidence', 'verify', 'boot.pb', '--nonce', NONCE, '--dangerously-trust-its-own-key')
    expect([looked.status, looked.stderr]).toEqual([0, expect.stringContaining('proves nothing')])
    expect(looked.stdout).toContain('NOT TRUSTED')
  })

  test('A05 with another nonce, with an empty one, and with none', async () => {
    const line = get()
    await collect('boot.pb')
    const verify = ['evidence', 'verify', 'boot.pb', '--trust-key', 'machine/ak-ecc.pem']
    expect(await line.refusal(...verify, '--nonce', NONCE.replace('c', 'd'))).toMatchObject({
      status: 1,
      code: 'evidence.stale',
    })
    expect(await line.refusal(...verify, '--nonce', '')).toMatchObject({ status: 2 })
    expect(await line.refusal(...verify)).toMatchObject({ status: 2, hint: expect.stringContaining('--nonce') })
  })

  test('without a boot log, unless that is asked for by name', async () => {
    const line = get()
    await collect('bare.pb', '--no-event-log')
    expect(await line.refusal('evidence', 'verify', 'bare.pb', ...TRUSTED)).toMatchObject({
      status: 1,
      code: 'evidence.log',
    })
    const all = ['--without-boot-log', '--unexplained', '0-9']
    expect(await line.answer('evidence', 'verify', 'bare.pb', ...TRUSTED, ...all)).toMatchObject({ boot: null })
  })

  test('C04 when the log is another one', async () => {
    const line = get()
    await withTpm((tpm) => tpm.pcrEvent(14, new Uint8Array(1)))
    await collect('boot.pb')
    expect(await line.refusal('evidence', 'verify', 'boot.pb', ...TRUSTED)).toMatchObject({
      status: 1,
      code: 'evidence.log',
      message: expect.stringContaining('pcr 14'),
    })
    expect(await line.answer('evidence', 'verify', 'boot.pb', ...TRUSTED, '--unexplained', '14')).toMatchObject({
      coverage: { unexplained: [14] },
    })
  })

  test('when an option is given that means nothing for it', async () => {
    const line = get()
    await line.answer('tpm', 'quote', '--nonce', NONCE, '--out', 'quote.json')
    expect(await line.refusal('evidence', 'verify', 'quote.json', ...TRUSTED, '--google')).toMatchObject({
      status: 2,
      message: expect.stringContaining('--google means nothing'),
    })
  })

  test('when it is none that is known here', async () => {
    const line = get()
    for (const bytes of ['', 'hello', '{}', '[]', '{"a":1,"a":2}', Uint8Array.of(0x0a, 0x01, 0x00)]) {
      line.write('unknown', bytes)
      expect(await line.refusal('evidence', 'verify', 'unknown')).toMatchObject({ status: 3, code: 'input.malformed' })
    }
  })
})

describe('a statement of the TPM', () => {
  test('quotes registers, and is verified under a known key alone', async () => {
    const line = get()
    await line.answer('tpm', 'quote', '--nonce', NONCE, '--pcrs', '0,7', '--out', 'quote.json')
    expect(await line.answer('evidence', 'verify', 'quote.json', ...TRUSTED)).toMatchObject({
      kind: 'quote',
      registers: { 0: expect.any(String), 7: expect.any(String) },
    })
    expect(await line.refusal('evidence', 'verify', 'quote.json', '--nonce', NONCE)).toMatchObject({ status: 2 })
    const other = ['--nonce', NONCE, '--trust-key', 'machine/ak-rsa.pem']
    expect(await line.refusal('evidence', 'verify', 'quote.json', ...other)).toMatchObject({
      status: 1,
      code: 'evidence.key',
    })
    const quote = JSON.parse(Buffer.from(line.read('quote.json')).toString())
    line.write('forged.json', JSON.stringify({ ...quote, registers: { ...quote.registers, 7: '00'.repeat(32) } }))
    expect(await line.refusal('evidence', 'verify', 'forged.json', ...TRUSTED)).toMatchObject({
      code: 'evidence.mismatch',
    })
    line.write('fewer.json', JSON.stringify({ ...quote, registers: { 0: quote.registers[0] } }))
    expect(await line.refusal('evidence', 'verify', 'fewer.json', ...TRUSTED)).toMatchObject({
      code: 'evidence.pcr-selection',
    })
  })

  test('B13 that certifies a key over the right nonce never stands in for a quote', async () => {
    const line = get()
    await line.answer('tpm', 'certify', 'srk-ecc', '--nonce', NONCE, '--out', 'certified.json')
    expect(await line.refusal('evidence', 'verify', 'certified.json', ...TRUSTED)).toMatchObject({
      status: 1,
      code: 'evidence.unsupported',
      message: expect.stringContaining('nothing of what the machine runs'),
      hint: expect.stringContaining('vouchsafe tpm quote'),
    })
    // not even with the members of a quote around it
    const certified = JSON.parse(Buffer.from(line.read('certified.json')).toString())
    const { akPublic, attest, signature } = certified
    const registers = { 0: '00'.repeat(32) }
    line.write('dressed.json', JSON.stringify({ akPublic, attest, signature, bank: 'sha256', registers }))
    expect(await line.refusal('evidence', 'verify', 'dressed.json', ...TRUSTED)).toMatchObject({
      status: 3,
      code: 'input.malformed',
    })
    // who wants to know where the key is says so, and is told what that does not mean
    const only = ['--certified-key-only', 'decrypt']
    expect(await line.answer('evidence', 'verify', 'certified.json', ...TRUSTED, ...only)).toMatchObject({
      bootState: 'not attested',
    })
    expect(
      await line.refusal('evidence', 'verify', 'certified.json', ...TRUSTED, '--certified-key-only', 'sign'),
    ).toMatchObject({ status: 1, code: 'evidence.key' })
  })
})

describe('VT-08 a log of verifications', () => {
  test('keeps challenge, evidence and claims, and is asked by machine, name and time; DEF-43 no token is in it', async () => {
    const line = get()
    await collect('boot.pb')
    const logged = (name: string) => [...TRUSTED, '--unexplained', '14', '--log', 'log.jsonl', '--log-name', name]
    const { key } = await line.answer<{ key: string }>('evidence', 'verify', 'boot.pb', ...logged('web-1'))
    await line.answer('evidence', 'verify', 'boot.pb', ...logged('web-2'))
    const stale = ['--nonce', 'ff', '--trust-key', 'machine/ak-ecc.pem', '--log', 'log.jsonl', '--log-name', 'web-1']
    await line.refusal('evidence', 'verify', 'boot.pb', ...stale)
    const ask = async (...options: readonly string[]) =>
      (await line.answer<{ entries: Record<string, unknown>[] }>('evidence', 'log', 'log.jsonl', ...options)).entries
    expect(await ask()).toHaveLength(3)
    const [first] = await ask('--name', 'web-1', '--machine', key)
    expect(first).toMatchObject({
      outcome: 'accepted',
      challenge: NONCE,
      evidence: Buffer.from(line.read('boot.pb')).toString('base64'),
      claims: { machineState: { linuxKernel: { commandLine: `${LINE}\0` } } },
    })
    expect(await ask('--refused')).toMatchObject([
      { name: 'web-1', code: 'evidence.stale', claims: null, machine: null },
    ])
    expect(await ask('--until', '2020-01-01T00:00:00Z')).toEqual([])
    expect(await ask('--since', '2020-01-01T00:00:00Z', '--name', 'web-2')).toHaveLength(1)
    expect(readFileSync(line.file('log.jsonl'), 'utf8')).not.toMatch(/eyJ[A-Za-z0-9_-]+\.eyJ/)
  })

  test('that somebody has edited into nonsense is refused with the line', async () => {
    const line = get()
    line.write('log.jsonl', '{"vouchsafe":"verification/v1"}\n')
    expect(await line.refusal('evidence', 'log', 'log.jsonl')).toMatchObject({
      status: 3,
      message: expect.stringContaining('log.jsonl:1'),
    })
  })
})

describe.skipIf(missingVectors())('recorded attestations', () => {
  const NONCE_9009 = ['--nonce', '9009', '--unexplained', '10']
  const AT = ['--at', '2022-01-01T00:00:00Z']

  test('VT-06 of Google’s machine chain to Google’s root, and name the machine’s boot', async () => {
    const line = get()
    line.write('vm.pb', readVector('gce/tpm/attestations/gce-cos-85-nonce9009.pb'))
    line.write('ca.crt', readVector('gce/tpm/certs/tpm_ek_intermediate_2.crt'))
    const google = ['--google', '--intermediate', 'ca.crt', ...AT]
    expect(await line.answer('evidence', 'verify', 'vm.pb', ...NONCE_9009, ...google)).toMatchObject({
      keyTrusted: true,
      bank: 'sha384',
      trustedBy: expect.stringContaining('revocation was not checked'),
      machineState: { platform: { technology: 'AMD_SEV' } },
    })
    // and to no other root, nor without the certificate between
    line.write('root.crt', readVector('gce/tpm/certs/gcp_ek_ak_ca_root.crt'))
    expect(
      await line.refusal(
        'evidence',
        'verify',
        'vm.pb',
        ...NONCE_9009,
        '--trust-root',
        'root.crt',
        '--intermediate',
        'ca.crt',
        ...AT,
      ),
    ).toMatchObject({ status: 1, code: 'endorsement.untrusted' })
    expect(await line.refusal('evidence', 'verify', 'vm.pb', ...NONCE_9009, '--google', ...AT)).toMatchObject({
      code: 'endorsement.untrusted',
    })
    expect(
      await line.refusal('evidence', 'verify', 'vm.pb', ...NONCE_9009, '--google', '--trust-key', 'ca.crt'),
    ).toMatchObject({
      status: 2,
    })
  })

  test.each([
    ['sev-snp', 'milan_v3a', 0x50],
    ['tdx', 'quote_v4_spr_e4', 48 + 520],
  ] as const)(
    'VT-07 with a genuine %s report are verified under its vendor’s root, over a nonce of its own',
    async (kind, name, at) => {
      const line = get()
      const attestation = readGotpm(
        'attestation',
        readVector('gce/tpm/attestations/gce-cos-85-nonce9009.pb'),
        'binarypb',
      )
      const raw = readVector(kind === 'tdx' ? `gce/tdx/${name}.bin` : `gce/snp/${name}_report.bin`).slice()
      // the recording of the quote goes on after its end
      const report = kind === 'tdx' ? raw.slice(0, 636 + new DataView(raw.buffer).getUint32(632, true)) : raw
      attestation.teeAttestation = teeAttestation(
        kind === 'tdx'
          ? { kind, quote: report }
          : { kind, report, vek: readVector(`gce/snp/${name}_vcek.der`).slice(0, 4974), vekKind: 'vcek' },
      )
      line.write('vm.pb', writeGotpm('attestation', attestation, 'binarypb'))
      const look = [
        'evidence',
        'verify',
        'vm.pb',
        ...NONCE_9009,
        '--dangerously-trust-its-own-key',
        '--at',
        '2025-06-01T00:00:00Z',
      ]
      expect(await line.answer(...look)).toMatchObject({ hardware: { kind, verified: false } })
      const nonce = Buffer.from(report.subarray(at, at + 64)).toString('hex')
      expect(await line.answer(...look, '--tee-nonce', nonce)).toMatchObject({
        hardware: { kind, verified: true, measurement: expect.stringMatching(/^[0-9a-f]{96}$/) },
      })
      expect(await line.refusal(...look, '--tee-nonce', '11'.repeat(64))).toMatchObject({
        status: 1,
        code: 'evidence.binding',
      })
      expect(await line.refusal(...look, '--tee-nonce', '11'.repeat(32))).toMatchObject({ status: 2 })
    },
  )

  test('VT-07 a report is asked for as the kernel has it: one entry, one request, the host’s table of certificates', () => {
    const line = get()
    const entry = line.file('entry')
    mkdirSync(entry)
    const prepare = (files: Readonly<Record<string, Uint8Array | string>>) => {
      for (const [name, bytes] of Object.entries(files)) line.write(`entry/${name}`, bytes)
    }
    const [report, vek] = [
      readVector('gce/snp/milan_v3a_report.bin').slice(),
      readVector('gce/snp/milan_v3a_vcek.der').slice(),
    ]
    const auxblob = encodeSnpCertificateTable([['63da758d-e664-4564-adc5-f4b93be8accd', vek]])
    prepare({ provider: 'sev_guest\n', generation: '1\n', outblob: report, auxblob })
    const nonce = new Uint8Array(64).fill(7)
    expect(requestReport(entry, nonce)).toEqual({ kind: 'sev-snp', report, vek, vekKind: 'vcek' })
    expect(line.read('entry/inblob')).toEqual(nonce)
    prepare({ auxblob: '' })
    expect(requestReport(entry, nonce)).toEqual({ kind: 'sev-snp', report })
    prepare({ provider: 'tdx_guest\n' })
    expect(requestReport(entry, nonce)).toEqual({ kind: 'tdx', quote: report })
    prepare({ generation: '2\n' })
    expect(() => requestReport(entry, nonce)).toThrow('somebody else')
    mkdirSync(line.file('reports'))
    expect(withTsmEntry(line.file('reports'), (made) => readdirSync(made))).toEqual([])
    expect(readdirSync(line.file('reports'))).toEqual([])
    expect(() => withTsmEntry('/nowhere', () => 0)).toThrow('ENOENT')
  })
})
