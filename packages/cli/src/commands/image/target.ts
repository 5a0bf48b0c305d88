import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { assertAbsent, ImageError, ImageLayout, LayoutWriter, writeArchive } from '@vouchsafe/image'
import { atPlace } from '../../machine-trouble.ts'
import { UsageError } from '../../output.ts'
import { type ImageAddress, parseAddress } from './image-address.ts'

/** Where an image is written to. */
export interface Target {
  readonly writer: LayoutWriter
  /** The layout that is written: of an archive, what it is made of in the end. */
  readonly directory: string
  readonly name?: string
  /** As it was asked for. */
  readonly text: string
}

/**
 * Runs what writes an image to `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`. An archive appears when all of it is there.
 *
 * @param signal - Ends the writing: `aborted`.
 */
export async function withTarget<T>(
  text: string,
  signal: AbortSignal,
  run: (target: Target) => Promise<T>,
): Promise<T> {
  try {
    return await intoTarget(text, signal, run)
  } catch (error) {
    throw atPlace(error, text)
  }
}

async function intoTarget<T>(text: string, signal: AbortSignal, run: (target: Target) => Promise<T>): Promise<T> {
  const address = targetAddress(text)
  const name = address.name === undefined ? {} : { name: address.name }
  if (address.kind === 'oci')
    return intoLayout(address.place, signal, (writer) => run({ writer, directory: address.place, text, ...name }))
  await assertAbsent(address.place)
  const staging = await mkdtemp(path.join(path.dirname(path.resolve(address.place)), '.vouchsafe-layout-'))
  try {
    const result = await run({ writer: await LayoutWriter.open(staging, signal), directory: staging, text, ...name })
    await writeArchive(staging, address.place, signal)
    return result
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** A layout that is made for one image, and gets none, goes away again. In one that was there, whole blobs may stay. */
async function intoLayout<T>(
  directory: string,
  signal: AbortSignal,
  run: (writer: LayoutWriter) => Promise<T>,
): Promise<T> {
  const wasThere = existsSync(directory)
  try {
    return await run(await LayoutWriter.open(directory, signal))
  } catch (error) {
    if (!wasThere && (await isUnused(directory))) await rm(directory, { recursive: true, force: true })
    throw error
  }
}

/** Nothing is listed: a blob there is of no image. */
async function isUnused(directory: string): Promise<boolean> {
  try {
    return (await ImageLayout.open(directory)).index.manifests.length === 0
  } catch (error) {
    if (error instanceof ImageError) return !existsSync(path.join(directory, 'oci-layout'))
    throw error
  }
}

function targetAddress(text: string) {
  const address = localOrNothing(text)
  if (address === undefined || address.kind === 'registry' || address.digest !== undefined)
    throw new UsageError(
      `${text} is no place to write an image to`,
      'name a layout, oci:DIR:TAG, or an archive, oci-archive:FILE:TAG; vouchsafe image push takes it to a registry',
    )
  if (address.kind === 'docker-archive')
    throw new UsageError(
      `${text}: archives of docker's are read only`,
      `write oci-archive:FILE, then skopeo copy oci-archive:FILE ${text}`,
    )
  return address
}

/** What is no name of an image is no place either. */
function localOrNothing(text: string): ImageAddress | undefined {
  try {
    return parseAddress(text)
  } catch (error) {
    if (error instanceof UsageError || error instanceof ImageError) return undefined
    throw error
  }
}
