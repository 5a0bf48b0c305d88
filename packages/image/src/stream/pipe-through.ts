import type { Transform } from 'node:stream'

/**
 * Runs a stream of bytes through a Node transform. An error of the source comes out as it is; when the consumer stops
 * early, transform and source are closed.
 */
export async function* pipeThrough(
  source: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Uint8Array, void, undefined> {
  const fed = feed(source, transform)
  try {
    for await (const chunk of transform) yield chunk as Uint8Array
  } finally {
    transform.destroy()
    await fed
  }
}

async function feed(source: AsyncIterable<Uint8Array>, transform: Transform): Promise<void> {
  try {
    for await (const chunk of source) {
      if (transform.destroyed) return
      if (!transform.write(chunk)) await writable(transform)
    }
    transform.end()
  } catch (error) {
    transform.destroy(error as Error)
  }
}

async function writable(transform: Transform): Promise<void> {
  if (transform.destroyed) return
  await new Promise<void>((resolve) => {
    const done = () => {
      transform.off('drain', done)
      transform.off('close', done)
      resolve()
    }
    transform.on('drain', done)
    transform.on('close', done)
  })
}
