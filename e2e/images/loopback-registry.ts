import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Digest, ImageLayout, pushImage, RegistryClient, type RegistryHost } from '@vouchsafe/image'
import { attachCosign, cosignPayload, signatureTag, signCosign, type SigningKey } from '@vouchsafe/image/signing'
import { DockerRegistry } from '../../interop/image-registry/peers.ts'
import { FakeRegistry } from '../../packages/image/src/testing/registry.ts'

/** "secret" by bcrypt, as `htpasswd -B` writes it. */
const HTPASSWD = 'user:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n'
const BASIC = Buffer.from('user:secret').toString('base64')

/** Debian's docker-registry where it is installed, and else our own one: on loopback, for everybody or by password. */
export class LoopbackRegistry {
  readonly host: string
  /** What a client must know of it: `--registries`. */
  readonly hosts: Readonly<Record<string, RegistryHost>>
  /** What `skopeo login` would have written. */
  readonly authFile: string
  readonly client: RegistryClient
  readonly #directory: string
  readonly #server: DockerRegistry | FakeRegistry

  private constructor(directory: string, server: DockerRegistry | FakeRegistry) {
    this.host = server.host
    this.hosts = { [server.host]: { plainHttp: true, privateNetwork: true } }
    this.authFile = JSON.stringify({ auths: { [server.host]: { auth: BASIC } } })
    const credentials = { kind: 'password', username: 'user', password: 'secret' } as const
    this.client = new RegistryClient({ hosts: this.hosts, credentials: () => credentials })
    this.#directory = directory
    this.#server = server
  }

  static async start(directory: string, options: { readonly password?: boolean } = {}): Promise<LoopbackRegistry> {
    mkdirSync(directory, { recursive: true })
    const password = options.password === true
    if (!existsSync('/usr/bin/docker-registry')) {
      const fake = new FakeRegistry()
      if (password)
        fake.lie = ({ headers }, response) => (headers.authorization === `Basic ${BASIC}` ? undefined : deny(response))
      return new LoopbackRegistry(directory, await fake.start())
    }
    writeFileSync(path.join(directory, 'htpasswd'), HTPASSWD)
    const auth = `auth: {htpasswd: {realm: stories, path: ${directory}/htpasswd}}`
    return new LoopbackRegistry(directory, await DockerRegistry.start(directory, password ? { auth } : {}))
  }

  /** @returns The image's reference by digest. */
  async publish(layout: string, digest: string, repository: string): Promise<string> {
    const source = await ImageLayout.open(layout)
    await pushImage(source, digest as Digest, this.client.endpoint({ registry: this.host, path: repository }), {
      tag: 'v1',
    })
    return `${this.host}/${repository}@${digest}`
  }

  async sign(digest: string, repository: string, key: SigningKey): Promise<void> {
    const name = { registry: this.host, path: repository }
    const payload = cosignPayload({ digest: digest as Digest, dockerReference: `${this.host}/${repository}` })
    await attachCosign(this.client, name, digest as Digest, signCosign(payload, key))
  }

  /** Takes the signatures of an image away, as whoever runs a registry can. */
  async removeSignatures(digest: string, repository: string): Promise<void> {
    const tag = signatureTag(digest as Digest)
    if (this.#server instanceof FakeRegistry) {
      this.#server.manifests.delete(`${repository}:${tag}`)
      return
    }
    const manifests = `http://${this.host}/v2/${repository}/manifests`
    const headers = { authorization: `Basic ${BASIC}`, accept: 'application/vnd.oci.image.manifest.v1+json' }
    const stored = await fetch(`${manifests}/${tag}`, { method: 'HEAD', headers })
    const removed = await fetch(`${manifests}/${stored.headers.get('docker-content-digest')}`, {
      method: 'DELETE',
      headers,
    })
    if (removed.status !== 202) throw new Error(`the registry removes nothing: ${stored.status}, ${removed.status}`)
  }

  /** Changes one byte of a stored blob; called again it is as before. */
  flipByte(digest: string): void {
    const hex = digest.slice('sha256:'.length)
    if (this.#server instanceof FakeRegistry) {
      const blob = this.#server.blobs.get(digest)
      if (blob === undefined) throw new Error(`no blob ${digest}`)
      blob[600] = (blob[600] ?? 0) ^ 1
      return
    }
    const file = path.join(this.#directory, 'data/docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
    const bytes = readFileSync(file)
    bytes[600] = (bytes[600] ?? 0) ^ 1
    writeFileSync(file, bytes)
  }

  async stop(): Promise<void> {
    this.client.close()
    if (this.#server instanceof FakeRegistry) this.#server.close()
    else await this.#server.kill()
  }
}

function deny(response: Parameters<FakeRegistry['lie']>[1]): true {
  response.writeHead(401, { 'www-authenticate': 'Basic realm="stories"', 'content-length': 0 }).end()
  return true
}
