import { rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll } from 'vitest'
import { bundleProgram } from '../../../../agent/bin/bundle.ts'
import { repository, vouchsafe } from './command-line.ts'

/*
 * The command line as one file, bundled once a test file: it starts in a fifth of the time that starting from source
 * takes, and a page of the guide starts it thirty times. It lies in this package, where it finds the others by name.
 */
export const bundled = path.join(repository, `packages/cli/dist/test-${process.pid}-${process.hrtime.bigint()}.mjs`)
afterAll(() => {
  rmSync(bundled, { force: true })
  rmSync(`${bundled}.LEGAL.txt`, { force: true })
})
await bundleProgram(vouchsafe, bundled)
