import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeRawImage } from '../../../../image/src/testing/image.ts'
import { rawTar } from '../../../../image/src/testing/archive.ts'
import { CommandLine } from '../testing/command-line.ts'

const line = new CommandLine()
beforeAll(async () => {
  const files = [{ path: '/hello', text: 'hi\n' }]
  line.write('app.json', JSON.stringify({ vouchsafe: 'image/v1', layers: [{ files }], entrypoint: ['/hello'] }))
  line.write('pass', 'a long passphrase')
  line.write('a.pub', '')
  await line.answer('image', 'build', 'app.json', '--out', 'oci:build:v1')
})
afterAll(() => line.remove())

test('a layout that was made for an image goes away with it; one that was there stays', async () => {
  line.write('bad.json', JSON.stringify({ vouchsafe: 'image/v1', layers: [{ directory: 'missing', at: '/' }] }))
  expect(await line.refusal('image', 'build', 'bad.json', '--out', 'oci:fresh/deep:v1')).toMatchObject({ status: 3 })
  expect(existsSync(line.file('fresh/deep'))).toBe(false)
  expect(await line.refusal('image', 'build', 'bad.json', '--out', 'oci:build:v2')).toMatchObject({ status: 3 })
  expect((await line.run('image', 'show', 'oci:build:v1')).status).toBe(0)
})

test('a key is made whole or not at all, and never over another', async () => {
  line.write('half.key.pub', '')
  for (const name of ['half.key', 'half.key'])
    expect(await line.refusal('image', 'key', name, '--passphrase-file', 'pass')).toMatchObject({
      status: 2,
      message: 'half.key.pub is there already',
    })
  expect(existsSync(line.file('half.key'))).toBe(false)
})

test('a layout is not written over a file', async () => {
  expect(await line.refusal('image', 'copy', 'oci:build:v1', 'oci:pass:v1')).toMatchObject({
    status: 3,
    code: 'layout.malformed',
    message: 'pass: not a directory',
  })
})

test.each([
  [['--threshold', '2'], /--threshold 2 of 1 keys/],
  [['--threshold', '0'], /--threshold 0 of 1 keys/],
  [['--threshold', 'two'], /--threshold two of 1 keys/],
  [['--key', 'a.pub'], /--key a.pub twice/],
])('verify %j is a mistake of the command line, and no policy is blamed', async (more, message) => {
  // nothing is asked of a registry before
  const args = ['image', 'verify', '127.0.0.1:1/app:v1', '--key', 'a.pub', ...more]
  expect(await line.refusal(...args)).toMatchObject({ status: 2, message: expect.stringMatching(message) })
})

test.each([
  [['image', 'shwo'], /unknown command 'shwo'/],
  [['image', 'show'], /missing required argument 'image'/],
  [['image', 'show', 'oci:build', '--pakages'], /unknown option '--pakages'/],
])('%j tells of its mistake in JSON too', async (args, message) => {
  expect(await line.refusal(...args)).toMatchObject({
    status: 2,
    code: 'usage',
    message: expect.stringMatching(message),
  })
})

test('show tells how an image came about, what it opens, and what it weighs', async () => {
  const tar = rawTar([{ name: 'hello', body: 'hi' }])
  writeRawImage(line.file('raw'), [{ tar }], {
    config: { ExposedPorts: { '80/tcp': {} }, Volumes: { '/data': {} }, StopSignal: 'SIGINT' },
  })
  const shown = await line.answer('image', 'show', 'oci:raw')
  expect(shown).toMatchObject({
    ports: ['80/tcp'],
    volumes: ['/data'],
    stopSignal: 'SIGINT',
    size: tar.length,
    history: [],
  })
  const { stdout } = await line.run('image', 'inspect', 'oci:build')
  expect(stdout).toMatch(/^config {6}sha256:\w{64}$/m)
  expect(stdout).toMatch(/^created {5}1970-01-01T00:00:00Z$/m)
  expect(stdout).toMatch(/^layer 0 {5}sha256:\w{64} 2\.0 KiB none$/m)
  expect(stdout).toMatch(/^size {8}2\.0 KiB in 1 layers, as stored$/m)
})
