import { VouchsafeError } from '@vouchsafe/core'
import { pino } from 'pino'
import { readConfig } from './config.ts'
import { readDistributorConfig } from './distributor/config.ts'
import { distributorSurface } from './distributor/serve.ts'
import { initBroker, readInitRequest } from './init.ts'
import { serveBroker } from './serve.ts'

const USAGE = `usage: broker init REQUEST.json     make a broker; prints its configuration and pins
       broker serve CONFIG.json [--adopt-heads]
                                    serve it; prints one line of JSON when it is ready
       broker distributor CONFIG.json [--adopt-heads]
                                    serve a broker with the token distributor beside it

Run them through the command line: vouchsafe broker init|serve --help
`

/** Entry of the broker process. stdout is for the starter, stderr is the log. @returns exit status, as in style section 12 */
export async function main(args: readonly string[]): Promise<number> {
  const [command, file, ...flags] = args
  try {
    if (command === 'init' && file !== undefined && flags.length === 0) {
      answer(await initBroker(readInitRequest(file), new Date()))
      return 0
    }
    if (command === 'serve' && file !== undefined && flags.every((f) => f === '--adopt-heads')) {
      await serve(file, flags.includes('--adopt-heads'))
      return 0
    }
    if (command === 'distributor' && file !== undefined && flags.every((f) => f === '--adopt-heads')) {
      await distribute(file, flags.includes('--adopt-heads'))
      return 0
    }
    process.stderr.write(USAGE)
    return 2
  } catch (error) {
    const code = error instanceof VouchsafeError ? error.code : 'internal'
    process.stderr.write(`broker: ${code}: ${error instanceof Error ? error.message : String(error)}\n`)
    if (code === 'internal') return 5
    return code.startsWith('input.') ? 3 : 1
  }
}

/** Serves until SIGTERM or SIGINT; then lets running requests end. */
async function serve(file: string, adoptHeads: boolean): Promise<void> {
  const logger = pino({ base: {} }, pino.destination(2))
  // an event has a name and flat fields, and only the fields that its maker listed
  const broker = await serveBroker(readConfig(file), {
    log: (event, fields) => logger.info({ event, ...fields }),
    adoptHeads,
  })
  answer({ event: 'broker.ready', id: broker.id, url: broker.url, pid: process.pid })
  await untilTold()
  await broker.stop()
}

/** The same, with the distributor's own listener. */
async function distribute(file: string, adoptHeads: boolean): Promise<void> {
  const config = readDistributorConfig(file)
  const surface = distributorSurface(config)
  const logger = pino({ base: {} }, pino.destination(2))
  const broker = await serveBroker(readConfig(config.broker), {
    log: (event, fields) => logger.info({ event, ...fields }),
    adoptHeads,
    surface,
  })
  const { transport, tenant } = config
  const { host, port } = surface.listening()
  const grpc = { host, port, transport: transport.kind, tenant }
  answer({ event: 'distributor.ready', id: broker.id, url: broker.url, grpc, pid: process.pid })
  await untilTold()
  await broker.stop()
}

async function untilTold(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
}

function answer(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}
