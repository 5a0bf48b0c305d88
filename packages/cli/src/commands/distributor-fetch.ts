import { readFileSync } from 'node:fs'
import {
  type ClientTpm,
  type DistributorAddress,
  DistributorConnection,
  DistributorRefusal,
  type FetchOptions,
  fetchSecrets,
  withBackOff,
} from '@vouchsafe/client/distributor'
import { VouchsafeError, brokerPinSchema, claimedIdentity, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { type Command, Option } from 'commander'
import { type DocumentSource, METADATA_URL, identityDocument } from '../distributor/identity-document.ts'
import { LocalTpm } from '../distributor/local-tpm.ts'
import { runWorker, secretsJson } from '../distributor/worker.ts'
import { EXIT, UsageError, withHint } from '../output.ts'
import { type Done, outputOf, verb } from './options.ts'

/** What identity documents are for, where nobody says otherwise: as the original has it. */
export const IDENTITY_AUDIENCE = 'https://tokenservice'

interface Reach {
  readonly server: string
  readonly ca: string
  readonly serverName?: string
  readonly certificate?: string
  readonly key?: string
  readonly json?: boolean
}

/** What a machine says of itself, and how patiently. */
export interface Showing extends Reach {
  readonly broker: string
  readonly metadata: string
  readonly identityFile?: string
  readonly tpm?: string
  readonly withoutTpm?: boolean
  readonly keys: 'rsa' | 'ecc'
  readonly bootLog?: string
  readonly attempts: string
  readonly pause: string
  readonly longestPause: string
}

interface FetchCommand extends Showing {
  readonly audience: string
  readonly fd: string
}

/** `distributor fetch`: what runs in the client's machine. */
export function fetchVerb(done: Done): Command {
  return showing(verb('fetch', 'show this machine to a distributor, fetch its secrets, and start a worker with them'))
    .option('--audience <text>', 'audience of the identity document', IDENTITY_AUDIENCE)
    .option('--fd <n>', 'descriptor on which the worker reads the secrets', '0')
    .argument('[worker...]', 'after --: the program that gets the secrets, as one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe distributor fetch --server tokens.example:50051 --ca ca.pem --broker alice.pin.json -- ./worker\n  $ vouchsafe distributor fetch … --fd 3 -- sh -c "jq . <&3"',
    )
    .action(async (worker: readonly string[], options: FetchCommand) => {
      const [program, ...args] = worker
      if (program === undefined && process.stdout.isTTY && options.json !== true)
        throw new UsageError('the secrets would be printed on a terminal', 'name a worker after --, or pipe the output')
      const fd = wholeNumber(options.fd, '--fd', 0, 9)
      if (fd === 1 || fd === 2) throw new UsageError('--fd 1 and 2 are the worker’s output', 'use 0, or 3 to 9')
      const fetched = await fetchPatiently(options, options.audience)
      if (program !== undefined) done(await runWorker([program, ...args], fetched, fd))
      else {
        process.stdout.write(`${secretsJson(fetched)}\n`)
        done(EXIT.yes)
      }
    })
}

/** @param token - Left out: everything that was approved. */
export async function fetchPatiently(options: Showing, identityAudience: string, token?: FetchOptions['token']) {
  const output = outputOf(options)
  const broker = parseSchema(
    brokerPinSchema,
    parseStrictJson(readFileSync(options.broker), { maxBytes: 65_536 }),
    options.broker,
  )
  const source: DocumentSource =
    options.identityFile === undefined ? { metadata: options.metadata } : { file: options.identityFile }
  const address = addressOf(options)
  const retry = {
    attempts: wholeNumber(options.attempts, '--attempts', 1, 1_000_000),
    pauseMs: wholeNumber(options.pause, '--pause', 0, 86_400) * 1000,
    longestPauseMs: wholeNumber(options.longestPause, '--longest-pause', 0, 86_400) * 1000,
    onWait: (refusal: { readonly code: string }, attempt: number, pauseMs: number) =>
      output.talk(`attempt ${attempt}: ${refusal.code}; again in ${pauseMs / 1000} s`),
  }
  return withBackOff(async () => {
    const connection = new DistributorConnection(address, () => identityDocument(source, identityAudience))
    try {
      const { instance } = claimedIdentity(await identityDocument(source, identityAudience))
      return await withTpm(options, (tpm) =>
        fetchSecrets(connection, { broker, instance, tpm, ...(token !== undefined && { token }) }),
      )
    } catch (error) {
      throw explained(error)
    } finally {
      connection.close()
    }
  }, retry)
}

/** What to try next, where the general hint of a code would speak of something else. */
function explained(error: unknown): unknown {
  if (error instanceof DistributorRefusal)
    return error.decision === null
      ? withHint(error, 'nothing was recorded; the distributor’s log names the call')
      : withHint(error, `its owner sees all of it with: vouchsafe why ${error.decision}`)
  if (error instanceof VouchsafeError && error.code === 'peer.untrusted')
    return withHint(
      error,
      'compare --ca and --server-name with what the owner handed out, and our certificate with theirs',
    )
  if (error instanceof VouchsafeError && error.code === 'peer.unreachable')
    return withHint(error, 'is it up? vouchsafe distributor health --server …')
  return error
}

async function withTpm<T>(options: Showing, run: (tpm: ClientTpm | null) => Promise<T>): Promise<T> {
  if (options.withoutTpm === true) return run(null)
  await using tpm = await LocalTpm.open({
    keys: options.keys,
    ...(options.tpm !== undefined && { address: options.tpm }),
    ...(options.bootLog !== undefined && { bootLog: options.bootLog }),
  })
  return await run(tpm)
}

/** `distributor health` */
export function healthVerb(done: Done): Command {
  return reaching(verb('health', 'ask a distributor whether it is up; needs no identity document')).action(
    async (options: Reach) => {
      const connection = new DistributorConnection(addressOf(options), async () => '')
      try {
        const { status } = await connection.health.check({ service: '' })
        const up = status === 1
        outputOf(options).answer({ up }, up ? 'up' : 'not serving')
        done(up ? EXIT.yes : EXIT.no)
      } finally {
        connection.close()
      }
    },
  )
}

/** Options of a verb that shows this machine to a distributor. */
export function showing(command: Command): Command {
  return reaching(command)
    .requiredOption('--broker <file>', 'the broker’s pin, as its owner handed it out: what was sealed must be by it')
    .option('--metadata <url>', 'the platform’s metadata server', METADATA_URL)
    .option('--identity-file <file>', 'identity document from a file that somebody keeps fresh, instead')
    .option('--tpm <address>', 'the TPM: device, or swtpm:path=… (default: this machine’s)')
    .option('--without-tpm', 'for a client that its owner exempted from TPM checks')
    .addOption(
      new Option('--keys <kind>', 'endorsement and attestation key to use').choices(['rsa', 'ecc']).default('rsa'),
    )
    .option('--boot-log <file>', 'boot log (default: the kernel’s)')
    .option('--attempts <n>', 'how often to try until the owner has approved', '360')
    .option('--pause <seconds>', 'before the second attempt; doubles from there', '1')
    .option('--longest-pause <seconds>', 'where the pause stops growing', '60')
}

function reaching(command: Command): Command {
  return command
    .requiredOption('--server <host:port>', 'the distributor')
    .requiredOption('--ca <file>', 'PEM of the authority that its certificate must be by')
    .option('--server-name <name>', 'name that its certificate must have (default: the host)')
    .option('--certificate <file>', 'our certificate, PEM, for distributors that want one')
    .option('--key <file>', 'its key, PEM')
}

function addressOf(options: Reach): DistributorAddress {
  const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(options.server) ?? []
  if (host === '')
    throw new UsageError(`--server ${options.server} is not host:port`, 'for example tokens.example:50051')
  if ((options.certificate === undefined) !== (options.key === undefined))
    throw new UsageError('--certificate and --key go together', 'name both, or neither')
  return {
    host,
    port: Number(port),
    authority: readFileSync(options.ca, 'utf8'),
    ...(options.serverName !== undefined && { serverName: options.serverName }),
    ...(options.certificate !== undefined &&
      options.key !== undefined && {
        identity: { certificate: readFileSync(options.certificate, 'utf8'), key: readFileSync(options.key, 'utf8') },
      }),
  }
}

function wholeNumber(text: string, what: string, least: number, most: number): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < least || n > most)
    throw new UsageError(
      `${what} ${text} is not a whole number from ${least} to ${most}`,
      `for example ${what} ${least}`,
    )
  return n
}
