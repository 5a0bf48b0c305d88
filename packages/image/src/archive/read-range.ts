import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'

const READ_BYTES = 256 * 1024

/**
 * Bytes `start` to `end` of a file, both included, or to its end.
 *
 * @param memory - What all chunks lie in, one after the other. Unless told each gets its own, and the next are read ahead.
 */
export async function* readRange(
  file: string,
  { start, end }: { readonly start: number; readonly end: number },
  memory?: Uint8Array,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (start > end) return
  if (memory === undefined) yield* createReadStream(file, { start, end, highWaterMark: READ_BYTES })
  else yield* readInto(memory, file, start, end)
}

async function* readInto(memory: Uint8Array, file: string, start: number, end: number): AsyncGenerator<Uint8Array> {
  await using handle = await open(file)
  for (let at = start; at <= end;) {
    const { bytesRead } = await handle.read(memory, 0, Math.min(memory.length, end + 1 - at), at)
    if (bytesRead === 0) return
    at += bytesRead
    yield memory.subarray(0, bytesRead)
  }
}
