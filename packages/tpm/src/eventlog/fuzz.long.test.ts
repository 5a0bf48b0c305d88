import { feed as feedAnything, missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../core/node/crypto.ts'
import { encodeTpmSignature, TpmError } from '../codec/index.ts'
import {
  describeCelRecord,
  describeEvent,
  describeImaEvent,
  EV,
  parseBootOption,
  parseCcelLog,
  parseCel,
  parseGptTable,
  parseImaAsciiLog,
  parseImaLog,
  parseKernelCommandLine,
  parseSignatureDatabase,
  parseTcgLog,
  proofIn,
  readBootReport,
  readConfidentialSpaceLaunch,
  readLaunch,
  replayCel,
  replayIma,
  replayTcgLog,
} from './index.ts'
import { parseEfiVariable } from './efi/variable.ts'
import type { Bank, TcgLog } from './index.ts'
import type { HashName } from '../verify/index.ts'
import { verifyTpmCertify, verifyTpmQuote } from '../verify/index.ts'

const OPTIONS = { applicationMayPrecedeBootOption: true, mayEndBeforeExit: true }

/** Whatever is thrown must be ours, and say that the input or the evidence is at fault. */
const isOurs = (error: unknown) => error instanceof TpmError && /^(?:input|evidence)\./.test(error.code)
const feed = (corpus: readonly Uint8Array[], run: (bytes: Uint8Array) => unknown) => feedAnything(corpus, run, isOurs)

function readAll(log: TcgLog): void {
  const [bank] = log.banks.filter((b: Bank): b is HashName => b.startsWith('sha') && !b.startsWith('sha3_'))
  if (bank === undefined) return
  replayTcgLog(log, bank, nodeCrypto)
  const context = proofIn(bank, nodeCrypto)
  for (const event of log.events) describeEvent(event, log.space, context)
  readBootReport(log, bank, nodeCrypto, OPTIONS)
}

const LOGS = [
  'cos-85-amd-sev',
  'debian-10',
  'gdc-host',
  'ubuntu-2404-amd-sevsnp',
  'arch-linux-workstation',
  'eventlogwithsp800155',
]
const boots = () => [
  ...LOGS.map((name) => readVector(`gce/tpm/eventlogs/${name}.bin`)),
  readVector('vm-boot/evlog.bin'),
]
const events = (...types: number[]) =>
  boots().flatMap((raw) =>
    parseTcgLog(raw)
      .events.filter(({ type }) => types.includes(type))
      .map(({ data }) => data.slice()),
  )
const variables = (...names: string[]) =>
  events(EV.EFI_VARIABLE_DRIVER_CONFIG, EV.EFI_VARIABLE_BOOT)
    .map(parseEfiVariable)
    .filter(({ name }) => names.some((n) => name.startsWith(n)))
    .map(({ data }) => data.slice())

describe.skipIf(missingVectors())('fed with changed recordings, only errors of ours come out', () => {
  test('boot logs', () => feed(boots(), (bytes) => readAll(parseTcgLog(bytes))))

  test('log areas of confidential guests', () => {
    const corpus = [
      'gce/ccel/cos-113-intel-tdx-dupe-separator-unpadded.bin',
      'coco/eventlog/CCEL_AAEL_alibabacloud',
      'gce/ccel/event_log.bin',
    ]
    return feed(corpus.map(readVector), (bytes) => readAll(parseCcelLog(bytes)))
  })

  test('boot logs whose digests are made to fit, so that what they say is read', () =>
    feed(boots(), (bytes) => {
      const log = parseTcgLog(bytes)
      const refit = log.events.map((event) => ({
        ...event,
        digests: new Map([['sha256' as const, nodeCrypto.digest('sha256', event.data)]]),
      }))
      if (refit.length > 0) readAll({ ...log, format: 'sha1', banks: ['sha256'], events: refit })
    }))

  test('canonical event logs', () => {
    const corpus = [
      new Uint8Array(Buffer.from(readVectorText('gce/cel/agent-cel.b64'), 'base64')),
      readVector('gce/cel/host-cel_launch_event_log.bin'),
    ]
    return feed(corpus, (bytes) => {
      const log = parseCel(bytes)
      const bank = log[0]?.digests.has('sha384') === true ? 'sha384' : 'sha256'
      for (const record of log) describeCelRecord(record, bank, nodeCrypto)
      const readers = [replayCel, readLaunch, readConfidentialSpaceLaunch]
      const errors = readers.flatMap((read) => {
        try {
          read(log, bank, nodeCrypto)
          return []
        } catch (error) {
          return [error]
        }
      })
      for (const error of errors) if (!(error instanceof TpmError)) throw error
    })
  })

  test('runtime measurements', () =>
    feed([readVector('vm-boot/ima.bin')], (bytes) => {
      const log = parseImaLog(bytes)
      for (const event of log) describeImaEvent(event, nodeCrypto)
      replayIma(log, 'sha256', nodeCrypto)
    }))

  test('runtime measurements in text', () => {
    const { entry, templateHash } = parseImaLog(readVector('vm-boot/ima.bin'))[0]!
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
    const line = `10 ${hex(templateHash)} ima-sig sha256:${hex(entry!.digest)} boot_aggregate \n`
    return feed([new TextEncoder().encode(line.repeat(3))], (bytes) =>
      replayIma(parseImaAsciiLog(Buffer.from(bytes).toString('latin1')), 'sha256', nodeCrypto),
    )
  })

  test('signature databases', () => feed(variables('PK', 'KEK', 'db'), parseSignatureDatabase))

  test('firmware variables', () => feed(events(EV.EFI_VARIABLE_DRIVER_CONFIG), parseEfiVariable))

  test('partition tables', () => feed(events(EV.EFI_GPT_EVENT), parseGptTable))

  test('boot options and the device paths in them', () => feed(variables('Boot000'), parseBootOption))

  test('kernel command lines', () =>
    feed([new TextEncoder().encode('/vmlinuz root=/dev/sda "dm=1 a b" console=ttyS0 a="b c" -- x')], (bytes) =>
      parseKernelCommandLine(Buffer.from(bytes).toString('latin1')),
    ))

  const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
  const flow = () => JSON.parse(readVectorText('seed-systems/tpm/td-2021-attest-flow.json'))

  test.each(['attest', 'signature', 'akPublic'] as const)('quotes with another %s', async (field) => {
    const { ak, quotes, pcr0 } = flow()
    const quote = {
      attest: hex(quotes[0].attest),
      signature: encodeTpmSignature({
        scheme: 'rsassa',
        hash: 'sha256',
        signature: hex(quotes[0].signature),
      }) as Uint8Array,
      akPublic: hex(ak.tpmtPublic) as Uint8Array,
      pcrs: { bank: 'sha256', values: new Map([[0, hex(pcr0)]]) },
      expectedExtraData: new TextEncoder().encode(quotes[0].nonceUtf8),
      allowedBanks: ['sha256'],
      requiredPcrs: [0],
    } as const
    const genuine = await verifyTpmQuote(quote, nodeCrypto)
    return feed([quote[field]], async (bytes) => {
      const { akSpki, akName } = await verifyTpmQuote({ ...quote, [field]: bytes }, nodeCrypto)
      // RSA signatures and attested bytes have one form; of a public area, what changes is in the name
      if (field !== 'akPublic') expect(bytes).toEqual(quote[field])
      else
        expect([akSpki, String(akName) === String(genuine.akName)]).toEqual([
          genuine.akSpki,
          String(bytes) === String(quote.akPublic),
        ])
    })
  })

  test.each(['attest', 'certifiedPublic'] as const)('certified keys with another %s', (field) => {
    const { ak, certify } = flow()
    const statement = {
      attest: hex(certify.attest) as Uint8Array,
      signature: encodeTpmSignature({ scheme: 'rsassa', hash: 'sha256', signature: hex(certify.signature) }),
      akPublic: hex(ak.tpmtPublic),
      certifiedPublic: hex(certify.certifiedTpmtPublic) as Uint8Array,
      expectedExtraData: new Uint8Array(),
      dangerouslyAllowEmptyExtraData: true,
      usage: 'sign',
      authPolicy: 'any',
    } as const
    return feed([statement[field]], async (bytes) => {
      await verifyTpmCertify({ ...statement, [field]: bytes }, nodeCrypto)
      expect(bytes).toEqual(statement[field])
    })
  })
})
