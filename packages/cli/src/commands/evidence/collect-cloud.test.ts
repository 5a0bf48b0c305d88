import { createPublicKey } from 'node:crypto'
import { encodeTpmPublic, spkiOfTpmPublic, TEMPLATES, Tpm } from '@vouchsafe/tpm'
import { nvAttributes, type TpmPublic } from '@vouchsafe/tpm/codec'
import * as kit from '@vouchsafe/testkit'
import { missingVectors, readVector } from '@vouchsafe/testkit'
import { beforeAll, describe, expect, test } from 'vitest'
import { useCommandLine } from '../testing/command-line.ts'
import { AZURE, azureMessage } from './azure-message.ts'

/** A software TPM that is provisioned as clouds provision theirs. */
const get = useCommandLine()
const NONCE = 'c3'.repeat(32)
const NOW = { notBefore: new Date('2020-01-01'), notAfter: new Date('2099-01-01') }

async function withTpm<T>(use: (tpm: Tpm) => Promise<T>): Promise<T> {
  await using tpm = await Tpm.open(get().tpm.address)
  return await use(tpm)
}

async function keep(tpm: Tpm, nvIndex: number, data: Uint8Array): Promise<void> {
  const attributes = nvAttributes(['ownerRead', 'ownerWrite', 'authRead', 'authWrite'], 'ordinary')
  const area = { nvIndex, nameAlg: 'sha256', attributes, authPolicy: new Uint8Array(), dataSize: data.length } as const
  await tpm.nvUndefine({ index: nvIndex }).catch(() => undefined)
  await tpm.nvDefine({ public: area })
  await tpm.nvWrite(nvIndex, data)
}

const keyOf = (spki: Uint8Array) =>
  ({ spki, publicKey: createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }) }) as kit.TestKey

