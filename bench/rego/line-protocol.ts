import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { createInterface } from 'node:readline'
import { canonical, type Peer, type Slice } from './contestant.ts'

type Answer = Partial<Slice> & { id: number; value?: unknown; prepareMs?: number; heapMiB?: number; error?: string }

/** A peer in a process of its own that prepares and runs when it is told to: a line of JSON in, a line of JSON out. */
export function lineProtocol(
  engine: string,
  child: ChildProcessByStdio<Writable, Readable, null>,
  cleanUp: () => void,
): Peer {
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async (request: unknown): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify(request)}\n`)
    const { value, done } = await lines.next()
    if (done === true) throw new Error(`${engine} has ended`)
    return JSON.parse(value) as Answer
  }
  return {
    contestant: async (c) => {
      const { id, value, prepareMs = Number.NaN, heapMiB, error } = await ask({ query: c.query, ...c.files })
      if (error !== undefined) throw new Error(`${engine}: ${error}`)
      return {
        engine,
        prepareMs,
        heapMiB,
        answer: canonical(value),
        run: async (ms) => {
          const { median = Number.NaN, p99 = Number.NaN } = await ask({ id, ms })
          return { median, p99 }
        },
      }
    },
    close: () => {
      child.stdin.end()
      cleanUp()
    },
  }
}
