import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parseStrictJson, utf8 } from '@vouchsafe/core'
import { buildImage } from '@vouchsafe/image'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { readDistributorConfig } from '../../../broker/src/distributor/config.ts'
import { readSecretsFile } from '../distributor/new-terms.ts'
import { programs } from '../programs.ts'
import { distributorCommand } from './distributor.ts'

const page = readFileSync(fileURLToPath(new URL('../../../../docs/guide/distributor.md', import.meta.url)), 'utf8')
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map((m) => m[1] ?? '')
const section = (heading: string) => page.split(/^## /m).find((s) => s.startsWith(heading)) ?? ''

describe('the guide to the distributor', () => {
  test('names commands and options that there are', () => {
    const command = distributorCommand(() => undefined)
    const lines = [
      ...blocks('sh').join('\n').replaceAll('\\\n', ' ').split('\n'),
      ...[...page.matchAll(/`(vouchsafe distributor [^`]+)`/g)].map((m) => m[1] ?? ''),
    ]
    const calls = lines.filter((l) => l.startsWith('vouchsafe distributor '))
    expect(calls.length).toBeGreaterThan(6)
    for (const call of calls) {
      const [, , verb = '', ...words] = call.split(/\s+/)
      const found: Command | undefined = command.commands.find((c) => c.name() === verb)
      expect(found, call).toBeDefined()
      const known = found?.options.map((o) => o.long)
      for (const word of words.slice(0, words.includes('--') ? words.indexOf('--') : undefined))
        if (word.startsWith('--')) expect(known, call).toContain(word)
    }
    for (const option of page.matchAll(/`(--[a-z-]+)/g))
      expect(command.commands.flatMap((c) => c.options.map((o) => o.long))).toContain(option[1])
  })

  test('TD-14 TD-35 its configuration and its secrets file are read as they stand there', () => {
    const [config = '', secrets = ''] = blocks('json')
    const directory = mkdtempSync(path.join(tmpdir(), 'vs-guide-'))
    try {
      writeFileSync(path.join(directory, 'distributor.json'), config)
      const { transport, instances } = readDistributorConfig(path.join(directory, 'distributor.json'))
      expect([transport.kind, instances.kind]).toEqual(['mtls', 'live'])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
    expect(readSecretsFile(utf8(secrets), 'guide').map((s) => s.type)).toEqual(['RAW', 'TPM', 'RAW'])
    expect(parseStrictJson(utf8(secrets), { maxBytes: 4096 })).toHaveLength(3)
  })

  test('TD-02 says what each party tells the other', () => {
    for (const fact of ['broker pin', 'audience', 'instance id', 'certificate'])
      expect(section('What each tells the other')).toContain(fact)
  })
  test('TD-29 TD-36 tells how keysets are used over encrypted columns, files and messages, and where never', () => {
    const text = section('Queries over encrypted columns')
    expect(text).toMatch(/as a \*\*parameter\*\*/)
    expect(text).toMatch(/no logging of statements or parameters/)
    expect(text).toContain('vouchsafe data encrypt')
  })
  test('TD-30 tells how to run without external addresses, and what a shared one is worth', () => {
    expect(section('Over a private network')).toMatch(/Neither side needs an external address/)
    expect(section('Over a private network')).toContain('allow-list')
  })
  test('TD-32 has launch data to copy, by digest and closed to logins', () => {
    const [launch = ''] = blocks('yaml')
    expect(launch).toMatch(/@sha256:/)
    expect(launch).toContain('--dport 22')
    expect(launch).toContain('serial-getty')
  })
  test('TD-31 the images of client and service are the same to the last byte, wherever and whenever they are built', async () => {
    for (const command of ['npm run -w @vouchsafe/agent build --', 'vouchsafe image build'])
      expect(section('Launch data to copy')).toContain(command)
    const maker = fileURLToPath(new URL('../../../agent/bin/bundle.ts', import.meta.url))
    const directory = mkdtempSync(path.join(tmpdir(), 'vs-images-'))
    const bundle = async (builder: string, program: string) => {
      const cwd = path.join(directory, builder)
      mkdirSync(cwd, { recursive: true })
      await promisify(execFile)(process.execPath, [maker, path.basename(program, '.ts'), program], { cwd })
      return readFileSync(path.join(cwd, path.basename(program, '.ts')))
    }
    let images = 0
    const imageOf = async (bytes: Uint8Array) => {
      const layer = { kind: 'files', files: [{ kind: 'file', path: 'program.mjs', bytes, mode: 0o755 }] } as const
      const config = { entrypoint: ['/usr/bin/node', '/program.mjs'] }
      return (await buildImage({ layers: [layer], config }, path.join(directory, `image${images++}`))).digest
    }
    try {
      for (const program of [fileURLToPath(new URL('../../bin/vouchsafe.ts', import.meta.url)), programs.broker]) {
        const [here, there] = [await bundle('bob', program), await bundle('alice/deeper', program)]
        expect(await imageOf(there)).toBe(await imageOf(here))
        expect(await imageOf(Buffer.concat([there, utf8(';')]))).not.toBe(await imageOf(here))
      }
      // the client is that one file: nothing of ours is beside it
      const client = [path.join(directory, 'bob/vouchsafe'), 'distributor', 'fetch', '--help']
      expect((await promisify(execFile)(process.execPath, client, { cwd: directory })).stdout).toContain('--server')
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }, 180_000)
  test('TD-37 says what perimeter, organisation policy and timed grants add, and that they prove nothing', () => {
    const text = section('Around it')
    for (const word of ['perimeter', 'organisation policy', 'condition on time']) expect(text).toContain(word)
    expect(text).toMatch(/None of it is evidence/)
  })
})