describe('a confidential VM of Azure', () => {
  const amd = kit.makeAmdAuthorities('Milan')
  const vek = kit.makeVek({ authorities: amd })
  const intel = kit.makeIntelAuthorities()
  const pck = kit.makePck({ authorities: intel })
  const AZURE_FORMAT = ['evidence', 'collect', '--format', 'azure', '--nonce', NONCE] as const
  const TRUST = ['--trust-root', 'amd.pem', '--without-collateral', '--at', '2026-06-01T00:00:00Z'] as const
  let ak: kit.TestKey

  /** A software TPM keeps 2,048 bytes an index, Azure's 2,600: the endorsement key's entry is left out. */
  const runtimeOf = (key: kit.TestKey, members: Readonly<Record<string, unknown>> = {}) => {
    const { keys } = JSON.parse(Buffer.from(kit.makeRuntimeData(key)).toString()) as { keys: unknown[] }
    return kit.makeRuntimeData(key, { keys: keys.slice(0, 1), ...members })
  }

  /** What the paravisor leaves in the vTPM. */
  const paravisor = (members: Readonly<Record<string, unknown>> = {}, key = ak) => {
    const runtimeData = runtimeOf(key, members)
    const reportData = kit.runtimeDataDigest(runtimeData)
    const hardwareReport = kit.makeSnpReport({ product: 'Milan', reportData }, vek)
    return kit.encodeHclReport({ kind: 'snp', hardwareReport, runtimeData })
  }

  test('another machine is told apart', async () => {
    expect(await get().refusal(...AZURE_FORMAT)).toMatchObject({
      code: 'tpm.response',
      hint: expect.stringContaining('no confidential VM of Azure'),
    })
  })

  describe('with its vTPM', () => {
    beforeAll(async () => {
      await withTpm(async (tpm) => {
        await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akRsa2048 })
        await tpm.persist({ object: key, handle: AZURE.key })
        ak = keyOf(spkiOfTpmPublic(key.public))
        await keep(tpm, AZURE.report, paravisor())
      })
      get().write('vek.der', vek.der)
      get().write('amd.pem', kit.toPem(amd.ark, amd.ask))
    })

    test('shows the paravisor’s report and a quote by the key in it, and that verifies', async () => {
      await get().answer(...AZURE_FORMAT, '--tee-certificate', 'vek.der', '--out', 'vm.json')
      const proved = await get().answer<{ format: string }>('evidence', 'verify', 'vm.json', '--nonce', NONCE, ...TRUST)
      expect(proved).toMatchObject({ verified: true, format: expect.stringContaining('Azure vTPM quote') })
      expect(JSON.parse(Buffer.from(get().read('vm.json')).toString()).tpm_quote.pcrs).toHaveLength(24)
    })

    test('A02 another nonce than was asked for is refused', async () => {
      await get().answer(...AZURE_FORMAT, '--tee-certificate', 'vek.der', '--out', 'vm.json')
      const other = ['evidence', 'verify', 'vm.json', '--nonce', 'c4'.repeat(32), ...TRUST]
      expect(await get().refusal(...other)).toMatchObject({ code: 'evidence.binding' })
    })

    test('A18 D17 the report of another machine goes with no quote of this one', async () => {
      await withTpm((tpm) => keep(tpm, AZURE.report, paravisor({}, kit.makeKey('RSA-2048'))))
      await get().answer(...AZURE_FORMAT, '--tee-certificate', 'vek.der', '--out', 'vm.json')
      await withTpm((tpm) => keep(tpm, AZURE.report, paravisor()))
      const refused = await get().refusal('evidence', 'verify', 'vm.json', '--nonce', NONCE, ...TRUST)
      expect(refused).toMatchObject({ code: 'evidence.signature' })
    })

    test('A02 the CPU’s report is asked for over bytes of the verifier’s, and an older one does not do', async () => {
      const userData = new Uint8Array(64).fill(0x5a)
      let asked = 0
      const message = await withTpm((tpm) =>
        azureMessage(tpm, { nonce: new Uint8Array(32).fill(0xc3), userData, vek: vek.der }, async () => {
          asked++
          if (asked < 3) return // the paravisor takes its time
          const wanted = await tpm.nvRead(AZURE.userData)
          await keep(tpm, AZURE.report, paravisor({ 'user-data': Buffer.from(wanted).toString('hex').toUpperCase() }))
        }),
      )
      expect(asked).toBe(3)
      get().write('fresh.json', message)
      const verify = ['evidence', 'verify', 'fresh.json', '--nonce', NONCE, ...TRUST]
      expect(await get().answer(...verify, '--tee-nonce', '5a'.repeat(64))).toMatchObject({ verified: true })
      expect(await get().refusal(...verify, '--tee-nonce', '5b'.repeat(64))).toMatchObject({ code: 'evidence.binding' })
      const idle = withTpm((tpm) =>
        azureMessage(
          tpm,
          { nonce: new Uint8Array(32), userData: new Uint8Array(64).fill(1), vek: vek.der },
          async () => {},
        ),
      )
      await expect(idle).rejects.toMatchObject({ code: 'evidence.stale' })
    })

    test('with an Intel CPU it shows the quote that was made of its report', async () => {
      const runtimeData = runtimeOf(ak)
      const tdReport = new Uint8Array(1024).fill(0x81, 0, 1)
      await withTpm((tpm) =>
        keep(tpm, AZURE.report, kit.encodeHclReport({ kind: 'tdx', hardwareReport: tdReport, runtimeData })),
      )
      const td = { reportData: kit.runtimeDataDigest(runtimeData) }
      get().write('td.quote', kit.makeQuote({ authorities: intel, pck, td }))
      get().write('intel.pem', kit.toPem(intel.root))
      expect(await get().refusal(...AZURE_FORMAT)).toMatchObject({ hint: expect.stringContaining('--td-quote') })
      expect(await get().refusal(...AZURE_FORMAT, '--tee-certificate', 'vek.der')).toMatchObject({ code: 'usage' })
      await get().answer(...AZURE_FORMAT, '--td-quote', 'td.quote', '--out', 'td.json')
      const trust = ['--trust-root', 'intel.pem', '--without-collateral', '--at', '2026-06-01T00:00:00Z']
      const proved = await get().answer('evidence', 'verify', 'td.json', '--nonce', NONCE, ...trust)
      expect(proved).toMatchObject({ verified: true })
      await withTpm((tpm) => keep(tpm, AZURE.report, paravisor()))
    })

    test('an Intel machine’s quote is refused beside an AMD machine’s report, and none without its certificate', async () => {
      get().write('td.quote', Uint8Array.of(1))
      expect(await get().refusal(...AZURE_FORMAT, '--td-quote', 'td.quote')).toMatchObject({ code: 'usage' })
      expect(await get().refusal(...AZURE_FORMAT)).toMatchObject({ hint: expect.stringContaining('--tee-certificate') })
    })

    test.skipIf(missingVectors())('a recorded report is read as it was written', async () => {
      const recorded = readVector('coco/azure-hcl/hcl-report-snp.bin')
      await withTpm((tpm) => keep(tpm, AZURE.report, recorded))
      await get().answer(...AZURE_FORMAT, '--tee-certificate', 'vek.der', '--out', 'recorded.json')
      const { hcl_report: shown } = JSON.parse(Buffer.from(get().read('recorded.json')).toString())
      expect(Buffer.from(shown, 'base64url').equals(recorded)).toBe(true)
    })
  })
})

