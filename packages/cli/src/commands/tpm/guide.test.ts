import { expect, test } from 'vitest'
import { CommandLine } from '../testing/command-line.ts'
import { follow, Page } from '../testing/page.ts'

test(
  'VT-15 a reader who follows the page on TPMs gets every answer, and leaves nothing behind',
  { timeout: 300_000 },
  async () => {
    const line = new CommandLine()
    try {
      const { commands } = new Page('docs/guide/tpm.md')
      const { status, stdout, stderr } = await follow(line.directory, commands)
      expect(status, `${stdout}\n${stderr}`).toBe(0)
      expect(stdout).toContain('verified: the key is trusted by a key in machine/ak-ecc.pem')
      expect(stdout).toMatch(/accepted .*laptop/)
      expect(stdout.trimEnd().endsWith('no keys, no sessions')).toBe(true)
    } finally {
      line.remove()
    }
  },
)
