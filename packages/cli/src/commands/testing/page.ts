import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { bundled } from './bundled.ts'
import { repository } from './command-line.ts'

/** A page of the guide, and what a reader takes from it. */
export class Page {
  readonly text: string

  constructor(file: string) {
    this.text = readFileSync(path.join(repository, file), 'utf8')
  }

  /** What can be run as it stands, in an empty directory: all of the `sh` blocks, in order. */
  get commands(): string {
    return [...this.text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((m) => m[1]).join('\n')
  }

  /**
   * The commands that a section shows after `$`, each with the lines that it goes on to: they name places of the reader's own.
   *
   * @throws {Error} unless there are any
   */
  shownUnder(heading: string): string {
    const [, section = ''] = this.text.split(new RegExp(`^#+ ${heading}$`, 'm'))
    const [own = ''] = section.split(/^#/m)
    const blocks = [...own.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    const shown = blocks
      .map(([, language = '', block = '']) => (['', 'console'].includes(language) ? block : ''))
      .join('')
    const commands = [...shown.matchAll(/^\$ (.*(?:(?<=\\)\n.*)*)$/gm)].map((m) => m[1])
    if (commands.length === 0) throw new Error(`no command is shown under ${heading}`)
    return commands.join('\n')
  }
}

/** What a script ended with. */
export interface Followed {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs commands with bash as a reader would, in that directory, stopping at the first that fails. */
export async function follow(
  directory: string,
  commands: string,
  {
    args = '',
    seconds = 280,
  }: { /** What each command is given besides, in bash. */ readonly args?: string; readonly seconds?: number } = {},
): Promise<Followed> {
  const bin = path.join(directory, 'bin')
  mkdirSync(bin, { recursive: true })
  const vouchsafe = `exec '${process.execPath}' '${bundled}' "$@" ${args}\n`
  writeFileSync(path.join(bin, 'vouchsafe'), `#!/bin/bash\n${vouchsafe}`, { mode: 0o755 })
  writeFileSync(path.join(bin, 'npx'), `#!/bin/bash\nshift\n${vouchsafe}`, { mode: 0o755 })
  const prelude = [
    'set -eumo pipefail',
    // whatever happens, nothing that the page started stays: the whole group of each job is ended
    "trap 'for job in $(jobs -p); do kill -- -$job 2>/dev/null || true; done; wait' EXIT",
  ]
  const script = path.join(directory, 'page.sh')
  writeFileSync(script, [...prelude, commands].join('\n'))
  const child = spawn('bash', [script], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: seconds * 1000,
    env: {
      ...process.env,
      PATH: `${bin}:${process.env['PATH']}`,
      NO_COLOR: '1',
      NODE_COMPILE_CACHE: path.join(directory, 'code'),
    },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, stdout, stderr }))
  })
}
