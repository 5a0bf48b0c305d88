import fc from 'fast-check'
import { makeFirmwareImage, TEST_SECTIONS, type FirmwareSpec } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { toHex, utf8 } from '../../base/encoding.ts'
import { type ErrorCode, VouchsafeError } from '../../base/errors.ts'
import { parseFirmwareImage, type SnpLaunch, snpLaunchDigest } from './index.ts'

const firmware = parseFirmwareImage(makeFirmwareImage())
const boot = { kernel: utf8('kernel'), initrd: utf8('initrd'), commandLine: 'console=ttyS0 root=/dev/vda' }
const digest = (launch: Partial<SnpLaunch> = {}) =>
  toHex(snpLaunchDigest({ firmware, boot, vcpus: 4, cpu: 'EPYC-Milan', ...launch }, nodeCrypto))
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

/** What `sev-snp-measure` 0.0.12 gives for the same image: `npm run interop -- sev-snp-measure` asks it again. */
test.each<[number, SnpLaunch['cpu'], string, string]>([
  [
    1,
    'EPYC-v4',
    '100a641d074117c5a242cf03997d64c464075230af4178e10285d496bcf383602f16be03bc1bdda9529718155f52e5fb',
    '0a773d9b9e642f4f6a3881273674ab73525b6a83a7801a207d3495bdfb740217c490e75a257267048b9a489d0b63a847',
  ],
  [
    4,
    'EPYC-Milan',
    '9f010eb03dafee5753d98d9c88a6283b75a51be040b6f3b795da80813dab720d549340b454d458fd2289ec1c56ef34e8',
    'e943bd9bbb66b9e5fcf0691bc441444872771c2a525ee74ff2fdae1ca4448270e6c66472aacbec984dc09b7b62604088',
  ],
  [
    3,
    'EPYC-Genoa',
    'b4f1533722c9b7bedb2e8bfd13fde3d52f1e1ef99f1711a0252d8b3c661f54a0bb317e9e54c335d164b90d742674f1aa',
    '2ae0283de4ee3c945829f39203e60e096fc501307f3f28c2008c076eb5cf86972fb3ba0e8a793d9e82fe04fe9b3555fa',
  ],
])(
  'KB-30 %i processors of %s measure as another implementation says, with a kernel and without',
  (vcpus, cpu, direct, bare) => {
    expect(digest({ vcpus, cpu })).toBe(direct)
    expect(toHex(snpLaunchDigest({ firmware, vcpus, cpu }, nodeCrypto))).toBe(bare)
  },
)

test('KB-30 D12 every part of a launch changes the measurement', () => {
  const other = parseFirmwareImage(makeFirmwareImage({ fill: 1 }))
  const twins = [
    digest(),
    digest({ vcpus: 5 }),
    digest({ cpu: 'EPYC-Genoa' }),
    digest({ features: 5n }),
    digest({ firmware: other }),
    digest({ boot: { ...boot, kernel: utf8('kernel!') } }),
    digest({ boot: { ...boot, initrd: new Uint8Array() } }),
    digest({ boot: { ...boot, commandLine: `${boot.commandLine} init=/bin/sh` } }),
  ]
  expect(new Set(twins).size).toBe(twins.length)
})

describe('refuses', () => {
  test.each<[string, FirmwareSpec, ErrorCode, string]>([
    ['firmware for ordinary guests', { metadata: null }, 'evidence.unsupported', 'no SEV metadata'],
    ['a section of unknown meaning', { sections: [[0x80_0000, 0x1000, 9]] }, 'evidence.unsupported', 'type 9'],
    ['a section that is no page', { sections: [[0x80_0001, 0x1000, 1]] }, 'input.malformed', 'whole pages'],
  ])('%s', (_what, spec, code, message) => {
    expect(() => parseFirmwareImage(makeFirmwareImage(spec))).toThrow(refusal(code, message))
  })

  test.each<[string, Uint8Array, ErrorCode]>([
    ['a file that is no firmware', new Uint8Array(8192), 'evidence.unsupported'],
    ['half a page', makeFirmwareImage().subarray(1), 'input.malformed'],
    ['nothing', new Uint8Array(), 'input.malformed'],
  ])('%s', (_what, bytes, code) => {
    expect(() => parseFirmwareImage(bytes)).toThrow(refusal(code, 'firmware'))
  })

  test.each<[string, FirmwareSpec]>([
    ['no place for hashes in its table', { hashesGpa: null }],
    ['no section for hashes', { sections: TEST_SECTIONS.slice(0, -1) }],
  ])('a direct boot in firmware with %s: it would not be measured', (_what, spec) => {
    expect(() => digest({ firmware: parseFirmwareImage(makeFirmwareImage(spec)) })).toThrow(
      refusal('evidence.unsupported', 'would not be measured'),
    )
  })

  test.each([0, -1, 1.5, 5000])('%d processors', (vcpus) => {
    expect(() => digest({ vcpus })).toThrow(refusal('input.malformed', 'processors'))
  })
})

test('firmware fails only with a coded error, whatever byte of its end is changed', () => {
  const image = makeFirmwareImage()
  fc.assert(
    fc.property(fc.nat(2100), fc.nat(255), (fromEnd, byte) => {
      try {
        parseFirmwareImage(image.with(image.length - 1 - fromEnd, byte))
      } catch (e) {
        expect(e).toBeInstanceOf(VouchsafeError)
        expect((e as VouchsafeError).code).not.toBe('internal')
      }
    }),
    { seed: 1, numRuns: 800 },
  )
})
