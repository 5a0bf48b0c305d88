import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import path from 'node:path'
import { AgentError } from '../errors.ts'

export interface ImageUser {
  readonly uid: number
  readonly gid: number
}

const MAX_FILE_BYTES = 1 << 20

/**
 * The numbers of an image's `user`, `uid`, `user:group` or `uid:gid`; empty means root. Names are looked up in the image's
 * own files, never in the machine's.
 *
 * @throws {AgentError} `workload.image` for a name that the image does not define
 */
export async function imageUser(user: string, rootfs: string): Promise<ImageUser> {
  const [name = '', group, ...rest] = user.split(':')
  if (rest.length > 0) throw new AgentError('workload.image', `user ${JSON.stringify(user)} is not user or user:group`)
  if (name === '' && group === undefined) return { uid: 0, gid: 0 }
  const passwd = isNumber(name) ? null : await entry(rootfs, 'etc/passwd', name)
  const uid = isNumber(name) ? Number(name) : numberAt(passwd, 2, user)
  if (group === undefined) return { uid, gid: isNumber(name) ? 0 : numberAt(passwd, 3, user) }
  return { uid, gid: isNumber(group) ? Number(group) : numberAt(await entry(rootfs, 'etc/group', group), 2, user) }
}

function isNumber(text: string): boolean {
  return /^(?:0|[1-9][0-9]{0,8})$/.test(text)
}

async function entry(rootfs: string, file: string, name: string): Promise<readonly string[]> {
  const lines = (await readRegular(path.join(rootfs, file))).split('\n')
  const found = lines.map((line) => line.split(':')).filter((fields) => fields[0] === name)
  const [first, second] = found
  if (first === undefined || second !== undefined)
    throw new AgentError('workload.image', `/${file} of the image names ${JSON.stringify(name)} ${found.length} times`)
  return first
}

function numberAt(fields: readonly string[] | null, at: number, user: string): number {
  const text = fields?.[at] ?? ''
  if (!isNumber(text)) throw new AgentError('workload.image', `user ${JSON.stringify(user)} has no number in the image`)
  return Number(text)
}

/** The image's own file: a link there must not lead to the machine's, be it the file or its directory. */
async function readRegular(file: string): Promise<string> {
  try {
    if (!(await lstat(path.dirname(file))).isDirectory())
      throw new AgentError('workload.image', '/etc of the image is no directory')
    await using handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stat = await handle.stat()
    if (!stat.isFile()) throw new AgentError('workload.image', `/etc/${path.basename(file)} of the image is no file`)
    const { size } = stat
    if (size > MAX_FILE_BYTES)
      throw new AgentError('workload.image', `${path.basename(file)} of the image has ${size} bytes`)
    return await handle.readFile('utf8')
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    throw new AgentError('workload.image', `the image has no readable /etc/${path.basename(file)}`, { cause })
  }
}
