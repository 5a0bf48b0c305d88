import { access } from 'node:fs/promises'
import { TpmError } from '../codec/errors.ts'
import { DEVICE_PATHS, openDeviceChannel } from './device-channel.ts'
import { openSimulatorChannel } from './simulator-channel.ts'
import { openSwtpmChannel } from './swtpm-channel.ts'
import { QueuedTransport } from './transport.ts'
import type { Channel, Transport } from './transport.ts'

/**
 * Opens the way to a TPM. The address has the form that tpm2-tools take in `TPM2TOOLS_TCTI`:
 *
 * - `device` or `device:/dev/tpmrm0`: a kernel device; without a path the first that exists;
 * - `swtpm:path=/run/tpm.sock` or `swtpm:host=127.0.0.1,port=2321`: swtpm's data port;
 * - `mssim:host=127.0.0.1,port=2321`: the reference simulator, whose platform port is the next one.
 *
 * @throws {TpmError} `input.malformed` for another form; `tpm.unavailable` when nothing answers there.
 */
export async function openTransport(address: string): Promise<Transport> {
  return new QueuedTransport(await openChannel(address))
}

async function openChannel(address: string): Promise<Channel> {
  const colon = address.indexOf(':')
  const kind = colon < 0 ? address : address.slice(0, colon)
  const rest = colon < 0 ? '' : address.slice(colon + 1)
  switch (kind) {
    case 'device':
      return openDeviceChannel(rest === '' ? await firstDevice() : rest)
    case 'swtpm': {
      const { path, host, port } = parseOptions(address, rest, ['path', 'host', 'port'])
      if (path !== undefined) return openSwtpmChannel({ path }, address)
      return openSwtpmChannel({ host: host ?? '127.0.0.1', port: parsePort(address, port) }, address)
    }
    case 'mssim': {
      const { host, port } = parseOptions(address, rest, ['host', 'port'])
      return openSimulatorChannel({ host: host ?? '127.0.0.1', port: parsePort(address, port) })
    }
    default:
      throw new TpmError(
        'input.malformed',
        `${address}: want device:PATH, swtpm:path=…, swtpm:host=…,port=… or mssim:…`,
      )
  }
}

async function firstDevice(): Promise<string> {
  for (const path of DEVICE_PATHS) {
    const exists = await access(path).then(
      () => true,
      () => false,
    )
    if (exists) return path
  }
  throw new TpmError('tpm.unavailable', `this machine shows no TPM: neither ${DEVICE_PATHS.join(' nor ')} exists`)
}

function parseOptions<const K extends string>(
  address: string,
  text: string,
  known: readonly K[],
): Partial<Record<K, string>> {
  const options: Partial<Record<K, string>> = {}
  for (const part of text === '' ? [] : text.split(',')) {
    const equals = part.indexOf('=')
    const key = known.find((name) => name === part.slice(0, equals))
    if (equals < 0 || key === undefined || options[key] !== undefined)
      throw new TpmError('input.malformed', `${address}: ${part} is not one of ${known.join(', ')}`)
    options[key] = part.slice(equals + 1)
  }
  return options
}

function parsePort(address: string, text: string | undefined): number {
  const port = text === undefined ? 2321 : Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new TpmError('input.malformed', `${address}: ${text} is not a port`)
  return port
}
