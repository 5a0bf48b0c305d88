import { chmodSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestProject } from 'vitest/node'
import { root } from './run.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder for what `bundledOnce` makes. */
    programs: string
  }
}

/** Makes a folder for the programs that tests bundle, and removes it after the last test of the run. */
export default function setup(project: TestProject): () => void {
  const programs = mkdtempSync(path.join(tmpdir(), 'vouchsafe-programs-'))
  chmodSync(programs, 0o755) // some tests run them as another user
  symlinkSync(path.join(root, 'node_modules'), path.join(programs, 'node_modules')) // they find our packages by name
  project.provide('programs', programs)
  return () => rmSync(programs, { recursive: true, force: true })
}
