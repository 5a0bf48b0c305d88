import { describe, expect, test, vi } from 'vitest'
import type { RawEntry } from '../testing/archive.ts'
import { scratchSpace } from '../testing/image.ts'
import { dir, file, type Layers, unpackRaw } from '../testing/unpack.ts'
import { Disk } from './disk.ts'
import { FAITHFUL } from './profile.ts'
import type { UnpackOptions } from './unpack-image.ts'

const fresh = scratchSpace('unpack')
const unpack = (layers: Layers, options?: UnpackOptions) => unpackRaw(fresh(), layers, options)
const isRoot = process.getuid?.() === 0

describe('H09 what gives power', () => {
  const fifo: RawEntry = { name: 'pipe', type: '6' }
  const device: RawEntry = { name: 'null', type: '3', device: [1, 3], mode: 0o666 }
  const setuid: RawEntry = { ...file('su'), mode: 0o6755 }
  const capable: RawEntry = { ...file('ping'), pax: [['SCHILY.xattr.security.capability', Buffer.from([1, 0, 0, 2])]] }

  test('devices and FIFOs are refused, setuid bits and attributes left out and reported', async () => {
    await expect(unpack([[fifo]])).rejects.toMatchObject({ code: 'unpack.special', entry: 'pipe' })
    await expect(unpack([[device]])).rejects.toMatchObject({ code: 'unpack.special', entry: 'null' })
    await expect(unpack([[{ name: 'sda', type: '4', device: [8, 0] }]])).rejects.toMatchObject({
      code: 'unpack.special',
    })
    const { tree, report } = await unpack([[setuid, capable, { ...dir('mail'), mode: 0o2775 }]])
    expect(tree['su']).toMatch(/^f 755 /)
    expect(tree['mail']).toMatch(/^d 2775 /)
    expect(report.dropped).toEqual([
      { entry: 'su', what: 'setuid' },
      { entry: 'ping', what: 'xattr' },
    ])
  })

  test('a profile can refuse or drop each of them', async () => {
    const refuseAll = { devices: 'refuse', fifos: 'refuse', setuid: 'refuse', xattrs: 'refuse' } as const
    await expect(unpack([[setuid]], { profile: refuseAll })).rejects.toMatchObject({
      code: 'unpack.special',
      entry: 'su',
    })
    await expect(unpack([[capable]], { profile: refuseAll })).rejects.toMatchObject({
      code: 'unpack.xattr',
      entry: 'ping',
    })
    const dropAll = { devices: 'drop', fifos: 'drop', setuid: 'drop', xattrs: 'drop' } as const
    const { tree, report } = await unpack([[fifo, device, setuid, capable]], { profile: dropAll })
    expect(Object.keys(tree)).toEqual(['ping', 'su'])
    expect(report.droppedCount).toBe(4)
  })

  test('attributes that overlayfs reads are refused by every profile', async () => {
    for (const name of ['trusted.overlay.redirect', 'user.overlay.opaque'])
      await expect(
        unpack([[{ ...dir('d'), pax: [[`SCHILY.xattr.${name}`, '/etc']] }]], { profile: FAITHFUL }),
      ).rejects.toMatchObject({ code: 'unpack.xattr' })
  })

  test('H10 attributes are set as they come, and not collected for the whole layer', async () => {
    const value = Buffer.alloc(60_000, 7)
    const entries = Array.from({ length: 100 }, (_, i) => ({
      ...file(`f${i}`),
      pax: [['SCHILY.xattr.user.big', value]] as const,
    }))
    const asked: number[] = []
    const set = vi.spyOn(Disk.prototype, 'setAttributes').mockImplementation((files) => void asked.push(files.length))
    try {
      await unpack([entries], { profile: FAITHFUL })
    } finally {
      set.mockRestore()
    }
    expect(Math.max(...asked)).toBeLessThan(75)
    expect(asked.reduce((sum, n) => sum + n, 0)).toBe(100)
  })

  test('a machine without setfattr refuses an image whose attributes must be kept', async () => {
    const PATH = process.env['PATH']
    process.env['PATH'] = '/nonexistent'
    try {
      await expect(unpack([[capable]], { profile: FAITHFUL })).rejects.toMatchObject({
        code: 'unpack.xattr',
        message: expect.stringContaining('"attr"'),
      })
    } finally {
      process.env['PATH'] = PATH
    }
  })

  test.runIf(isRoot)(
    'the faithful profile makes devices, FIFOs and setuid files, also under names that are no UTF-8',
    async () => {
      const { tree } = await unpack(
        [[fifo, device, setuid, { name: Buffer.from([0xfe]), type: '6', mode: 0o640, uid: 5 }]],
        { profile: FAITHFUL },
      )
      expect(tree['su']).toMatch(/^f 6755 /)
      expect(tree['pipe']).toMatch(/^p 644 /)
      expect(tree['null']).toMatch(new RegExp(`^s 666 0:0 t1000000000 dev ${(1 << 8) + 3}$`))
      expect(tree['\xfe']).toMatch(/^p 640 5:0 /)
    },
  )

  test('whoever unpacks keeps all files where owners are squashed', async () => {
    const me = `${process.getuid?.()}:${process.getgid?.()}`
    const { tree } = await unpack([[{ ...file('a'), uid: 4321, gid: 1234 }]], { ownership: 'squash' })
    expect(tree['a']).toContain(` ${me} `)
  })

  test('a directory that nobody may enter is filled first and closed last', async () => {
    const { tree } = await unpack([[{ ...dir('.'), mode: 0o711 }, { ...dir('d'), mode: 0 }, file('d/a')]])
    expect(tree['d']).toMatch(/^d 0 .* t1000000000$/)
    expect(tree['d/a']).toBeDefined()
  })
})
