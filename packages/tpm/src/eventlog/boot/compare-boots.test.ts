import { missingVectors, readVector } from '@vouchsafe/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../../core/node/crypto.ts'
import { EV } from '../event-types.ts'
import { measuredEvent } from '../measured-event.ts'
import type { BootEvent } from './boot-events.ts'
import { parseTcgLog } from '../parse-tcg-log.ts'
import { newTcgLog } from '../write-tcg-log.ts'
import { bootEvents } from './boot-events.ts'
import { compareBoots } from './compare-boots.ts'

const BANKS = ['sha1', 'sha256'] as const
const boot = (...events: readonly BootEvent[]) =>
  newTcgLog(
    BANKS,
    events.map((event) => measuredEvent(event, BANKS, nodeCrypto)),
  )
const compare = (before: ReturnType<typeof boot>, after: ReturnType<typeof boot>) =>
  compareBoots(before, after, 'sha256', nodeCrypto)

const FIRMWARE = bootEvents.firmwareVersion('GCE Virtual Firmware v1')
const usual = (line: string, ...more: readonly BootEvent[]) =>
  boot(
    FIRMWARE,
    bootEvents.separator(0),
    bootEvents.grubCommand('linux /vmlinuz'),
    ...more,
    bootEvents.kernelCommandLine(line),
  )

describe('two boots', () => {
  test('that measured alike are the same, whatever their logs say beside', () => {
    const relabelled = usual('/vmlinuz ro')
    const events = relabelled.events.map((event) => (event.register === 8 ? { ...event, type: EV.ACTION } : event))
    expect(compare(usual('/vmlinuz ro'), { ...relabelled, events })).toEqual({
      bank: 'sha256',
      unchanged: ['PCR 0', 'PCR 8'],
      changed: [],
    })
  })

  test('that differ in the kernel command line are told apart by its words', () => {
    const { unchanged, changed } = compare(usual('/vmlinuz ro'), usual('/vmlinuz ro init=/bin/sh'))
    expect(unchanged).toEqual(['PCR 0'])
    expect(changed).toMatchObject([
      {
        register: 'PCR 8',
        changes: [
          {
            kind: 'changed',
            before: { sentence: 'kernel command line "/vmlinuz ro"' },
            after: { sentence: 'kernel command line "/vmlinuz ro init=/bin/sh"', proof: 'proved' },
          },
        ],
      },
    ])
  })

  test('of which one measured more show just that, where it stands', () => {
    const more = usual('/vmlinuz ro', bootEvents.grubCommand('insmod http'))
    const [added] = compare(usual('/vmlinuz ro'), more).changed
    expect(added).toMatchObject({
      register: 'PCR 8',
      changes: [{ kind: 'added', after: { sentence: 'GRUB ran "insmod http"' } }],
    })
    const [removed] = compare(more, usual('/vmlinuz ro')).changed
    expect(removed?.changes).toMatchObject([{ kind: 'removed', before: { sentence: 'GRUB ran "insmod http"' } }])
  })

  test('of which one wrote a register that the other did not show that register', () => {
    const { changed } = compare(boot(FIRMWARE), boot(FIRMWARE, bootEvents.application(Uint8Array.of(1))))
    expect(changed.map(({ register }) => register)).toEqual(['PCR 4'])
  })

  test('in another order are not the same', () => {
    const [a, b] = [bootEvents.grubCommand('a'), bootEvents.grubCommand('b')]
    expect(compare(boot(a, b), boot(b, a)).changed).toHaveLength(1)
  })

  test('without a bank in common cannot be compared', () => {
    const only = newTcgLog(['sha1'], [measuredEvent(FIRMWARE, ['sha1'], nodeCrypto)])
    expect(() => compareBoots(only, boot(FIRMWARE), 'sha256', nodeCrypto)).toThrow(
      expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining('sha256') }),
    )
  })

  test('are equal exactly when every register has the same sequence of digests', () => {
    const event = fc.record({ register: fc.nat(2), data: fc.nat(3) })
    const log = (events: readonly { register: number; data: number }[]) =>
      boot(...events.map(({ register, data }) => ({ register, type: EV.ACTION, data: Uint8Array.of(data) })))
    const sequence = (events: readonly { register: number; data: number }[]) =>
      JSON.stringify([0, 1, 2].map((r) => events.filter((e) => e.register === r).map((e) => e.data)))
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), fc.array(event, { maxLength: 12 }), (a, b) => {
        const { changed } = compare(log(a), log(b))
        expect(changed.length === 0).toBe(sequence(a) === sequence(b))
        for (const register of [0, 1, 2]) {
          const ofA = a.filter((e) => e.register === register).length
          const ofB = b.filter((e) => e.register === register).length
          const changes = changed.find((c) => c.register === `PCR ${register}`)?.changes ?? []
          const count = (kind: string) => changes.filter((c) => c.kind === kind).length
          expect(count('added') - count('removed')).toBe(ofB - ofA)
        }
      }),
      { seed: 1, numRuns: 300 },
    )
  })
})

describe.skipIf(missingVectors())('recorded boots', () => {
  const recorded = (name: string) => parseTcgLog(readVector(`gce/tpm/eventlogs/${name}.bin`))

  test('of one machine are the same; of two releases differ in boot loader and kernel', () => {
    const [old, now] = [recorded('cos-85-amd-sev'), recorded('cos-93-amd-sev')]
    expect(compareBoots(old, old, 'sha256', nodeCrypto).changed).toEqual([])
    const { unchanged, changed } = compareBoots(old, now, 'sha256', nodeCrypto)
    expect(unchanged).toEqual(['PCR 0', 'PCR 1', 'PCR 2', 'PCR 3', 'PCR 6', 'PCR 7'])
    expect(changed.map(({ register }) => register)).toEqual(['PCR 4', 'PCR 5', 'PCR 8', 'PCR 9'])
    // the same machine, whether it is asked from one side or the other
    expect(compareBoots(now, old, 'sha256', nodeCrypto).unchanged).toEqual(unchanged)
  })
})
