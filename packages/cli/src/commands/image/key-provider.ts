import { readFileSync } from 'node:fs'
import type { Secret } from '@vouchsafe/core'
import { COCO_PROVIDER, ImageError } from '@vouchsafe/image'
import { answerKeyProvider, serveKeyProvider } from '@vouchsafe/image/key-provider'
import { type Command, InvalidArgumentError } from 'commander'
import { withOwner } from '../../files.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { kekFolder } from './broker-kek.ts'

interface Options {
  readonly json?: boolean
  readonly as?: string
  readonly keys: string
  readonly name: string
  readonly listen?: { readonly host: string; readonly port: number }
}

/** `vouchsafe image keyprovider`: the key provider protocol, so that stock tools wrap with keys of our broker. */
export function keyProviderVerb(done: Done): Command {
  return verb('keyprovider', 'serve ocicrypt’s key provider protocol with keys of a broker')
    .requiredOption('--keys <dir>', 'folder where the owner keeps the keys; each is in the broker as well')
    .option('--as <file>', 'owner file with key and broker (default: $VOUCHSAFE_OWNER, then owner.json)')
    .option('--name <name>', 'the provider’s name in annotations', COCO_PROVIDER)
    .option('--listen <address>', 'gRPC on this loopback address, for example 127.0.0.1:50000', listenAddress)
    .addHelpText(
      'after',
      `
Without --listen one request is read from standard input and answered on standard output.

Examples:
  $ echo '{"key-providers":{"attestation-agent":{"grpc":"127.0.0.1:50000"}}}' > ocicrypt.json
  $ vouchsafe image keyprovider --keys keks --listen 127.0.0.1:50000 &
  $ OCICRYPT_KEYPROVIDER_CONFIG=ocicrypt.json skopeo copy oci:app:v1 oci:sealed:v1 \\
      --encryption-key provider:attestation-agent:keyid=kbs:///images/app/key`,
    )
    .action(async (options: Options) => {
      const keys = kekFolder(options.keys, (resource, kek) => putKek(options.as, resource, kek))
      const answer = (request: Uint8Array) => answerKeyProvider(request, keys, options.name)
      if (options.listen === undefined) {
        if (process.stdin.isTTY)
          throw new UsageError('no request on standard input', 'pipe one in, or serve with --listen 127.0.0.1:50000')
        process.stdout.write(await answer(new Uint8Array(readFileSync(0))))
        done(EXIT.yes)
        return
      }
      await serve(options.listen, answer, options)
      done(EXIT.yes)
    })
}

/** Until a signal. */
async function serve(
  at: { readonly host: string; readonly port: number },
  answer: (request: Uint8Array) => Promise<Uint8Array>,
  options: Options,
): Promise<void> {
  const output = outputOf(options)
  const server = await serveKeyProvider(at, answer, (error) => {
    const code = error instanceof ImageError ? error.code : 'internal'
    output.talk(`refused: ${code}: ${(error as Error).message}`)
  })
  const address = `${server.host.includes(':') ? `[${server.host}]` : server.host}:${server.port}`
  output.answer({ listening: address, name: options.name }, `key provider ${options.name} on ${address}`)
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
  await server.close()
}

/** A fresh connection each time: requests come seldom, and brokers close idle ones. */
async function putKek(as: string | undefined, resource: string, kek: Secret): Promise<void> {
  await withOwner(as, async (client) => {
    const before = (await client.listResources()).resources.find((r) => r.path === resource)
    if (before !== undefined && !before.removed)
      throw new ImageError(
        'encryption.no-key',
        `the broker holds ${resource} already, and its key is not in the folder: name another resource, or bring the key`,
      )
    await client.putResource(resource, kek.expose(), before?.version ?? 0)
  })
}

function listenAddress(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(text) ?? []
  if (host === '' || Number(port) > 65_535) throw new InvalidArgumentError('host:port, for example 127.0.0.1:50000')
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
}
