import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { feed } from '@vouchsafe/testkit'
import { expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { ImageLayout } from '../layout/layout.ts'
import { type ImageSource, resolveImage } from '../oci/chain.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { mendedTar, rawTar } from '../testing/archive.ts'
import { scratchSpace, writeRawImage } from '../testing/image.ts'
import { copyToLayout } from '../registry/transfer.ts'
import { LayoutWriter } from '../layout/write-layout.ts'
import { DockerArchive } from './docker-archive.ts'

/*
 * Archives of images, changed at random, for five minutes unless VOUCHSAFE_FUZZ_SECONDS says otherwise: errors of ours and
 * nothing else, and what is read as an image is one, to the last byte of its layers.
 */
const fresh = scratchSpace('archive-fuzz')
const platform = { os: 'linux', architecture: 'amd64' }
const layer = rawTar([{ name: 'hello', body: 'x'.repeat(700) }])

test.each([
  ['of a layout', layoutArchive(), openLayout],
  ['as docker saves them', savedArchive(), openSaved],
])('H06 H07 archives %s', async (_what, archive, open) => {
  const [file, target] = [fresh(), fresh()]
  const whole = { read: 0 }
  const check = async (bytes: Uint8Array) => {
    writeFileSync(file, bytes)
    rmSync(target, { recursive: true, force: true })
    const { source, digests } = await open(file)
    for (const digest of digests) {
      const { layers } = await resolveImage(source, digest, { platform })
      await copyToLayout(source, digest, await LayoutWriter.open(target), {})
      for (const { descriptor } of layers) {
        const copied = readFileSync(path.join(target, 'blobs/sha256', descriptor.digest.slice('sha256:'.length)))
        expect(digestOf(copied)).toBe(descriptor.digest)
      }
      whole.read++
    }
  }
  // the first byte says whether checksums are to hold again, so that what lies behind them is reached
  const corpus = [0, 1].map((first) => Uint8Array.of(first, ...archive))
  await feed(
    corpus,
    (bytes) => check((bytes[0] ?? 0) % 2 === 0 ? bytes.subarray(1) : mendedTar(bytes.subarray(1))),
    (error) => error instanceof ImageError,
  )
  expect(whole.read).toBeGreaterThan(corpus.length)
})

interface Opened {
  readonly source: ImageSource
  readonly digests: readonly Digest[]
}

async function openLayout(file: string): Promise<Opened> {
  const source = await ImageLayout.openArchive(file)
  return { source, digests: source.index.manifests.map(({ digest }) => digest) }
}

async function openSaved(file: string): Promise<Opened> {
  const source = await DockerArchive.open(file)
  return { source, digests: source.images.map(({ digest }) => digest) }
}

function layoutArchive(): Buffer {
  const directory = fresh()
  writeRawImage(directory, [{ tar: layer }])
  const blobs = readdirSync(path.join(directory, 'blobs/sha256')).map((name) => `blobs/sha256/${name}`)
  const names = ['oci-layout', 'index.json', ...blobs]
  return rawTar(names.map((name) => ({ name: `./${name}`, body: readFileSync(path.join(directory, name)) })))
}

function savedArchive(): Buffer {
  const hex = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  const config = Buffer.from(
    JSON.stringify({ ...platform, config: {}, rootfs: { type: 'layers', diff_ids: [`sha256:${hex(layer)}`] } }),
  )
  const images = ['a/layer.tar', 'b/layer.tar'].map((name) => ({
    Config: `${hex(config)}.json`,
    RepoTags: [`app:${name[0]}`],
    Layers: [name],
  }))
  return rawTar([
    { name: 'a/layer.tar', body: layer },
    { name: 'b/layer.tar', type: '2', link: '../a/layer.tar' },
    { name: `${hex(config)}.json`, body: config },
    { name: 'manifest.json', body: JSON.stringify(images) },
  ])
}
