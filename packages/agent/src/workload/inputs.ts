import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { decryptDataFile } from '@vouchsafe/client'
import type { Secret } from '@vouchsafe/core'
import { AgentError } from '../errors.ts'
import type { Handed, MemoryFile } from './handover.ts'

/** A released resource, and the data file that it is the key of, where there is one. */
export interface ReleasedInput {
  /** `owner/resource/path` */
  readonly name: string
  readonly secret: Secret
  /** Path of the ciphertext. */
  readonly dataFile?: string
}

/**
 * Puts every released resource into memory: a secret as it is; for a data key the data that it opens, and not the key. All
 * of it, to the last authenticated byte, before anything is started.
 *
 * @throws {AgentError} `data.missing`, `data.unreadable`
 */
export async function prepareInputs(
  released: readonly ReleasedInput[],
  newFile: () => MemoryFile,
): Promise<readonly Handed[]> {
  const handed: Handed[] = []
  for (const { name, secret, dataFile } of released) {
    const file = newFile()
    handed.push({ name, kind: dataFile === undefined ? 'secret' : 'data', file })
    if (dataFile === undefined) file.write(secret.expose())
    else await decryptInto(file, { name, secret, dataFile })
  }
  return handed
}

async function decryptInto(
  file: MemoryFile,
  { name, secret, dataFile }: ReleasedInput & { readonly dataFile: string },
): Promise<void> {
  let unreadable: Error | undefined
  const source = createReadStream(dataFile).once('error', (error) => (unreadable = error))
  try {
    const plaintext = await decryptDataFile(Readable.toWeb(source) as ReadableStream<Uint8Array>, secret)
    for await (const chunk of plaintext) {
      file.write(chunk)
      chunk.fill(0)
    }
  } catch (cause) {
    if (unreadable !== undefined)
      throw new AgentError('data.missing', `${name}: ${dataFile}: ${unreadable.message}`, { cause })
    // without the library's message: it is about ciphertext, and who reads it can do nothing with it
    throw new AgentError('data.unreadable', `${name}: ${dataFile} does not open with the key that its owner released`, {
      cause,
    })
  } finally {
    source.destroy()
  }
}
