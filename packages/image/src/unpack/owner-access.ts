import { chmodSync, lstatSync, readdirSync, rmSync } from 'node:fs'

/**
 * Runs with the owner's own bits added to a mode that lacks them, and puts the mode back. Root needs none of this; for
 * everybody else an image may well close its files to their owner (the shadow file of some distributions has mode 0).
 */
export function withAccess<T>(file: string | Buffer, mode: number, needed: number, action: () => T): T {
  if (process.getuid?.() === 0 || (mode & needed) === needed) return action()
  chmodSync(file, mode | needed)
  try {
    return action()
  } finally {
    chmodSync(file, mode)
  }
}

/** Removes what was unpacked, directories that their owner may not enter included. Follows no link. */
export function removeTree(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true })
  } catch {
    openDirectories(Buffer.from(directory))
    rmSync(directory, { recursive: true, force: true })
  }
}

function openDirectories(directory: Buffer): void {
  chmodSync(directory, 0o700)
  for (const name of readdirSync(directory, { encoding: 'buffer' })) {
    const file = Buffer.concat([directory, Buffer.from('/'), name])
    if (lstatSync(file).isDirectory()) openDirectories(file)
  }
}
