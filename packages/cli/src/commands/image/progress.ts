import type { ImageSource } from '@vouchsafe/image'
import type { Output } from '../../output.ts'

const WIDTH = 24
const INTERVAL_MS = 100

/** One line on a terminal that is written over; on anything else, a line for each step that ended. */
export class Progress {
  readonly #output: Output
  readonly #live: boolean
  #last = 0
  #shown = false

  constructor(output: Output) {
    this.#output = output
    this.#live = !output.json && process.stderr.isTTY
  }

  /** @param of - All there is to do; 0 where that is not known, and then there is no bar. */
  show(step: string, done: number, of: number): void {
    const now = Date.now()
    if (!this.#live || now - this.#last < INTERVAL_MS) return
    this.#last = now
    this.#shown = true
    process.stderr.write(`\r\x1b[K${lineOf(step, done, of, process.stderr.columns)}`)
  }

  /** A step that ended. */
  line(text: string): void {
    this.clear()
    this.#output.talk(text)
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K')
    this.#shown = false
  }
}

/** The same source; each blob that is read shows how far it is. */
export function watched(source: ImageSource, progress: Progress): ImageSource {
  return {
    readManifest: (digest, maxBytes) => source.readManifest(digest, maxBytes),
    ...(source.isLocal === undefined ? {} : { isLocal: source.isLocal }),
    async *openBlob(blob, use) {
      let done = use?.offset ?? 0
      for await (const chunk of source.openBlob(blob, use)) {
        done += chunk.length
        progress.show(blob.digest.slice(0, 19), done, blob.size)
        yield chunk
      }
    },
  }
}

/** @param columns - Of the terminal: a longer line would go on below, and stay there. */
export function lineOf(step: string, done: number, of: number, columns = 80): string {
  const bar = '='.repeat(Math.round(Math.min(1, done / of) * WIDTH)).padEnd(WIDTH, '-')
  const whole = of === 0 ? `${step} ${bytesText(done)}` : `${step} [${bar}] ${bytesText(done)}`
  const short = of === 0 ? whole : `${step} ${Math.floor(Math.min(1, done / of) * 100)}% ${bytesText(done)}`
  return (whole.length < columns ? whole : short).slice(0, Math.max(0, columns - 1))
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`
}
