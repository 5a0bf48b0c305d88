import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { missingVectors, readVector } from '@vouchsafe/testkit'
import { parseTcgLog, type TcgLog } from '@vouchsafe/tpm/eventlog'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { toHex, utf8 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { bzImage, CHECKSUM, HEADERS, OPTIONAL, PE, SECURITY, SIGNATURE } from '../../testing/pe-image.ts'
import { authenticodeDigest } from './authenticode.ts'
import { type BootParts, expectedRegisters } from './expected-registers.ts'
import { kernelFromQemu } from './qemu-kernel.ts'

const sha256 = (...parts: readonly Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
const refusal = (message: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(message) })

const kernel = bzImage()
/** The parts of it that are measured, spelled out. */
const measuredParts = (image: Uint8Array) =>
  sha256(
    image.subarray(0, CHECKSUM),
    image.subarray(CHECKSUM + 4, SECURITY),
    image.subarray(SECURITY + 8, image.length - SIGNATURE),
  )

describe('a program as firmware measures it', () => {
  const digest = (image: Uint8Array) => toHex(authenticodeDigest(image, 'sha256', nodeCrypto))

  test('is all of it but checksum and signatures', () => {
    expect(digest(kernel)).toBe(toHex(measuredParts(kernel)))
    for (const at of [CHECKSUM, SECURITY, kernel.length - 1])
      expect(digest(kernel.with(at, (kernel[at] ?? 0) ^ 1))).toBe(digest(kernel))
    for (const at of [2, OPTIONAL + 70, HEADERS, 0x800, 0xfff, 0x1000])
      expect(digest(kernel.with(at, (kernel[at] ?? 0) ^ 1))).not.toBe(digest(kernel))
  })

  test.each<[string, (v: DataView) => void, string]>([
    ['no MZ', (v) => v.setUint16(0, 0, true), 'e_magic'],
    ['no PE', (v) => v.setUint32(PE, 0, true), 'signature'],
    ['a header beyond the file', (v) => v.setUint32(0x3c, 0xffff_fff0, true), 'PE image'],
    ['another kind of header', (v) => v.setUint16(OPTIONAL, 0x107, true), 'Magic'],
    ['no place for signatures', (v) => v.setUint32(OPTIONAL + 108, 4, true), 'NumberOfRvaAndSizes'],
    ['a section beyond the file', (v) => v.setUint32(OPTIONAL + 160 + 16, 0x9000, true), 'PointerToRawData'],
    ['more sections than any', (v) => v.setUint16(PE + 6, 97, true), 'NumberOfSections'],
    ['headers beyond the file', (v) => v.setUint32(OPTIONAL + 60, 0x9000, true), 'SizeOfHeaders'],
  ])('with %s is refused', (_what, change, field) => {
    const image = bzImage()
    change(new DataView(image.buffer))
    expect(() => authenticodeDigest(image, 'sha256', nodeCrypto)).toThrow(refusal(field))
  })

  test('changed or cut anywhere fails only with a coded error', () => {
    fc.assert(
      fc.property(fc.nat(HEADERS - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        try {
          authenticodeDigest(cut ? kernel.subarray(0, at) : kernel.with(at, byte), 'sha256', nodeCrypto)
        } catch (e) {
          expect(e).toBeInstanceOf(VouchsafeError)
          expect((e as VouchsafeError).code).toBe('input.malformed')
        }
      }),
      { seed: 1, numRuns: 1000 },
    )
  })
})

describe('a kernel as QEMU hands it to firmware', () => {
  const u32 = (image: Uint8Array, at: number) => new DataView(image.buffer).getUint32(at, true)

  test.each([
    [512, 10_000, 0x1ffd_5000],
    [3072, 10_000, 0x7ffd_5000],
    [8192, 10_000, 0x7ffd_5000],
  ])('with %d MiB of memory is told where its RAM disk is', (memory, initrd, at) => {
    const patched = kernelFromQemu(kernel, initrd, memory)
    expect([u32(patched, 0x218), u32(patched, 0x21c)]).toEqual([at, initrd])
    expect([patched[0x210], patched[0x211]]).toEqual([0xb0, 0x81])
  })

  test.each<[string, Uint8Array, number, string]>([
    ['is of an old protocol', bzImage(0x20b), 512, 'boot protocol'],
    ['is loaded low', bzImage(0x20f, 0), 512, 'loaded high'],
    ['is none of Linux', bzImage().fill(0, 0x200, 0x208), 512, 'setup header'],
    ['is cut short', kernel.subarray(0, 0x200), 512, 'too short'],
    ['has no room for its RAM disk', kernel, 1, 'do not hold'],
  ])('which %s is refused', (_what, image, memory, why) => {
    expect(() => kernelFromQemu(image, 10_000, memory)).toThrow(refusal(why))
  })
})

describe.skipIf(missingVectors())('KB-30 the registers of a boot are computed before it', () => {
  const log = missingVectors() ? (null as unknown as TcgLog) : parseTcgLog(readVector('vm-boot/evlog.bin'))
  const initrd = { name: 'initrd', contents: utf8('a RAM disk') }
  const parts: BootParts = { kernel: { name: 'vmlinuz', contents: kernel }, initrd, memoryMiB: 1024 }
  const LINE = 'console=ttyS0 quiet panic=-1'
  const registersOf = (changes: BootParts) => expectedRegisters(log, { ...parts, ...changes }, nodeCrypto).registers

  /** The log's own replay of a register, with other digests for some events. */
  function replayed(register: number, digests: Readonly<Record<number, Uint8Array>>): string {
    let value = new Uint8Array(32)
    for (const e of log.events)
      if (e.register === register && e.type !== 3)
        value = sha256(value, digests[e.position] ?? e.digests.get('sha256') ?? new Uint8Array())
    return toHex(value)
  }

  test('from the kernel as QEMU starts it, the RAM disk, and the command line as OVMF passes it on', () => {
    const registers = registersOf({ commandLine: LINE })
    const started = kernelFromQemu(kernel, initrd.contents.length, 1024)
    expect(toHex(registers.get(4) ?? new Uint8Array())).toBe(replayed(4, { 10: measuredParts(started) }))
    // the digest with which OVMF 2022.11 and Linux 6.1 measured this very line
    const measured = Buffer.from('5e0ce2240f9b711350ba045dc401b962587abaa582b3da0d32585801138bc683', 'hex')
    expect(toHex(registers.get(9) ?? new Uint8Array())).toBe(replayed(9, { 21: measured, 22: sha256(initrd.contents) }))
    for (const n of [0, 1, 2, 3, 5, 6, 7]) expect(toHex(registers.get(n) ?? new Uint8Array())).toBe(replayed(n, {}))
  })

  test.each<[string, BootParts, readonly number[]]>([
    ['the kernel', { kernel: { name: 'vmlinuz', contents: kernel.with(0x900, 1) } }, [4]],
    ['the RAM disk', { initrd: { name: 'initrd', contents: utf8('b RAM disk') } }, [9]],
    ['the size of the RAM disk', { initrd: { name: 'initrd', contents: utf8('longer RAM disk') } }, [4, 9]],
    ['the memory', { memoryMiB: 2048 }, [4]],
    ['the command line', { commandLine: `${LINE} init=/bin/sh` }, [9]],
  ])('D12 %s changes its register and no other', (_what, changes, changed) => {
    const [before, after] = [registersOf({ commandLine: LINE }), registersOf({ commandLine: LINE, ...changes })]
    const others = [...before.keys()].filter((n) => toHex(before.get(n) ?? kernel) !== toHex(after.get(n) ?? kernel))
    expect(others.toSorted((a, b) => a - b)).toEqual(changed)
  })

  test.each<[string, BootParts, string]>([
    ['a kernel without its RAM disk', { kernel: { name: 'vmlinuz', contents: kernel } }, 'give both'],
    ['a RAM disk without its kernel', { initrd }, 'give both'],
    ['no memory', { kernel: { name: 'vmlinuz', contents: kernel }, initrd }, 'memory'],
  ])('nothing is guessed from %s', (_what, given, why) => {
    expect(() => expectedRegisters(log, given, nodeCrypto)).toThrow(refusal(why))
  })

  test('a log that measures no kernel gives no registers for one', () => {
    const without = { ...log, events: log.events.filter((e) => ![10, 21, 22].includes(e.position)) }
    expect(() => expectedRegisters(without, { kernel: { name: 'vmlinuz', contents: kernel } }, nodeCrypto)).toThrow(
      refusal('no event measures the kernel "vmlinuz"'),
    )
    expect(() => expectedRegisters(without, { initrd }, nodeCrypto)).toThrow(refusal('initial RAM disk'))
    expect(() => expectedRegisters(without, { commandLine: LINE }, nodeCrypto)).toThrow(refusal('command line'))
  })
})
