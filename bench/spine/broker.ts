import { readFileSync } from 'node:fs'
import { pino } from 'pino'
import { readConfig } from '../../packages/broker/src/config.ts'
import { serveBroker } from '../../packages/broker/src/serve.ts'

/*
 * The broker as a process of its own: what `vouchsafe broker serve` runs, with its log written to nowhere, that can be
 * asked over IPC what it has used.
 */

/** What a broker used since it began. Bytes are those of columns, without the framing of any protocol. */
export interface Usage {
  readonly statements: number
  /** In parameters of statements. */
  readonly sent: number
  /** In rows that came back. */
  readonly received: number
  /** What the process handed to the kernel for writing, and took from it: files and sockets alike. */
  readonly written: number
  readonly read: number
  /** Processor time of all threads, in microseconds. */
  readonly cpu: number
}

const [file] = process.argv.slice(2)
if (file === undefined || process.send === undefined) throw new Error('usage: fork spine/broker.ts CONFIG.json')

const seen = { statements: 0, sent: 0, received: 0 }
const logger = pino({ base: {} }, pino.destination('/dev/null'))
const broker = await serveBroker(readConfig(file), {
  log: (event, fields) => logger.info({ event, ...fields }),
  adoptHeads: true,
  onStatement({ values }, { rows }) {
    seen.statements++
    seen.sent += bytesOf(values)
    for (const row of rows) seen.received += bytesOf(Object.values(row))
  },
})

function bytesOf(values: readonly unknown[]): number {
  let sum = 0
  for (const value of values)
    sum += value instanceof Uint8Array ? value.length : typeof value === 'number' ? 8 : String(value ?? '').length
  return sum
}

function usage(): Usage {
  const io = readFileSync('/proc/self/io', 'utf8')
  const count = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(io)?.[1])
  const { user, system } = process.cpuUsage()
  return { ...seen, written: count('wchar'), read: count('rchar'), cpu: user + system }
}

process.on('message', () => process.send?.(usage()))
process.once('disconnect', () => void broker.stop())
process.send({ url: broker.url } satisfies Pick<typeof broker, 'url'>)
