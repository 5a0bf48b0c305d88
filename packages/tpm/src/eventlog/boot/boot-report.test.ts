import { haveVectors, missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../../core/node/crypto.ts'
import type { HashName } from '../../verify/crypto.ts'
import { VENDOR } from '../efi/guid.ts'
import { encodeSignatureDatabase } from '../efi/signature-list.ts'
import { EV } from '../event-types.ts'
import { toHex } from '../hex.ts'
import { measuredEvent, noActionEvent } from '../measured-event.ts'
import { parseCcelLog, parseTcgLog } from '../parse-tcg-log.ts'
import { replayTcgLog } from '../replay.ts'
import type { TcgEvent, TcgLog } from '../tcg-log.ts'
import { verifyReplays } from '../verify-replays.ts'
import { newTcgLog } from '../write-tcg-log.ts'
import { bootEvents } from './boot-events.ts'
import type { BootEvent } from './boot-events.ts'
import { readBootReport } from './boot-report.ts'
import type { BootPart, BootReport } from './boot-report.ts'
import { gceNonHostInfo } from './platform.ts'

const OWNER = 'd281fad2-8d88-47a4-9792-5baa47bb1b89'
const CERTIFICATE = Uint8Array.of(0x30, 0x82, 0x01, 0x00, ...new Uint8Array(256).fill(5))
const OTHER_CERTIFICATE = CERTIFICATE.with(9, 6)
const database = encodeSignatureDatabase({ certificates: [{ owner: OWNER, der: CERTIFICATE }], hashes: [] })
const nonHost = (technology: number): BootEvent => ({
  register: 0,
  type: EV.NONHOST_INFO,
  data: gceNonHostInfo(technology),
})
const secureBoot = (on: number) =>
  bootEvents.secureBootVariable({ vendor: VENDOR.global, name: 'SecureBoot', data: Uint8Array.of(on) })
const keys = (name: 'PK' | 'KEK' | 'db' | 'dbx', data = database) =>
  bootEvents.secureBootVariable({ vendor: name.startsWith('d') ? VENDOR.imageSecurity : VENDOR.global, name, data })
const authority = (der: Uint8Array) =>
  bootEvents.authority({
    vendor: VENDOR.imageSecurity,
    name: 'db',
    data: Uint8Array.of(...encodeGuidOf(OWNER), ...der),
  })
const LINE = '/vmlinuz root=/dev/vda quiet'

/** A whole boot as a simulator measures it, each event with a name to find it by. */
const boot = {
  version: bootEvents.firmwareVersion('GCE Virtual Firmware v2'),
  technology: nonHost(1),
  secureBoot: secureBoot(1),
  pk: keys('PK'),
  kek: keys('KEK'),
  db: keys('db'),
  dbx: keys('dbx', new Uint8Array()),
  separator7: bootEvents.separator(7),
  calling: bootEvents.action(4, 'Calling EFI Application from Boot Option'),
  ...Object.fromEntries([0, 1, 2, 3, 4, 5, 6].map((i) => [`separator${i}`, bootEvents.separator(i)])),
  authority: authority(CERTIFICATE),
  shim: bootEvents.application(Uint8Array.of(1)),
  grubEfi: bootEvents.application(Uint8Array.of(2)),
  config: bootEvents.file('(hd0)/grub.cfg', Uint8Array.of(3)),
  command: bootEvents.grubCommand('linux /vmlinuz'),
  line: bootEvents.kernelCommandLine(LINE),
  options: bootEvents.loadOptions(LINE),
  initrd: bootEvents.initrd(Uint8Array.of(4)),
  exit: bootEvents.action(5, 'Exit Boot Services Invocation'),
  done: bootEvents.action(5, 'Exit Boot Services Returned with Success'),
} satisfies Record<string, BootEvent>
type Name = keyof typeof boot | `separator${0 | 1 | 2 | 3 | 4 | 5 | 6}`

type Step = BootEvent | TcgEvent
const logOf = (steps: readonly Step[]): TcgLog =>
  newTcgLog(
    ['sha256'],
    steps.map((step) => ('digests' in step ? step : measuredEvent(step, ['sha256'], nodeCrypto))),
  )
const whole = logOf(Object.values(boot))
const at = (name: Name) => Object.keys(boot).indexOf(name)
const measured = (name: Name) => whole.events[at(name)]!

/** The attacker's power: any label and any data on events whose digests stay, and further extensions after boot. */
const relabel = (name: Name, change: Partial<TcgEvent>) =>
  logOf(whole.events.with(at(name), { ...measured(name), ...change }))
const without = (...names: Name[]) => logOf(whole.events.filter((_, i) => !names.some((name) => at(name) === i)))
const before = (name: Name, ...extra: Step[]) =>
  logOf([...whole.events.slice(0, at(name)), ...extra, ...whole.events.slice(at(name))])
const after = (...extra: Step[]) => logOf([...whole.events, ...extra])
const replaced = (name: Name, by: Step) =>
  logOf(whole.events.map((event, i) => (i === at(name) ? by : event)) as Step[])

const OPTIONS = { applicationMayPrecedeBootOption: false, mayEndBeforeExit: false }
const report = (log: TcgLog, options = OPTIONS) => readBootReport(log, 'sha256', nodeCrypto, options)
const refusal = (part: BootPart<unknown>) => (part.kind === 'refused' ? part.reason : 'not refused')
const factsOf = <P extends keyof BootReport>(r: BootReport, part: P) => {
  const found = r[part] as BootPart<Extract<BootReport[P], { kind: 'facts' }>['facts']>
  if (found.kind === 'refused') throw new Error(`${part}: ${found.reason}`)
  return found.facts
}

describe('a whole boot', () => {
  test('gives all its facts', () => {
    const all = report(whole)
    expect(factsOf(all, 'platform')).toEqual({
      firmwareVersion: 'GCE Virtual Firmware v2',
      gceVersion: 2,
      gceTechnology: 'amd-sev',
    })
    expect(factsOf(all, 'secureBoot')).toMatchObject({
      enabled: true,
      db: { certificates: [{ owner: OWNER, der: CERTIFICATE }] },
      authorities: [{ name: 'db', certificate: CERTIFICATE, owner: OWNER }],
      dmaProtectionDisabled: false,
      unread: [],
    })
    expect(factsOf(all, 'efi').applications.map(({ digest }) => toHex(digest))).toEqual(
      [1, 2].map((image) => toHex(nodeCrypto.digest('sha256', Uint8Array.of(image)))),
    )
    expect(factsOf(all, 'grub')).toMatchObject({
      commands: ['linux /vmlinuz'],
      files: [{ untrustedName: '(hd0)/grub.cfg' }],
    })
    expect(factsOf(all, 'kernel')).toMatchObject({ commandLine: { text: LINE }, confirmedByStub: true })
    expect(factsOf(all, 'kernel').initrdDigests).toEqual([nodeCrypto.digest('sha256', Uint8Array.of(4))])
  })

  test('proves nothing in a bank that it does not have', () => {
    const other = readBootReport(whole, 'sha384', nodeCrypto, OPTIONS)
    expect(Object.values(other).map((part) => part.kind)).toEqual(Array.from({ length: 5 }, () => 'refused'))
  })

  test('C01 with every type set to EV_UNUSED proves nothing', () => {
    const unused = report(logOf(whole.events.map((event) => ({ ...event, type: EV.UNUSED }))))
    expect(Object.values(unused).map((part) => part.kind)).toEqual(Array.from({ length: 5 }, () => 'refused'))
  })

  test('C01 with every type set to EV_NO_ACTION does not even replay', () => {
    const silent = logOf(whole.events.map((event) => ({ ...event, type: EV.NO_ACTION })))
    expect(() => replayTcgLog(silent, 'sha256', nodeCrypto)).toThrow(expect.objectContaining({ code: 'evidence.log' }))
  })

  const DATA_BEARING = [
    'version',
    'technology',
    'secureBoot',
    'pk',
    'kek',
    'db',
    'dbx',
    'separator7',
    'separator0',
    'calling',
    'authority',
    'command',
    'line',
    'exit',
  ] as const
  test.each(DATA_BEARING)('C02 is refused when the data of %s is edited under its digest', (name) => {
    const { data } = measured(name)
    const last = data.length - (name === 'command' || name === 'line' ? 2 : 1)
    const edited = report(relabel(name, { data: data.with(last, data[last]! ^ 1) }))
    const reasons = Object.values(edited)
      .map(refusal)
      .filter((reason) => reason !== 'not refused')
    expect(reasons.join()).toMatch(/digest is not that|not 32 bytes|is neither of/)
  })

  test.each(DATA_BEARING)('C01 is refused when %s gets another label', (name) => {
    const labels = [
      EV.POST_CODE,
      EV.EFI_ACTION,
      EV.PLATFORM_CONFIG_FLAGS,
      EV.EFI_VARIABLE_BOOT,
      EV.TABLE_OF_DEVICES,
      0x1234,
    ]
    for (const type of labels.filter((label) => label !== measured(name).type)) {
      const all = report(relabel(name, { type }))
      expect(Object.values(all).some((part) => part.kind === 'refused')).toBe(true)
    }
  })
})

describe('the platform', () => {
  const platform = (log: TcgLog) => refusal(report(log).platform)

  test('C08 is refused with two versions or two technologies, in either order', () => {
    expect(platform(before('version', bootEvents.firmwareVersion('GCE Virtual Firmware v9')))).toContain(
      'duplicate firmware version',
    )
    expect(platform(before('technology', nonHost(4)))).toContain('duplicate GCE technology')
  })

  test('is refused without version or separator', () => {
    expect(platform(without('version'))).toContain('no firmware version')
    expect(platform(without('separator0'))).toContain('no separator')
  })

  test('C03 takes nothing from after the separator', () => {
    expect(platform(logOf([boot.technology, bootEvents.separator(0), boot.version]))).toContain('no firmware version')
    expect(factsOf(report(after(nonHost(4))), 'platform').gceTechnology).toBe('amd-sev')
  })

  test('C01 is refused when its technology is called something else', () => {
    for (const type of [EV.POST_CODE, EV.EFI_PLATFORM_FIRMWARE_BLOB, EV.ACTION])
      expect(platform(relabel('technology', { type }))).toMatch(/measured as GCE NonHostInfo|unexpected/)
    expect(platform(relabel('technology', { type: EV.POST_CODE, data: new Uint8Array() }))).toContain(
      'measured as GCE NonHostInfo',
    )
  })

  test('C01 is refused when its separator is called something else, or something else a separator', () => {
    expect(platform(relabel('separator0', { type: EV.POST_CODE }))).toContain(
      'measured as a separator, but called EV_POST_CODE',
    )
    expect(platform(relabel('technology', { type: EV.SEPARATOR, data: new Uint8Array(4) }))).toContain('EV_SEPARATOR')
    expect(
      platform(before('technology', { register: 0, type: EV.SEPARATOR, data: Uint8Array.of(1, 2, 3, 4) })),
    ).not.toContain('not refused')
  })

  test('C01 is refused with an event of a type that no specification names', () => {
    const unknown = { register: 0, type: 0x1234, data: Uint8Array.of(1), measured: Uint8Array.of(2) }
    expect(platform(before('technology', unknown))).toContain('0x00001234 is no known type')
    expect(platform(before('technology', { ...unknown, type: EV.POST_CODE }))).toBe('not refused')
  })

  test('knows both ordinary separators, and one that reports an error', () => {
    const ones = { register: 0, type: EV.SEPARATOR, data: new Uint8Array(4).fill(0xff) }
    expect(platform(replaced('separator0', ones))).toBe('not refused')
    expect(platform(replaced('separator0', { ...ones, data: Uint8Array.of(1, 0, 0, 0) }))).toContain('reports an error')
  })

  test('is refused with an unknown technology, or one with anything reserved set', () => {
    expect(platform(replaced('technology', nonHost(5)))).toContain('known technology')
    const reserved = { ...nonHost(1), data: gceNonHostInfo(1).with(31, 1) }
    expect(platform(replaced('technology', reserved))).toContain('known technology')
    const long = { ...nonHost(1), data: Uint8Array.of(...gceNonHostInfo(1), 0) }
    expect(platform(replaced('technology', long))).toContain('known technology')
  })

  test('gives a version that is no text as bytes', () => {
    const bytes = { ...boot.version, data: Uint8Array.of(1, 2, 3) }
    expect(factsOf(report(replaced('version', bytes)), 'platform')).toEqual({
      firmwareVersion: Uint8Array.of(1, 2, 3),
      gceTechnology: 'amd-sev',
    })
  })

  test('ignores what extends no register', () => {
    const information = noActionEvent(0, Uint8Array.of(1), ['sha256'])
    expect(platform(logOf([{ ...information, position: 0 }, ...whole.events]))).toBe('not refused')
  })
})

describe('secure boot', () => {
  const secure = (log: TcgLog) => refusal(report(log).secureBoot)

  test.each(['secureBoot', 'pk', 'kek', 'db', 'dbx'] as const)('is refused without the variable %s', (name) => {
    expect(secure(without(name))).toMatch(/^variable \w+ was not measured$/)
  })

  test.each(['secureBoot', 'pk', 'kek', 'db', 'dbx'] as const)('C08 is refused when %s is measured twice', (name) => {
    expect(secure(before('separator7', boot[name]))).toContain('duplicate variable')
  })

  test('C03 is refused with two separators, none, or variables after it', () => {
    expect(secure(after(bootEvents.separator(7)))).toContain('duplicate separator')
    expect(secure(without('separator7'))).toMatch(/before the separator|no separator/)
    expect(secure(after(keys('db')))).toContain('comes after the separator')
    expect(secure(before('separator7', authority(CERTIFICATE)))).toContain('before the separator')
  })

  test('is off when it says so, and refused when it says neither', () => {
    expect(factsOf(report(replaced('secureBoot', secureBoot(0))), 'secureBoot').enabled).toBe(false)
    expect(secure(replaced('secureBoot', secureBoot(2)))).toContain('neither on nor off')
    const empty = bootEvents.secureBootVariable({ vendor: VENDOR.global, name: 'SecureBoot', data: new Uint8Array() })
    expect(secure(replaced('secureBoot', empty))).toContain('SecureBoot data len is 0, expected 1')
  })

  test('C01 a variable of another vendor is not the one of that name', () => {
    const foreign = bootEvents.secureBootVariable({ vendor: OWNER, name: 'SecureBoot', data: Uint8Array.of(1) })
    expect(secure(replaced('secureBoot', foreign))).toContain(`of vendor ${OWNER}`)
    const db = bootEvents.secureBootVariable({ vendor: VENDOR.global, name: 'db', data: database })
    expect(secure(replaced('db', db))).toContain(`of vendor ${VENDOR.global}`)
  })

  test('is refused when it is on without keys, or without having checked anything', () => {
    for (const name of ['PK', 'KEK', 'db'] as const) {
      const step = name === 'PK' ? 'pk' : name === 'KEK' ? 'kek' : 'db'
      expect(secure(replaced(step, keys(name, new Uint8Array())))).toContain(`${name.toLowerCase()} is empty`)
    }
    expect(secure(without('authority'))).toContain('no image was checked')
    const sbat = bootEvents.authority({ vendor: VENDOR.shim, name: 'SbatLevel', data: Uint8Array.of(1) })
    expect(secure(replaced('authority', sbat))).toContain('no image was checked')
  })

  test('is refused in debug mode, and tells when memory was open to devices', () => {
    expect(secure(before('separator7', bootEvents.action(7, 'UEFI Debug Mode')))).toContain('debug mode')
    expect(secure(before('separator7', bootEvents.action(7, 'something')))).toContain('unexpected')
    const dma = bootEvents.action(7, 'DMA Protection Disabled')
    expect(factsOf(report(before('separator7', dma)), 'secureBoot').dmaProtectionDisabled).toBe(true)
    expect(secure(before('separator7', dma, dma))).toContain('duplicate DMA')
  })

  test('C01 is refused with anything else in its register', () => {
    for (const type of [EV.EFI_VARIABLE_BOOT, EV.PLATFORM_CONFIG_FLAGS, EV.IPL, EV.EFI_BOOT_SERVICES_APPLICATION])
      expect(secure(after({ register: 7, type, data: Uint8Array.of(1), measured: Uint8Array.of(2) }))).not.toBe(
        'not refused',
      )
    expect(secure(relabel('authority', { type: EV.PLATFORM_CONFIG_FLAGS }))).toContain('unexpected event type')
  })

  test('C05 is refused when a database does not add up, although that is what was measured', () => {
    const crafted = Uint8Array.from(database)
    new DataView(crafted.buffer).setUint32(20, 16, true)
    expect(secure(replaced('db', keys('db', crafted)))).toContain('signatureHeaderSize')
    expect(secure(replaced('dbx', keys('dbx', database.subarray(0, -1))))).toContain('variable dbx')
  })

  test('tells every authority in order', () => {
    const { authorities } = factsOf(report(after(authority(OTHER_CERTIFICATE))), 'secureBoot')
    expect(authorities.map(({ certificate }) => certificate)).toEqual([CERTIFICATE, OTHER_CERTIFICATE])
  })

  test('is refused with an authority that holds no certificate', () => {
    const text = bootEvents.authority({ vendor: VENDOR.imageSecurity, name: 'db', data: new Uint8Array(40) })
    expect(secure(replaced('authority', text))).toContain('neither a certificate')
    const short = bootEvents.authority({ vendor: VENDOR.imageSecurity, name: 'db', data: new Uint8Array(8) })
    expect(secure(replaced('authority', short))).toContain('owner')
  })

  test('an old certificate without owner is taken only in exactly its old form', () => {
    const bare = bootEvents.authority({ vendor: VENDOR.imageSecurity, name: 'db', data: CERTIFICATE })
    const old = (tail: readonly number[], drop: number): Step => {
      const data = Uint8Array.of(...bare.data, ...tail)
      return { ...bare, data, measured: data.subarray(0, data.length - drop) }
    }
    expect(factsOf(report(replaced('authority', old([0, 0xaf], 1))), 'secureBoot').authorities).toEqual([
      { vendor: VENDOR.imageSecurity, name: 'db', certificate: CERTIFICATE },
    ])
    expect(secure(replaced('authority', old([0, 0xaf], 2)))).toContain('digest is not that of the data')
    expect(
      secure(
        replaced(
          'authority',
          old(
            Array.from({ length: 8 }, () => 0),
            1,
          ),
        ),
      ),
    ).toContain('left over')
    const owned = old([0], 1)
    const data = Uint8Array.of(...boot.authority.data, 0)
    expect(secure(replaced('authority', { ...owned, data, measured: data.subarray(0, -1) } as Step))).toContain(
      '1 bytes left over',
    )
  })
})

describe('what firmware started', () => {
  const efi = (log: TcgLog, options = OPTIONS) => refusal(report(log, options).efi)

  test('C03 is refused with a second separator or a second call', () => {
    for (const register of [2, 4, 5])
      expect(efi(after(bootEvents.separator(register)))).toContain(`duplicate separator of pcr ${register}`)
    expect(efi(before('calling', boot.calling))).toContain('duplicate Calling')
    expect(efi(after(boot.calling))).toContain('comes after the separator')
    for (const register of [2, 4, 5] as const)
      expect(efi(without(`separator${register}`))).toContain(`no separator of pcr ${register}`)
  })

  test('C01 is refused when an application gets another label', () => {
    const labels = [
      EV.POST_CODE,
      EV.PLATFORM_CONFIG_FLAGS,
      EV.IPL,
      EV.EFI_HANDOFF_TABLES,
      EV.EFI_VARIABLE_BOOT,
      EV.COMPACT_HASH,
    ]
    for (const type of labels) expect(efi(relabel('grubEfi', { type }))).not.toBe('not refused')
    // even with data that the digest does cover: the image itself
    for (const type of labels) expect(efi(relabel('grubEfi', { type, data: Uint8Array.of(2) }))).not.toBe('not refused')
  })

  test('takes an application before the call only where that is allowed', () => {
    const early = before('calling', bootEvents.application(Uint8Array.of(9)))
    expect(efi(early)).toContain('before CallingEFIApp event')
    expect(
      factsOf(report(early, { ...OPTIONS, applicationMayPrecedeBootOption: true }), 'efi').applications.length,
    ).toBe(3)
  })

  test('C04 takes a log that does not show the end of boot services only where that is allowed', () => {
    expect(efi(without('exit'))).toContain('no Exit Boot Services Invocation')
    expect(efi(without('exit', 'done'), { ...OPTIONS, mayEndBeforeExit: true })).toBe('not refused')
    expect(efi(before('exit', boot.exit, bootEvents.action(5, 'Exit Boot Services Returned with Failure')))).toBe(
      'not refused',
    )
  })

  test('is refused with an action that is not known, or an error of firmware', () => {
    expect(efi(after(bootEvents.action(4, 'Entering ROM Based Setup')))).toContain('unexpected')
    const failed = { register: 4, type: EV.SEPARATOR, data: Uint8Array.of(1, 0, 0, 0) }
    expect(efi(replaced('separator4' as Name, failed))).toContain('reports an error')
  })

  test('tells drivers apart from applications', () => {
    const driver = {
      register: 2,
      type: EV.EFI_BOOT_SERVICES_DRIVER,
      data: new Uint8Array(),
      measured: Uint8Array.of(8),
    }
    const runtime = { ...driver, type: EV.EFI_RUNTIME_SERVICES_DRIVER }
    const facts = factsOf(report(before('calling', driver, runtime)), 'efi')
    expect([facts.bootDrivers.length, facts.runtimeDrivers.length, facts.applications.length]).toEqual([1, 1, 2])
  })
})

describe('the kernel', () => {
  const kernel = (log: TcgLog) => refusal(report(log).kernel)

  test('C08 is refused with two command lines', () => {
    expect(kernel(after(bootEvents.kernelCommandLine('/vmlinuz init=/bin/sh')))).toContain(
      'a second kernel command line',
    )
  })

  test('C10 is refused when its stub was started with other options than GRUB measured', () => {
    expect(kernel(replaced('options', bootEvents.loadOptions(`${LINE} debug`)))).toContain('other options')
    expect(kernel(after(bootEvents.loadOptions('x')))).toContain('other options')
  })

  test('is not confirmed when its stub measured nothing', () => {
    expect(factsOf(report(without('options')), 'kernel')).toMatchObject({ confirmedByStub: false, optionsDigests: [] })
  })

  test('is known by digest when only its stub measured it', () => {
    const { commandLine, optionsDigests, confirmedByStub } = factsOf(report(without('line')), 'kernel')
    expect([commandLine, optionsDigests.length, confirmedByStub]).toEqual([undefined, 1, false])
    expect(kernel(without('line', 'options'))).toContain('no kernel command line')
  })

  test('C10 is refused when the measured text breaks its grammar', () => {
    const line = 'root="a'
    expect(kernel(logOf([bootEvents.kernelCommandLine(line)]))).toContain('quotes')
  })

  test('C02 is refused when its text was not what was measured', () => {
    expect(kernel(relabel('line', { data: new TextEncoder().encode('kernel_cmdline: quiet\0') }))).toContain(
      'not that of the kernel-command-line',
    )
    expect(kernel(relabel('line', { data: new TextEncoder().encode('kernel_cmdline: a\0b\0') }))).toContain(
      'not one text',
    )
  })

  test('takes the older prefixes of GRUB, with the byte of garbage that they have', () => {
    const older = (text: string, ...garbage: number[]): BootEvent => ({
      register: 8,
      type: EV.IPL,
      data: Uint8Array.of(...new TextEncoder().encode(`grub_kernel_cmdline ${text}\0`), ...garbage),
      measured: new TextEncoder().encode(`${text}\0`),
    })
    expect(factsOf(report(logOf([older('quiet', 0x60)])), 'kernel').commandLine?.text).toBe('quiet')
    expect(kernel(logOf([older('quiet', 0x60, 0x60)]))).toContain('not one text')
  })

  test('takes a command line that systemd measured, in PCR 8 and 12 only', () => {
    const utf16 = new Uint8Array(Buffer.from('root=x ro\0', 'utf16le'))
    const stub = (register: number): BootEvent => ({ register, type: EV.IPL, data: utf16 })
    for (const register of [8, 12]) {
      const facts = factsOf(report(logOf([stub(register)])), 'kernel')
      expect(facts.commandLine?.parameters).toEqual([{ name: 'root', value: 'x' }, { name: 'ro' }])
    }
    expect(kernel(logOf([stub(9)]))).toContain('no kernel command line')
    expect(kernel(logOf([{ ...stub(12), measured: Uint8Array.of(1) }]))).toContain('no kernel command line')
  })
})

describe('GRUB', () => {
  const grub = (log: TcgLog) => refusal(report(log).grub)

  test('C01 is refused with anything in PCR 8 that is not its own', () => {
    expect(grub(relabel('command', { type: EV.EVENT_TAG }))).not.toBe('not refused')
    expect(grub(relabel('command', { data: new TextEncoder().encode('/some/file\0') }))).toContain(
      'unexpected in PCR 8',
    )
    expect(grub(after({ register: 8, type: EV.COMPACT_HASH, data: Uint8Array.of(1) }))).toContain('unexpected in PCR 8')
  })

  test('C01 is refused when a file passes for a command, or a command line by systemd for one of GRUB', () => {
    const command = new TextEncoder().encode('grub_cmd: x\0')
    const file: BootEvent = { register: 9, type: EV.IPL, data: command, measured: new TextEncoder().encode('x') }
    expect(grub(after(file))).toContain('unexpected in PCR 9')
    const stub: BootEvent = { register: 8, type: EV.IPL, data: new Uint8Array(Buffer.from('ro\0', 'utf16le')) }
    expect(grub(after(stub))).toContain("not GRUB's")
  })

  test('is refused when there is nothing of it', () => {
    expect(grub(without('command', 'config', 'line'))).toBe('no GRUB measurements found')
  })

  test('tells the command lines of modules', () => {
    const module: BootEvent = {
      register: 8,
      type: EV.IPL,
      data: new TextEncoder().encode('module_cmdline: xen\0'),
      measured: new TextEncoder().encode('xen\0'),
    }
    expect(factsOf(report(after(module)), 'grub').moduleCommandLines).toEqual(['xen'])
  })
})

describe.skipIf(missingVectors())('recorded boots', () => {
  interface Expected {
    readonly file: string
    readonly kernelCmdlineWithTrailingNUL?: string
    readonly expectedEfiAppDigests?: Record<string, string[]>
    readonly derived: { scrtmVersionString: string | null; gceTechnology: string | null; secureBootVariableHex: string }
    readonly upstream: {
      loader: string
      parse: string
      options?: { allowEFIAppBeforeCallingEvent?: boolean }
      withoutOption?: string
    }
  }
  const expected: Expected[] = haveVectors
    ? Object.values(JSON.parse(readVectorText('gce/tpm/expected.json')).logs)
    : []
  const load = ({ file }: Expected) => parseTcgLog(readVector(`gce/${file}`))
  const optionsOf = ({ upstream, file }: Expected) => ({
    applicationMayPrecedeBootOption: upstream.options?.allowEFIAppBeforeCallingEvent === true,
    // Debian's kernel of 2020 takes its copy before firmware has measured leaving boot services
    mayEndBeforeExit: file.endsWith('debian-10.bin'),
  })
  const passing = expected.filter(({ upstream }) => upstream.parse === 'pass')

  test.each(passing)('$file gives its facts in every bank', (log) => {
    const parsed = load(log)
    for (const bank of parsed.banks as readonly HashName[]) {
      const all = readBootReport(parsed, bank, nodeCrypto, optionsOf(log))
      const { derived } = log
      expect(factsOf(all, 'platform')).toMatchObject({
        firmwareVersion: derived.scrtmVersionString,
        gceVersion: Number(derived.scrtmVersionString?.slice(-1)),
        gceTechnology: derived.gceTechnology?.toLowerCase().replaceAll('_', '-'),
      })
      expect(factsOf(all, 'secureBoot').enabled).toBe(derived.secureBootVariableHex === '01')
      const apps = log.expectedEfiAppDigests?.[bank.toUpperCase()]
      const found = factsOf(all, 'efi').applications.map(({ digest }) => toHex(digest))
      if (apps !== undefined) expect(found).toEqual(apps)
      if (log.upstream.loader !== 'GRUB') continue
      const line = factsOf(all, 'kernel').commandLine?.text
      if (log.kernelCmdlineWithTrailingNUL !== undefined)
        expect(line).toBe(log.kernelCmdlineWithTrailingNUL.replace(/\0$/, ''))
      expect(factsOf(all, 'grub').commands.length).toBeGreaterThan(0)
      if (log.file.includes('cos-')) expect(factsOf(all, 'grub').files.length).toBe(2)
    }
  })

  test('ubuntu-1804: its keys are the well-known ones', () => {
    const { pk, kek, db } = factsOf(
      readBootReport(load(expected.find((l) => l.file.includes('1804'))!), 'sha256', nodeCrypto, OPTIONS),
      'secureBoot',
    )
    const certificate = (name: string) => readVector(`gce/tpm/secure-boot/${name}`)
    expect(pk.certificates.map(({ der }) => der)).toEqual([certificate('GcePk.crt')])
    expect(kek.certificates.map(({ der }) => der)).toEqual([certificate('MicCorKEKCA2011_2011-06-24.crt')])
    expect(db.certificates.map(({ der }) => toHex(der)).toSorted()).toEqual(
      [certificate('MicCorUEFCA2011_2011-06-27.crt'), certificate('MicWinProPCA2011_2011-10-19.crt')]
        .map(toHex)
        .toSorted(),
    )
    expect(db.hashes).toEqual([])
  })

  test('ubuntu-2404: its tagged events are no files of GRUB, and its kernel confirms its command line', () => {
    const log = load(expected.find((l) => l.file.includes('2404'))!)
    const all = readBootReport(log, 'sha256', nodeCrypto, OPTIONS)
    expect(factsOf(all, 'grub').files.map(({ untrustedName }) => untrustedName)).not.toContain(
      'LOADED_IMAGE::LoadOptions',
    )
    expect(factsOf(all, 'kernel').confirmedByStub).toBe(true)
  })

  test.each([
    ['gdc-host.bin', 'platform', 'EV_S_CRTM_VERSION: the digest is not that of the data'],
    ['arch-linux-workstation.bin', 'secureBoot', 'SecureBoot data len is 0, expected 1'],
    ['glinux-alex.bin', 'grub', 'no GRUB measurements found'],
    // firmware measured an empty S-CRTM part as four zero bytes: not told apart from a separator
    ['glinux-alex.bin', 'platform', 'measured as a separator, but called EV_S_CRTM_CONTENTS'],
  ] as const)('%s has no facts of %s: %s', (name, part, reason) => {
    const log = expected.find((l) => l.file.endsWith(name))!
    const all = readBootReport(load(log), 'sha256', nodeCrypto, optionsOf(log))
    expect(refusal(all[part])).toContain(reason)
  })

  test.each(['gdc-host.bin', 'arch-linux-workstation.bin'])('%s ran an application before the call', (name) => {
    const log = expected.find((l) => l.file.endsWith(name))!
    const strict = { applicationMayPrecedeBootOption: false, mayEndBeforeExit: true }
    expect(refusal(readBootReport(load(log), 'sha256', nodeCrypto, strict).efi)).toContain('before CallingEFIApp event')
    const lenient = { ...strict, applicationMayPrecedeBootOption: true }
    expect(
      factsOf(readBootReport(load(log), 'sha256', nodeCrypto, lenient), 'efi').applications.length,
    ).toBeGreaterThan(1)
  })

  test.each([
    ['sb_cert_eventlog', ['db', 'Shim', 'Shim']],
    ['option_rom_eventlog', ['db', 'db']],
  ])('%s tells its authorities', (name, authorities) => {
    const log = parseTcgLog(readVector(`gce/tpm/eventlogs-legacy/${name}`))
    const all = readBootReport(log, log.banks.includes('sha256') ? 'sha256' : 'sha1', nodeCrypto, OPTIONS)
    expect(factsOf(all, 'secureBoot').authorities.map((a) => a.name)).toEqual(authorities)
  })

  test('option_rom_eventlog names its option ROM by path', () => {
    const log = parseTcgLog(readVector('gce/tpm/eventlogs-legacy/option_rom_eventlog'))
    const lenient = { applicationMayPrecedeBootOption: true, mayEndBeforeExit: true }
    const all = readBootReport(log, 'sha1', nodeCrypto, lenient)
    expect(factsOf(all, 'efi').bootDrivers.some(({ untrustedPath }) => untrustedPath?.includes('Offset('))).toBe(true)
  })

  test('coreos: secure boot is off', () => {
    const log = parseTcgLog(readVector('gce/tpm/eventlogs-legacy/coreos_36_shielded_vm_no_secure_boot_eventlog'))
    expect(factsOf(readBootReport(log, 'sha256', nodeCrypto, OPTIONS), 'secureBoot').enabled).toBe(false)
  })

  test('our own boot: kernel known by its options and its RAM disk', () => {
    const log = parseTcgLog(readVector('vm-boot/evlog.bin'))
    const all = readBootReport(log, 'sha256', nodeCrypto, { ...OPTIONS, applicationMayPrecedeBootOption: true })
    const { optionsDigests, initrdDigests } = factsOf(all, 'kernel')
    expect([optionsDigests.length, initrdDigests.length]).toEqual([1, 1])
    expect(factsOf(all, 'efi').applications.length).toBe(1)
    expect(factsOf(all, 'secureBoot').enabled).toBe(false)
  })

  test('C01 C02 whichever event of a recorded boot is relabelled or edited, facts are the same or refused', () => {
    const log = load(expected.find((l) => l.file.includes('cos-101'))!)
    const truth = JSON.stringify(strip(readBootReport(log, 'sha256', nodeCrypto, OPTIONS)))
    const types = [
      EV.POST_CODE,
      EV.SEPARATOR,
      EV.IPL,
      EV.EFI_ACTION,
      EV.EFI_VARIABLE_DRIVER_CONFIG,
      EV.EFI_VARIABLE_AUTHORITY,
    ]
    for (const [i, event] of log.events.entries())
      for (const change of [
        ...types.map((type) => ({ type })),
        { data: event.data.map((b) => b ^ 1) },
        { data: new Uint8Array() },
      ]) {
        const forged = { ...log, events: log.events.with(i, { ...event, ...change }) }
        const all = readBootReport(forged, 'sha256', nodeCrypto, OPTIONS)
        for (const [part, fact] of Object.entries(strip(all)))
          if (fact !== 'refused') expect(JSON.parse(truth)[part]).toEqual(JSON.parse(JSON.stringify(fact)))
      }
  })

  /** Facts without what is not measured, as plain text. */
  function strip(all: BootReport): Record<string, unknown> {
    const plain = (key: string, value: unknown) =>
      key.startsWith('untrusted')
        ? undefined
        : value instanceof Uint8Array
          ? toHex(value)
          : typeof value === 'bigint'
            ? `${value}`
            : value
    return Object.fromEntries(
      Object.entries(all).map(([part, p]) => [
        part,
        p.kind === 'refused' ? 'refused' : JSON.parse(JSON.stringify(p.facts, plain)),
      ]),
    )
  }
})

describe.skipIf(missingVectors())('recorded boots of guests without TPM', () => {
  const load = (name: string) => parseCcelLog(readVector(`gce/ccel/${name}`))
  const read = (log: TcgLog) => readBootReport(log, 'sha384', nodeCrypto, OPTIONS)

  test('cos-113: replays to the registers of its quote, and tells its boot', () => {
    const log = load('cos-113-intel-tdx.bin')
    const quote = readVector('gce/tdx/quote_v4_cos113_zero_reportdata.bin')
    const rtmr = (i: number) => quote.slice(48 + 0x148 + 48 * i, 48 + 0x148 + 48 * (i + 1))
    const values = new Map([0, 1, 2, 3].map((i) => [i + 1, rtmr(i)]))
    const replay = replayTcgLog(log, 'sha384', nodeCrypto)
    expect(verifyReplays([replay], { space: 'ccmr', bank: 'sha384', values }, { mayBeUnexplained: [] })).toEqual({
      replayed: [1, 2, 3],
      untouched: [4],
      unexplained: [],
    })
    const all = read(log)
    expect(factsOf(all, 'secureBoot')).toMatchObject({ enabled: false, unread: expect.arrayContaining([1, 2]) })
    expect(factsOf(all, 'efi').applications.length).toBe(2)
    expect(factsOf(all, 'grub').files.map(({ untrustedName }) => untrustedName)).toEqual([
      '/efi/boot/grub.cfg',
      '/syslinux/vmlinuz.A',
    ])
    expect(factsOf(all, 'kernel').commandLine?.text).toMatch(/^\/syslinux\/vmlinuz\.A init=/)
    expect(refusal(all.platform)).toContain('no firmware version')
  })

  test.each(['cos-113-intel-tdx-dupe-separator.bin', 'cos-113-intel-tdx-dupe-separator-unpadded.bin', 'event_log.bin'])(
    'C03 %s has a second separator, and so no facts of secure boot',
    (name) => {
      expect(refusal(read(load(name)).secureBoot)).toContain('duplicate separator')
    },
  )
})

function encodeGuidOf(guid: string): Uint8Array {
  const hex = guid.replaceAll('-', '')
  const bytes = new Uint8Array(Buffer.from(hex, 'hex'))
  return Uint8Array.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15], (i) => bytes[i]!)
}
