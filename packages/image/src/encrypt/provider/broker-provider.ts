import { randomUUID } from 'node:crypto'
import { fromUtf8, type Secret } from '@vouchsafe/core/base'
import { ImageError } from '../../errors.ts'
import {
  COCO_PROVIDER,
  parseCocoPacket,
  resourceOfKid,
  unwrapUnderKek,
  type WrapType,
  wrapUnderKek,
} from '../coco-packet.ts'
import { parsePrivateOptions } from '../options.ts'
import { parseProviderRequest, type ProviderParameters, unwrapResponse, wrapResponse } from './messages.ts'

/** Where key-encryption keys come from: a broker's resources, and what their owner keeps of them. */
export interface KekPort {
  /** The key of a resource, made and placed in the broker when there is none yet. */
  obtain(resource: string): Promise<Secret>
  /** The key of a resource, where whoever asks may have it. */
  find(resource: string): Promise<Secret | undefined>
}

/**
 * Answers the key provider protocol with keys of a broker (GU-11, GU-12): wraps as annotation packets, so that guests
 * read them, and unwraps where the key is at hand.
 *
 * Parameters are upstream's: `keyid=<resource>` and `algorithm=A256GCM|A256CTR`, joined by `::`. `keypath` is refused,
 * since over a socket it would read files for strangers, and so is `sample`, whose key is in the open.
 *
 * @throws {ImageError} `encryption.malformed`, `encryption.recipient`, `encryption.wrong-key`, `encryption.no-key`.
 */
export async function answerKeyProvider(
  request: Uint8Array,
  keys: KekPort,
  provider = COCO_PROVIDER,
): Promise<Uint8Array<ArrayBuffer>> {
  const asked = parseProviderRequest(request)
  if (asked.kind === 'wrap') {
    // what is not options would be wrapped for ever and opened by nobody
    parsePrivateOptions(asked.privateOptions, 'options to wrap')
    const { resource, wrapType } = readWrapParameters(asked.parameters, provider)
    return wrapResponse(wrapUnderKek(asked.privateOptions, await keys.obtain(resource), { resource, wrapType }))
  }
  const packet = parseCocoPacket(asked.packet)
  const resource = resourceOfKid(packet.kid)
  const kek = packet.provider === 'kbs' ? await keys.find(resource) : undefined
  if (kek === undefined) throw new ImageError('encryption.no-key', `no key ${packet.kid} is at hand`)
  const opened = unwrapUnderKek(packet, kek)
  if (opened === undefined)
    throw new ImageError('encryption.wrong-key', `the key ${packet.kid} does not open the packet`)
  parsePrivateOptions(opened, 'unwrapped options')
  return unwrapResponse(opened)
}

function readWrapParameters(parameters: ProviderParameters, provider: string) {
  const given = new Map<string, string>()
  for (const value of parameters.get(provider) ?? [])
    for (const part of fromUtf8(value, 'parameters').split('::')) {
      // a client without parameters says just this
      if (part === '' || part === 'Enabled') continue
      const at = part.indexOf('=')
      const name = part.slice(0, Math.max(at, 0))
      if (name !== 'keyid' && name !== 'algorithm')
        throw new ImageError('encryption.recipient', `${JSON.stringify(part)}: known are keyid=… and algorithm=…`)
      given.set(name, part.slice(at + 1))
    }
  return { resource: readResource(given.get('keyid')), wrapType: readWrapType(given.get('algorithm')) }
}

/**
 * `kbs://host/r/t/t`, or the path alone: without a scheme nothing in it is a host. Without any, a name in three parts, which
 * stock guests demand.
 */
function readResource(keyId: string | undefined): string {
  if (keyId === undefined) return `default/image-kek/${randomUUID()}`
  return resourceOfKid(keyId.startsWith('kbs://') ? keyId : `kbs:///${keyId.replace(/^\/+/, '')}`)
}

function readWrapType(algorithm: string | undefined): WrapType {
  if (algorithm === undefined || algorithm === 'A256GCM') return 'A256GCM'
  if (algorithm === 'A256CTR') return 'A256CTR'
  throw new ImageError('encryption.recipient', `algorithm ${algorithm}: known are A256GCM and A256CTR`)
}
