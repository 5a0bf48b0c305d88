import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ImageError } from '../errors.ts'

const CLAIM = /^lock-([0-9]+)-([0-9]+)$/

/**
 * Claims a directory for this process. Each claim is a file of its own, named for its process, and is there before
 * others are looked for: of two that come at once at least one sees the other, and a claim that is cleared away because
 * its process is gone can never be that of a process that lives.
 *
 * @returns The file to remove at the end.
 * @throws {ImageError} `store.busy`, `store.filesystem`.
 */
export function takeLock(directory: string): string {
  const own = path.join(directory, `lock-${process.pid}-${startTime(process.pid) ?? '0'}`)
  try {
    writeFileSync(own, '', { flag: 'wx', mode: 0o600 })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST')
      throw new ImageError('store.busy', `${directory}: this process has the store open already`)
    throw new ImageError('store.filesystem', `${own}: cannot be written`, { cause })
  }
  for (const name of readdirSync(directory)) {
    const file = path.join(directory, name)
    const [, pid, started] = CLAIM.exec(name) ?? []
    if (pid === undefined || file === own) continue
    if (startTime(Number(pid)) !== started) {
      rmSync(file, { force: true })
      continue
    }
    rmSync(own, { force: true })
    throw new ImageError('store.busy', `${directory}: process ${pid} has the store open`)
  }
  return own
}

/** Field 22 of /proc/<pid>/stat: tells a process from a later one of the same number. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
