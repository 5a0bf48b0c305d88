import { afterEach } from 'vitest'
import { digestOf } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { RegistryClient, type RegistryClientOptions } from '../registry/client.ts'
import type { RegistryHost } from '../registry/registry-config.ts'
import { TestProxy } from './proxy.ts'
import { FakeRegistry, type FakeRegistryOptions } from './registry.ts'

const open: { close(): void }[] = []
afterEach(() => {
  for (const thing of open.splice(0)) thing.close()
})

export async function registry(options?: FakeRegistryOptions): Promise<FakeRegistry> {
  const started = await new FakeRegistry(options).start()
  open.push(started)
  return started
}
export async function proxy(tls?: ConstructorParameters<typeof TestProxy>[0]): Promise<TestProxy> {
  const started = await new TestProxy(tls).start()
  open.push(started)
  return started
}
export const local: RegistryHost = { plainHttp: true, privateNetwork: true }
export function client(hosts: Record<string, RegistryHost>, more: RegistryClientOptions = {}): RegistryClient {
  const made = new RegistryClient({ hosts, retry: { firstDelayMs: 1, maxDelayMs: 5 }, idleSeconds: 60, ...more })
  open.push(made)
  return made
}
export const password = { kind: 'password', username: 'u', password: 'p' } as const
export const bytesOf = (text: string) => Buffer.from(text)
export const content = (bytes: Uint8Array) => ({ digest: digestOf(bytes), size: bytes.length })
export async function read(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
export const manifest = (text = '') =>
  bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, ...content(bytesOf('{}')) },
      layers: [],
      annotations: { text },
    }),
  )
export const big = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251))
export const upload = (bytes: Buffer) => ({
  content: content(bytes),
  open: async function* (offset: number) {
    yield bytes.subarray(offset)
  },
})
