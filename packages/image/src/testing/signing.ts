import { generateKeyPairSync } from 'node:crypto'
import { decideBySignatures, type PolicyPorts, pullPolicy } from '../policy/pull-policy.ts'
import { parsePolicy } from '../policy/parse-policy.ts'
import { readMaterialFrom } from '../policy/material.ts'
import type { ImageDecision } from '../policy/decide-image.ts'
import { digestOf } from '../oci/digest.ts'
import { parseReference } from '../oci/reference.ts'
import { pushImage } from '../registry/transfer.ts'
import { signingKey, type SigningKey } from '../sign/private-key.ts'
import { client, local, registry } from './registry-client.ts'
import { image } from './pull.ts'
import { file } from './unpack.ts'

export const at = new Date('2026-11-01T00:00:00Z')

/** Fresh keys of each kind that signs images. */
export function newKey(kind: 'p256' | 'p384' | 'rsa' | 'ed25519' | 'pss' = 'p256'): SigningKey {
  const pair =
    kind === 'p256' || kind === 'p384'
      ? generateKeyPairSync('ec', { namedCurve: kind === 'p256' ? 'P-256' : 'P-384' })
      : kind === 'ed25519'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return signingKey(pair.privateKey, { pss: kind === 'pss' })
}

export const pem = (key: SigningKey) => key.public.key.export({ format: 'pem', type: 'spki' }).toString()
export const keyData = (key: SigningKey) => Buffer.from(pem(key)).toString('base64')

/** An image in a registry, a client for it, and a way to ask a policy about it. */
export async function published(options: { readonly referrersApi?: boolean; readonly signingService?: boolean } = {}) {
  const server = await registry(options)
  const c = client({ [server.host]: local })
  const { source, digest } = await image([[file('f')]])
  const name = { registry: server.host, path: 'team/app' }
  await pushImage(source, digest, c.endpoint(name), { tag: 'v1' })
  const asked = parseReference(`${server.host}/team/app:v1`)
  const { bytes, mediaType } = await c.reader(name).readManifest(digest, 1e6)
  const subject = { mediaType, digest, size: bytes.length, annotations: new Map<string, string>() }
  const ports = (requirements: readonly object[], more: Partial<PolicyPorts> = {}): PolicyPorts => ({
    policy: parsePolicy(new TextEncoder().encode(JSON.stringify({ default: requirements }))),
    client: c,
    material: readMaterialFrom({}),
    at: () => at,
    ...more,
  })
  const decide = async (requirements: readonly object[], more: Partial<PolicyPorts> = {}): Promise<ImageDecision> =>
    decideBySignatures(
      { asked, documents: [{ role: 'manifest', digest: digestOf(bytes), bytes }] },
      ports(requirements, more),
    )
  const policy = (requirements: readonly object[], more: Partial<PolicyPorts> = {}) =>
    pullPolicy(ports(requirements, more))
  return {
    server,
    client: c,
    source,
    digest,
    name,
    asked,
    subject,
    decide,
    policy,
    reference: `${server.host}/team/app`,
  }
}

/** All that a decision says, for `toContain`. */
export const said = ({ findings }: ImageDecision) => JSON.stringify(findings)
