import { existsSync } from 'node:fs'
import path from 'node:path'
import type { BrokerPin } from '@vouchsafe/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BrokerProcess } from '../../packages/broker/src/testing/broker-process.ts'
import { CommandLine } from '../../packages/cli/src/commands/testing/command-line.ts'
import { follow, Page } from '../../packages/cli/src/commands/testing/page.ts'
import { startClinic } from './clinic.ts'
import { LoopbackRegistry } from './loopback-registry.ts'

const page = new Page('docs/guide/images.md')
const line = new CommandLine()
let [origin, mirror]: LoopbackRegistry[] = []
let broker: BrokerProcess
let pin: BrokerPin
/** What the page's commands need besides. Where Debian's docker-registry is not installed, our own stands in for it. */
const missing = ['openssl', 'git'].filter((peer) => !existsSync(path.join('/usr/bin', peer)))
if (missing.length > 0) console.warn(`SKIPPED docs/guide/images.md: without ${missing.join(', ')} nobody can follow it`)
if (!existsSync('/usr/bin/docker-registry')) console.warn('NOT TESTED with docker-registry: it is not installed')

/** What `sh` blocks of the page leave behind is what the later ones start from. */
let made: Awaited<ReturnType<typeof follow>>

beforeAll(async () => {
  if (missing.length > 0) return
  origin = await LoopbackRegistry.start(line.file('peers/origin'))
  mirror = await LoopbackRegistry.start(line.file('peers/mirror'))
  line.write('registries.json', JSON.stringify({ ...origin.hosts, ...mirror.hosts }))
  line.write('auth.json', origin.authFile)
  ;({ broker, pin } = await startClinic(line))
  made = await follow(line.directory, page.commands)
}, 280_000)
afterAll(async () => {
  await broker?.end('SIGTERM')
  await origin?.stop()
  await mirror?.stop()
  line.remove()
})

/** What a reader puts in the place of what the page calls by an example's name. */
function inPlace(commands: string): string {
  const [digest = ''] = /^sha256:[0-9a-f]{64}$/m.exec(made.stdout) ?? []
  return commands
    .replaceAll('registry.example', origin?.host ?? '')
    .replaceAll('mirror.example', mirror?.host ?? '')
    .replaceAll('@sha256:…', `@${digest}`)
    .replaceAll('1f0c…', '$(git rev-parse HEAD)')
}

/** Runs what a section shows; verbs that speak to a registry are told how these here are reached. */
async function walk(heading: string, { before = '', after = '', edit = (text: string) => text } = {}): Promise<string> {
  const args = `$([[ "$2" != proof && "$*" == *127.0.0.1:* ]] && echo --registries registries.json)`
  const commands = [before, edit(page.shownUnder(heading)), after].join('\n')
  const { status, stdout, stderr } = await follow(line.directory, inPlace(commands), { args })
  expect(status, `${heading}\n${stdout}\n${stderr}`).toBe(0)
  return stdout
}

test.skipIf(missing.length > 0)('a reader who follows the page on images gets every answer that it promises', () => {
  const { status, stdout, stderr } = made
  expect(status, `${stdout}\n${stderr}`).toBe(0)
  expect(stdout).toMatch(/^the same: sha256:/m)
  expect(stdout).toContain('MODE=strict')
  expect(stdout).toMatch(/app\/src|main\.js/)
  expect(stdout).toMatch(/sha256:[0-9a-f]{64} +2 layers/)
})

test.skipIf(missing.length > 0)('… and who builds from a commit states it and has it checked', async () => {
  await walk('Build from a commit, under an identity of its own', {
    before: [
      `echo 'console.log("released")' > src/main.js`,
      'git init -q . && git add app.json src && git -c user.name=a -c user.email=a@b commit -qm one',
      'vouchsafe image push oci:build:v1 registry.example/app:v1',
    ].join('\n'),
  })
})

test.skipIf(missing.length > 0)('… encrypts under a key that goes to the broker', async () => {
  expect(await walk('Encrypt for guests of a broker')).toContain('images/app/key')
})

test.skipIf(missing.length > 0)('… pushes and copies, and the digest stays', async () => {
  expect(await walk('Push and copy')).toContain('v1')
})

test.skipIf(missing.length > 0)('… signs with a key, or where the key is, and decides by a policy', async () => {
  await walk('Sign with a key', { before: 'vouchsafe image push oci:build:v1 registry.example/app:v1' })
  const key = (name: string) =>
    `openssl ecparam -name prime256v1 -genkey -noout -out ${name}.pem && openssl pkey -in ${name}.pem -pubout -out ${name}.pub`
  await walk('Sign where the key is, attach elsewhere', {
    before: [key('ben'), key('cleo'), 'vouchsafe image sign registry.example/app:v1 --key ben.pem'].join('\n'),
  })
  const [, policy = ''] = /^### Decide by a policy$[\s\S]*?^```json\n([\s\S]*?)^```$/m.exec(page.text) ?? []
  line.write('policy.json', inPlace(policy).replace('/etc/keys/owner.pub', line.file('owner.key.pub')))
  await walk('Decide by a policy', {
    before: 'vouchsafe image sign registry.example/team/app:v1 --key owner.key --passphrase-file pass',
    edit: (text) => text.replace('image pull', 'image pull --store images'),
  })
})

test.skipIf(missing.length > 0)('… says what is in an image, and has signatures recorded and proved', async () => {
  await walk('Say what is in it, and how it was built')
  await walk('See who signed it, who approved it, and when', {
    edit: (text) =>
      text
        .split('\n')
        .filter((command) => !command.includes('--bundle approval'))
        .join('\n')
        .replace(/signature-\d+\.json/, '$(basename $(ls proofs/*.json | tail -1))')
        .replace('vouchsafe/…', pin.log),
  })
})
