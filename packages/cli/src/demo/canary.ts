import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import type { Secret } from '@vouchsafe/core'

/** Where a secret was found that must be nowhere. */
export interface Leak {
  readonly where: string
}

/**
 * Looks for the clinics' data keys, as text and in base64, in everything the demo wrote (logs, databases, configuration,
 * ledgers, state) and in the arguments and environment of every process on this machine.
 */
export function findLeaks(
  secrets: readonly Secret[],
  directory: string,
): { readonly leaks: readonly Leak[]; readonly searched: number } {
  const needles = secrets.flatMap((s) => {
    const bytes = Buffer.from(s.expose())
    // in base64 the first bytes of a text look alike wherever they begin on a multiple of three
    return [bytes, Buffer.from(bytes.subarray(0, 36).toString('base64').replace(/=+$/, ''))]
  })
  const leaks: Leak[] = []
  let searched = 0
  const search = (where: string, file: string) => {
    let content: Buffer
    try {
      content = readFileSync(file)
    } catch {
      return // sockets, and processes that ended meanwhile
    }
    searched++
    if (needles.some((n) => content.includes(n))) leaks.push({ where })
  }
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name)
    // unpacked images and Node's own code hold nothing of ours, and are large
    if (entry.isFile() && !file.includes('/blobs/') && !file.includes('/rootfs/') && !file.includes('/code/'))
      search(path.relative(directory, file), file)
  }
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    for (const what of ['cmdline', 'environ']) search(`process ${pid} ${what}`, `/proc/${pid}/${what}`)
  return { leaks, searched }
}
