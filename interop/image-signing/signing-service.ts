import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { buildImage, ImageLayout, parseReference, pushImage, RegistryClient } from '@vouchsafe/image'
import { decideBySignatures, parsePolicy, putIntoService, readMaterialFrom, signSimple } from '@vouchsafe/image/signing'
import * as openpgp from 'openpgp'
import { FakeRegistry } from '../../packages/image/src/testing/registry.ts'
import type { Case } from '../image-registry/signed-images.ts'

const run = promisify(execFile)

/** Peer: Debian's skopeo, which signs by GnuPG into a registry's own service, and reads what we put there. */
export function signingServiceCase(scratch: string): Case {
  return [
    'a registry’s own signing service: ours accepted by skopeo, skopeo’s by us; another key refused by both',
    async () => {
      const file = (name: string) => path.join(scratch, name)
      const home = file('service-gnupg')
      mkdirSync(home, { mode: 0o700 })
      mkdirSync(file('no-registries.d'))
      const [owner, stranger] = [await pgpKey('owner'), await pgpKey('stranger')]
      writeFileSync(file('service-owner.gpg'), owner.publicKey)
      writeFileSync(file('service-stranger.gpg'), stranger.publicKey)
      writeFileSync(file('service-owner.sec'), owner.privateKey)
      const registry = await new FakeRegistry({ signingService: true }).start()
      const client = new RegistryClient({ hosts: { [registry.host]: { plainHttp: true, privateNetwork: true } } })
      // it answers from this event loop, so nothing here may block
      const skopeo = (...args: readonly string[]) =>
        run('skopeo', ['--registries.d', file('no-registries.d'), ...args], {
          env: { ...process.env, GNUPGHOME: home },
        })
      /** What both say of an image under one policy. They must agree. */
      const bothSay = async (reference: string, ring: string): Promise<boolean> => {
        const requirement = { type: 'signedBy', keyType: 'GPGKeys', keyPath: file(ring) }
        const policy = { default: [{ type: 'reject' }], transports: { docker: { [registry.host]: [requirement] } } }
        writeFileSync(file('service-policy.json'), JSON.stringify(policy))
        const asked = parseReference(reference)
        const { bytes, digest } = await client.reader(asked).readTag('v1')
        const decision = await decideBySignatures(
          { asked, documents: [{ role: 'manifest', digest, bytes }] },
          {
            policy: parsePolicy(new TextEncoder().encode(JSON.stringify(policy))),
            client,
            material: readMaterialFrom({}),
            at: () => new Date(),
          },
        )
        const copied = skopeo(
          '--policy',
          file('service-policy.json'),
          'copy',
          '--remove-signatures',
          '--src-tls-verify=false',
          `docker://${reference}`,
          `dir:${file(`service-pulled-${pulls++}`)}`,
        )
        const theirs = await copied.then(
          () => true,
          (error: { stderr?: string }) => {
            assert.match(String(error.stderr), /[Ss]ource image rejected/)
            return false
          },
        )
        assert.equal(decision.kind === 'accept', theirs, JSON.stringify(decision.findings))
        return theirs
      }
      let pulls = 0
      try {
        const layout = file('service-image')
        const files = [{ kind: 'file', path: 'f', bytes: new Uint8Array(3) }] as const
        const { digest } = await buildImage({ layers: [{ kind: 'files', files }], config: {}, name: 'v1' }, layout)
        const name = { registry: registry.host, path: 'ours' }
        await pushImage(await ImageLayout.open(layout), digest, client.endpoint(name), { tag: 'v1' })
        const ours = `${registry.host}/ours:v1`
        assert.equal(await bothSay(ours, 'service-owner.gpg'), false)
        const signature = await signSimple({ digest, dockerReference: ours }, owner.privateKey, { at: new Date() })
        await putIntoService(client, name, digest, signature)
        assert.equal(await bothSay(ours, 'service-owner.gpg'), true)
        assert.equal(await bothSay(ours, 'service-stranger.gpg'), false)
        // theirs, by GnuPG, into the service
        execFileSync('gpg', ['--homedir', home, '--batch', '--import', file('service-owner.sec')], { stdio: 'ignore' })
        const theirs = `${registry.host}/theirs:v1`
        await skopeo(
          '--insecure-policy',
          'copy',
          '--preserve-digests',
          '--dest-tls-verify=false',
          '--sign-by',
          owner.fingerprint,
          `oci:${layout}:v1`,
          `docker://${theirs}`,
        )
        assert.equal(registry.signatures.get(`theirs@${digest}`)?.length, 1)
        assert.equal(await bothSay(theirs, 'service-owner.gpg'), true)
        assert.equal(await bothSay(theirs, 'service-stranger.gpg'), false)
      } finally {
        client.close()
        registry.close()
        // gpg starts an agent for its folder, which would outlive it
        execFileSync('gpgconf', ['--homedir', home, '--kill', 'all'], { stdio: 'ignore' })
      }
    },
  ]
}

async function pgpKey(name: string) {
  const date = new Date(Date.now() - 3_600_000)
  // a kind of key that GnuPG 2.2 reads as well
  const made = await openpgp.generateKey({ type: 'rsa', rsaBits: 2048, userIDs: [{ name }], format: 'object', date })
  const { privateKey, publicKey } = made
  return {
    privateKey: privateKey.write(),
    publicKey: publicKey.write(),
    fingerprint: publicKey.getFingerprint().toUpperCase(),
  }
}
