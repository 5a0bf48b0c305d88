import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { bundled } from '../testing/bundled.ts'
import { CommandLine, repository } from '../testing/command-line.ts'

test(
  'VT-15 a reader who follows the page on TPMs gets every answer, and leaves nothing behind',
  { timeout: 300_000 },
  () => {
    const line = new CommandLine()
    try {
      const page = readFileSync(path.join(repository, 'docs/guide/tpm.md'), 'utf8')
      const commands = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((m) => m[1])
      mkdirSync(line.file('bin'))
      const npx = `#!/bin/sh\nshift\nexec '${process.execPath}' '${bundled}' "$@"\n`
      writeFileSync(line.file('bin/npx'), npx, { mode: 0o755 })
      // whatever happens, the software TPM that the page starts does not stay: the whole group of each job is ended
      const prelude = [
        'set -eumo pipefail',
        "trap 'for job in $(jobs -p); do kill -- -$job 2>/dev/null || true; done; wait' EXIT",
      ]
      line.write('page.sh', [...prelude, ...commands].join('\n'))
      const { status, stdout, stderr } = spawnSync('bash', ['page.sh'], {
        cwd: line.directory,
        encoding: 'utf8',
        timeout: 290_000,
        env: {
          ...process.env,
          PATH: `${line.file('bin')}:${process.env['PATH']}`,
          NO_COLOR: '1',
          NODE_COMPILE_CACHE: line.file('code'),
        },
      })
      expect(status, `${stdout}\n${stderr}`).toBe(0)
      expect(stdout).toContain('verified: the key is trusted by a key in machine/ak-ecc.pem')
      expect(stdout).toMatch(/accepted .*laptop/)
      expect(stdout.trimEnd().endsWith('no keys, no sessions')).toBe(true)
    } finally {
      line.remove()
    }
  },
)
