import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { nodeSignatures } from '@vouchsafe/rego/node'
import type { HostFunctions } from '../src/builtins/index.ts'

/** What the suites expect of a host. Nothing is sent anywhere: only `localhost` and literal addresses are looked up. */
export const suiteHost: HostFunctions = {
  signatures: nodeSignatures,
  runtime: () => ({}),
  httpSend: () => {
    throw new Error('no case of the suites sends a request')
  },
  lookupAddresses: async (name) => {
    if (isIP(name) !== 0) return [name]
    if (name !== 'localhost') throw new Error('no case of the suites looks up another name')
    return (await lookup(name, { all: true })).map((found) => found.address)
  },
}
