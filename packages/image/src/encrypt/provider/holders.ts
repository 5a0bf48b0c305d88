import type { KeyHolder, Recipients } from '../recipients.ts'
import { parseUnwrapResponse, parseWrapResponse, unwrapRequest, wrapRequest } from './messages.ts'

/** A key provider that can be asked, however it is reached. */
export interface ProviderPort {
  /** @throws {ImageError} `encryption.provider`. */
  ask(operation: 'wrap' | 'unwrap', request: Uint8Array): Promise<Uint8Array>
}

/** Wraps by a key provider. @param parameters - Its own, after `provider:<name>:`; upstream says `Enabled` for none. */
export function providerRecipients(name: string, port: ProviderPort, parameters: readonly Uint8Array[]): Recipients {
  return {
    scheme: `provider.${name}`,
    async wrap(privateOptions) {
      return [parseWrapResponse(await port.ask('wrap', wrapRequest(name, parameters, privateOptions)))]
    },
  }
}

/** Unwraps by a key provider. It is told its own parameters, and no key of any other scheme. */
export function providerKeys(name: string, port: ProviderPort, parameters: readonly Uint8Array[]): KeyHolder {
  return {
    scheme: `provider.${name}`,
    isRemote: true,
    async unwrap(packet) {
      return parseUnwrapResponse(await port.ask('unwrap', unwrapRequest(name, parameters, packet)))
    },
  }
}