describe('a machine of Google’s', () => {
  const root = kit.makeCertificate({ subject: 'fake vTPM root', extensions: kit.AUTHORITY, ...NOW })
  const issuer = kit.makeCertificate({ subject: 'fake vTPM issuer', issuer: root, extensions: kit.AUTHORITY, ...NOW })
  const w = kit.derWriter
  const security = w.sequence(
    w.explicit(0, w.integer(2)),
    w.explicit(1, w.boolean(true)),
    w.explicit(2, w.boolean(false)),
  )
  const instance = w.sequence(
    w.utf8String('us-central1-a'),
    w.integer(1174787),
    w.utf8String('project'),
    w.integer(578015627),
    w.utf8String('vm-1'),
    w.explicit(0, security),
  )
  const OID = '1.3.6.1.4.1.11129.2.1.21'

  test.each([
    ['gce-ak-ecc', 0x01c10003, 0x01c10002, TEMPLATES.akEccP256],
    ['gce-ak-rsa', 0x01c10001, 0x01c10000, TEMPLATES.akRsa2048],
  ] as const)(
    'B04 shows a quote by %s, made of the template in its vTPM, with the certificate there, and by no other key with it',
    async (name, at, certificateAt, template) => {
      // Google's templates differ from everybody's in their unique bytes
      const sevens = (bytes: number) => new Uint8Array(bytes).fill(7)
      const area: TpmPublic =
        template.type === 'ecc' ? { ...template, x: sevens(32), y: sevens(32) } : { ...template, modulus: sevens(256) }
      const certificate = await withTpm(async (tpm) => {
        await keep(tpm, at, encodeTpmPublic(area))
        await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: area })
        const extensions = [kit.keyUsage('digitalSignature'), { oid: OID, value: instance }]
        const { der } = kit.makeCertificate({
          subject: [],
          issuer,
          key: keyOf(spkiOfTpmPublic(key.public)),
          extensions,
          ...NOW,
        })
        await keep(tpm, certificateAt, kit.derWriter.join(der, new Uint8Array(100))) // padded, as some are
        return der
      })
      get().write('root.pem', kit.toPem(root))
      get().write('issuer.pem', kit.toPem(issuer))
      const collect = ['evidence', 'collect', '--no-event-log', '--nonce', NONCE, '--out', 'vm.pb', '--key'] as const
      await get().answer(...collect, name, '--intermediate', 'issuer.pem')
      const verify = ['evidence', 'verify', 'vm.pb', '--without-boot-log', '--nonce'] as const
      const said = await get().run(...verify, NONCE, '--trust-root', 'root.pem')
      expect(said).toMatchObject({ status: 0, stdout: expect.stringContaining('vm-1 in us-central1-a') })

      get().write('other.pem', kit.toPem(kit.makeCertificate({ subject: 'other', extensions: kit.AUTHORITY, ...NOW })))
      const untrusted = await get().refusal(...verify, NONCE, '--trust-root', 'other.pem')
      expect(untrusted).toMatchObject({ code: 'endorsement.untrusted' })
      // a key of this TPM that Google did not certify, with Google's certificate beside it
      const ours = name === 'gce-ak-ecc' ? 'ak-ecc' : 'ak-rsa'
      get().write('ak.der', certificate)
      await get().answer(...collect, ours, '--ak-certificate', 'ak.der', '--intermediate', 'issuer.pem')
      expect(await get().refusal(...verify, NONCE, '--trust-root', 'root.pem')).toMatchObject({
        code: 'evidence.key',
      })
    },
  )
})
