import { missingVectors, readVector } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../../core/node/crypto.ts'
import { VENDOR } from '../efi/guid.ts'
import { EV } from '../event-types.ts'
import { measuredEvent, noActionEvent } from '../measured-event.ts'
import { parseCcelLog, parseTcgLog } from '../parse-tcg-log.ts'
import { startupLocalityData } from '../startup-locality.ts'
import { bootEvents } from './boot-events.ts'
import type { BootEvent } from './boot-events.ts'
import { describeEvent, registerName } from './describe-event.ts'
import { proofIn } from './measured-part.ts'

const context = proofIn('sha256', nodeCrypto)
const say = (event: BootEvent) =>
  describeEvent({ ...measuredEvent(event, ['sha256'], nodeCrypto), position: 1 }, 'pcr', context)
const ascii = (text: string) => new TextEncoder().encode(text)

describe('an event in words', () => {
  test.each<[BootEvent, string, string]>([
    [bootEvents.firmwareVersion('v2'), 'proved', 'firmware version "v2"'],
    [{ register: 0, type: EV.S_CRTM_VERSION, data: Uint8Array.of(1, 2) }, 'proved', 'firmware version 0102'],
    [bootEvents.separator(3), 'proved', 'firmware hands over: what follows here is not its own'],
    [{ register: 3, type: EV.SEPARATOR, data: Uint8Array.of(1, 0, 0, 0) }, 'proved', 'firmware reports an error'],
    [bootEvents.action(4, 'Calling'), 'proved', 'firmware says "Calling"'],
    [
      bootEvents.secureBootVariable({ vendor: VENDOR.global, name: 'SecureBoot', data: Uint8Array.of(1) }),
      'proved',
      'firmware variable SecureBoot is on',
    ],
    [
      bootEvents.secureBootVariable({ vendor: VENDOR.imageSecurity, name: 'dbx', data: Uint8Array.of(1) }),
      'proved',
      'firmware variable dbx, which cannot be read',
    ],
    [
      bootEvents.secureBootVariable({ vendor: VENDOR.global, name: 'Other', data: Uint8Array.of(1) }),
      'proved',
      'firmware variable "Other" with 1 byte',
    ],
    [bootEvents.grubCommand('boot'), 'proved', 'GRUB ran "boot"'],
    [bootEvents.kernelCommandLine('quiet'), 'proved', 'kernel command line "quiet"'],
    [{ register: 9, type: EV.POST_CODE, data: ascii('ACPI DATA') }, 'proved', 'measured "ACPI DATA"'],
    [{ register: 9, type: EV.POST_CODE, data: Uint8Array.of(1, 2) }, 'proved', 'measured 2 bytes: 0102'],
    [
      {
        register: 0,
        type: EV.EFI_PLATFORM_FIRMWARE_BLOB,
        data: new Uint8Array(16).with(1, 1).with(8, 5),
        measured: ascii('x'),
      },
      'digest only',
      'measured sha256 2d711642b726b044…, "firmware of 5 bytes at 0x100" as the log says',
    ],
    [
      bootEvents.file('/grub.cfg', ascii('x')),
      'digest only',
      'read file sha256 2d711642b726b044…, "/grub.cfg" as the log says',
    ],
    [bootEvents.application(ascii('x')), 'digest only', 'started application sha256 2d711642b726b044…'],
    [
      bootEvents.loadOptions('x'),
      'digest only',
      "the kernel's stub was started with command line sha256 e9036c04fb64a833…",
    ],
    [
      bootEvents.initrd(ascii('x')),
      'digest only',
      "the kernel's stub loaded initial RAM disk sha256 2d711642b726b044…",
    ],
    [
      { ...bootEvents.separator(0), measured: ascii('x') },
      'contradiction',
      'EV_SEPARATOR: the digest is not that of the data',
    ],
    [{ ...bootEvents.separator(0), type: EV.IPL }, 'contradiction', 'measured as a separator, but called EV_IPL'],
  ])('%# is %s: %s', (event, proof, sentence) => {
    expect(say(event)).toMatchObject({ proof, sentence })
  })

  test.each([
    [startupLocalityData(3), 'the TPM was started from locality 3: the replay of PCR 0 proves it'],
    [ascii('hello'), 'information "hello"'],
    [Uint8Array.of(0xff), 'information of 1 byte'],
  ])('%# that extends nothing is not measured', (data, sentence) => {
    const event = { ...noActionEvent(0, data, ['sha256']), position: 1 }
    expect(describeEvent(event, 'pcr', context)).toMatchObject({
      proof: 'not measured',
      type: 'EV_NO_ACTION',
      sentence,
    })
  })

  test('shows no control characters of the log, and no more than a line of it', () => {
    const { sentence } = say(bootEvents.grubCommand(`\u001b[2J\r\n"${'x'.repeat(1000)}`))
    expect(sentence).toMatch(/^GRUB ran "\\u001b\[2J\\u000d\\u000a/)
    expect(sentence.length).toBeLessThan(230)
  })

  test('names registers as the hardware does', () => {
    expect([0, 23].map((i) => registerName(i, 'pcr'))).toEqual(['PCR 0', 'PCR 23'])
    expect([0, 1, 4].map((i) => registerName(i, 'ccmr'))).toEqual(['MRTD', 'RTMR 0', 'RTMR 3'])
    expect(registerName('none', 'pcr')).toBe('no register')
  })
})

describe.skipIf(missingVectors())('recorded boots in words', () => {
  test.each([
    'gce/tpm/eventlogs/cos-85-amd-sev.bin',
    'gce/tpm/eventlogs/gdc-host.bin',
    'gce/tpm/eventlogs/ubuntu-2404-amd-sevsnp.bin',
    'gce/tpm/eventlogs-legacy/option_rom_eventlog',
    'seed-systems/tpm/gce-eventlog.bin',
    'vm-boot/evlog.bin',
  ])('%s: every event has its sentence', (file) => {
    const log = parseTcgLog(readVector(file))
    const own = proofIn(log.banks.includes('sha256') ? 'sha256' : 'sha1', nodeCrypto)
    for (const event of log.events) {
      const { register, sentence } = describeEvent(event, log.space, own)
      expect(register).toMatch(/^(PCR \d+|no register)$/)
      expect(sentence).toMatch(/^[\x20-\x7e…]{5,2100}$/)
    }
  })

  test('a boot is told from its registers', () => {
    const log = parseTcgLog(readVector('gce/tpm/eventlogs/cos-101-amd-sev.bin'))
    const told = log.events.map((event) => describeEvent(event, log.space, context))
    expect(told.map(({ register, sentence }) => `${register}: ${sentence}`)).toEqual(
      expect.arrayContaining([
        'PCR 0: firmware version "GCE Virtual Firmware v1"',
        "PCR 0: Google's firmware runs under amd-sev",
        'PCR 7: firmware variable SecureBoot is on',
        'PCR 7: firmware variable dbx holds 4 certificates, 0 hashes',
        'PCR 7: an image was checked with a certificate of 1041 bytes from "db", enrolled by d281fad2-8d88-47a4-9792-5baa47bb1b89',
        'PCR 1: boot variable "BootOrder" as the log says: order 0000, 0001',
        'PCR 5: partition table of disk 6ebbe8d0-2a17-1646-8662-6754986179a7 with 12 partitions',
        'PCR 5: firmware says "Exit Boot Services Invocation"',
      ]),
    )
  })

  test('a guest without TPM has runtime registers', () => {
    const log = parseCcelLog(readVector('coco/eventlog/CCEL_AAEL_alibabacloud'))
    const last = describeEvent(log.events.at(-1)!, log.space, proofIn('sha384', nodeCrypto))
    expect(last).toMatchObject({ register: 'RTMR 3', type: 'EV_EVENT_TAG', proof: 'proved' })
  })
})
