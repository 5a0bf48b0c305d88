import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createHash } from 'node:crypto'

/** Every path below a directory, as bytes shown in latin1, with what `lstat` and the content say. Hard links get a group number. */
export function listTree(root: string): Record<string, string> {
  const out: Record<string, string> = {}
  const groups = new Map<bigint, number>()
  const visit = (directory: Buffer, prefix: string) => {
    for (const name of readdirSync(directory, { encoding: 'buffer' }).sort(Buffer.compare)) {
      const file = Buffer.concat([directory, Buffer.from('/'), name])
      const stat = lstatSync(file, { bigint: true })
      const shown = prefix + name.toString('latin1')
      const kind = stat.isDirectory()
        ? 'd'
        : stat.isSymbolicLink()
          ? 'l'
          : stat.isFile()
            ? 'f'
            : stat.isFIFO()
              ? 'p'
              : 's'
      const parts = [kind, (stat.mode & 0o7777n).toString(8), `${stat.uid}:${stat.gid}`]
      if (kind !== 'd' || stat.mtimeMs > 0n) parts.push(`t${stat.mtimeNs / 1_000_000_000n}`)
      if (kind === 'l') parts.push(`-> ${readlinkSync(file, { encoding: 'buffer' }).toString('latin1')}`)
      if (kind === 'f')
        parts.push(`${stat.size}`, createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12))
      if (kind === 's') parts.push(`dev ${stat.rdev}`)
      if (kind !== 'd' && stat.nlink > 1n) {
        if (!groups.has(stat.ino)) groups.set(stat.ino, groups.size)
        parts.push(`link${groups.get(stat.ino)}`)
      }
      out[shown] = parts.join(' ')
      if (kind === 'd') visit(file, `${shown}/`)
    }
  }
  visit(Buffer.from(root), '')
  return out
}
