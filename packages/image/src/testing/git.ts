import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const WHEN = '2026-03-01T00:00:00Z'
const ENVIRONMENT = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@clinic.example',
  GIT_AUTHOR_DATE: WHEN,
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@clinic.example',
  GIT_COMMITTER_DATE: WHEN,
}

/** A repository made by git itself. */
export class GitRepository {
  readonly directory: string

  constructor(directory: string, format: 'sha1' | 'sha256' = 'sha1') {
    this.directory = directory
    mkdirSync(directory, { recursive: true })
    this.git(['init', '--quiet', '--initial-branch=main', `--object-format=${format}`])
  }

  git(args: readonly string[], input: string | Uint8Array = ''): string {
    const options = { cwd: this.directory, env: ENVIRONMENT, input, stdio: 'pipe' } as const
    return execFileSync('git', [...args], options)
      .toString()
      .trim()
  }

  /** Writes a file into the work tree, and no further. */
  write(name: string, content: string, mode = 0o644): void {
    const file = path.join(this.directory, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, content, { mode })
  }

  link(name: string, target: string): void {
    rmSync(path.join(this.directory, name), { force: true })
    symlinkSync(target, path.join(this.directory, name))
  }

  /** @returns The id of a commit of all that lies in the work tree. */
  commit(message = 'c'): string {
    this.git(['add', '--all'])
    this.git(['commit', '--quiet', '--allow-empty', '-m', message])
    return this.git(['rev-parse', 'HEAD'])
  }

  /** Stores an object as it is, whatever git thinks of it. */
  store(type: 'tree' | 'commit' | 'blob', content: Uint8Array | string): string {
    return this.git(['hash-object', '-t', type, '--literally', '-w', '--stdin'], content)
  }
}
