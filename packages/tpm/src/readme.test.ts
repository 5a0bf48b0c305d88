import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startSwtpm } from './testing/swtpm.ts'

const folder = fileURLToPath(new URL('..', import.meta.url))

test('the example of the README quotes, verifies, seals and unseals', async () => {
  const swtpm = await startSwtpm()
  try {
    const text = readFileSync(`${folder}README.md`, 'utf8')
    const example = /```ts\n([^]*?)```/.exec(text)?.[1] ?? ''
    expect(example).toContain('swtpm:path=/tmp/tpm/s')
    const program = example.replace('swtpm:path=/tmp/tpm/s', swtpm.address)
    const options = ['--input-type=module-typescript', '--eval', program]
    const { stdout } = await promisify(execFile)(process.execPath, options, { cwd: folder })
    expect(stdout).toContain('Uint8Array(32)')
    expect(stdout.trimEnd().endsWith('secret')).toBe(true)
  } finally {
    await swtpm.stop()
  }
})
