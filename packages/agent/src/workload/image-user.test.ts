import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { imageUser } from './image-user.ts'

const rootfs = mkdtempSync(path.join(tmpdir(), 'vsa-user-'))
mkdirSync(path.join(rootfs, 'etc'))
writeFileSync(
  path.join(rootfs, 'etc/passwd'),
  'root:x:0:0::/:/bin/sh\nworker:x:1234:2345::/:/bin/sh\ntwice:x:1:1::/:\ntwice:x:2:2::/:\nodd:x:-1:0::/:\n',
)
writeFileSync(path.join(rootfs, 'etc/group'), 'root:x:0:\nstaff:x:50:worker\n')
afterAll(() => rmSync(rootfs, { recursive: true, force: true }))

test.each([
  ['', 0, 0],
  ['0', 0, 0],
  ['65534', 65534, 0],
  ['65534:65533', 65534, 65533],
  ['worker', 1234, 2345],
  ['worker:staff', 1234, 50],
  ['7:staff', 7, 50],
])('user %j is %i:%i', async (user, uid, gid) => {
  expect(await imageUser(user, rootfs)).toEqual({ uid, gid })
})

test.each(['nobody', 'worker:nobody', 'twice', 'odd', 'a:b:c', '00', '4294967296', '-1', ' worker'])(
  'refuses user %j rather than run it as somebody else',
  async (user) => {
    await expect(imageUser(user, rootfs)).rejects.toMatchObject({ code: 'workload.image' })
  },
)

test.each(['passwd', 'group'])('H07 does not follow a link that stands for the directory of %s', async (file) => {
  const linked = mkdtempSync(path.join(tmpdir(), 'vsa-user-'))
  symlinkSync('/etc', path.join(linked, 'etc'))
  const user = file === 'passwd' ? 'daemon' : '1:daemon' // both are known to the machine
  await expect(imageUser(user, linked)).rejects.toMatchObject({ code: 'workload.image' })
  rmSync(linked, { recursive: true })
})

test('a pipe in the place of /etc/passwd, which nobody ever writes to, is refused at once', async () => {
  const piped = mkdtempSync(path.join(tmpdir(), 'vsa-user-'))
  mkdirSync(path.join(piped, 'etc'))
  execFileSync('mkfifo', [path.join(piped, 'etc/passwd')])
  await expect(imageUser('daemon', piped)).rejects.toMatchObject({ code: 'workload.image' })
  rmSync(piped, { recursive: true })
})

test('does not follow a link out of the image', async () => {
  const linked = mkdtempSync(path.join(tmpdir(), 'vsa-user-'))
  mkdirSync(path.join(linked, 'etc'))
  symlinkSync('/etc/passwd', path.join(linked, 'etc/passwd'))
  await expect(imageUser('daemon', linked)).rejects.toMatchObject({ code: 'workload.image' })
  rmSync(linked, { recursive: true })
})
