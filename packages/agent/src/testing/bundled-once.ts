import { existsSync, renameSync } from 'node:fs'
import path from 'node:path'
import { inject } from 'vitest'

/**
 * A program as one file: it starts in a fifth of the time that starting from source takes, and is what guests run.
 *
 * @param bundle - Writes the file; called once a test run, or once more when two files of tests ask at the same time.
 * @returns The file's path.
 */
export async function bundledOnce(name: string, bundle: (outfile: string) => Promise<unknown>): Promise<string> {
  const file = path.join(inject('programs'), `${name}.mjs`)
  if (existsSync(file)) return file
  const own = path.join(inject('programs'), `${name}-${process.pid}.mjs`)
  await bundle(own)
  renameSync(own, file) // whole or not there: others may look for it
  return file
}
