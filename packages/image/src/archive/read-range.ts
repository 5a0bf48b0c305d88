import { open } from 'node:fs/promises'

const READ_BYTES = 256 * 1024

/**
 * Bytes `start` to `end` of a file, both included, or to its end.
 *
 * @param memory - What all chunks lie in, one after the other; each gets its own unless told.
 */
export async function* readRange(
  file: string,
  { start, end }: { readonly start: number; readonly end: number },
  memory?: Uint8Array,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (start > end) return
  await using handle = await open(file)
  for (let at = start; at <= end;) {
    const into = memory ?? new Uint8Array(Math.min(READ_BYTES, end + 1 - at))
    const { bytesRead } = await handle.read(into, 0, Math.min(into.length, end + 1 - at), at)
    if (bytesRead === 0) return
    at += bytesRead
    yield into.subarray(0, bytesRead)
  }
}
