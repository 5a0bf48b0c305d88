import * as openpgp from 'openpgp'
import { beforeAll, describe, expect, test } from 'vitest'
import { putIntoService } from './registry-service.ts'
import { signSimple } from '../../sign/sign-payload.ts'
import { at, published, said } from '../../testing/signing.ts'

interface Pair {
  readonly secret: Uint8Array
  readonly ring: Uint8Array
}
let owner: Pair
let stranger: Pair
beforeAll(async () => {
  const make = async (name: string): Promise<Pair> => {
    const date = new Date('2026-01-01T00:00:00Z')
    const made = await openpgp.generateKey({ userIDs: [{ name }], format: 'binary', date })
    return { secret: made.privateKey, ring: made.publicKey }
  }
  owner = await make('owner')
  stranger = await make('stranger')
})

const material = async (where: string) => (where === 'owner.gpg' ? owner.ring : stranger.ring)
const byService = (keyPaths: readonly string[], parameters: object = {}) => ({
  type: 'vouchsafeScheme',
  scheme: 'registry-service',
  parameters: { keyPaths, ...parameters },
})

async function signedInService(key: Pair, options: { readonly signingService?: boolean } = { signingService: true }) {
  const image = await published(options)
  const dockerReference = `${image.reference}:v1`
  const signature = await signSimple({ digest: image.digest, dockerReference }, key.secret, { at })
  return { ...image, signature, put: () => putIntoService(image.client, image.name, image.digest, signature) }
}
type Entry = Record<string, unknown>
const entriesOf = (image: Awaited<ReturnType<typeof signedInService>>) =>
  image.server.signatures.get(`team/app@${image.digest}`) as Entry[]

describe('a registry’s own signing service', () => {
  test('GU-28 hands out what was put there: found by its scheme, and by signedBy', async () => {
    const image = await signedInService(owner)
    await image.put()
    expect(entriesOf(image)).toEqual([
      {
        schemaVersion: 2,
        name: expect.stringMatching(new RegExp(`^${image.digest}@[0-9a-f]{32}$`)),
        type: 'atomic',
        content: Buffer.from(image.signature.message).toString('base64'),
      },
    ])
    for (const requirement of [
      byService(['owner.gpg']),
      byService(['stranger.gpg', 'owner.gpg']),
      { type: 'signedBy', keyType: 'GPGKeys', keyPath: 'owner.gpg' },
    ])
      expect(await image.decide([requirement], { material })).toMatchObject({ kind: 'accept', signers: [{}] })
  })

  test('GU-28 by another’s key is refused, as elsewhere', async () => {
    const image = await signedInService(stranger)
    await image.put()
    const decision = await image.decide([byService(['owner.gpg'])], { material })
    expect(decision.kind).toBe('refuse')
    expect(said(decision)).toContain('signature.unverified')
  })

  test('GU-28 without one nothing is found, and nothing can be put', async () => {
    const image = await signedInService(owner, {})
    await expect(image.put()).rejects.toMatchObject({ code: 'registry.protocol' })
    const decision = await image.decide([byService(['owner.gpg'])], { material })
    expect(decision).toMatchObject({ kind: 'refuse', findings: [{ explanation: 'the image carries no signature' }] })
  })

  test.each<[string, (entry: Entry) => Entry, string]>([
    ['of another version', (entry) => ({ ...entry, schemaVersion: 1 }), 'signature.malformed'],
    ['of another type', (entry) => ({ ...entry, type: 'AtomicImageV1' }), 'signature.malformed'],
    ['with a member too many', (entry) => ({ ...entry, trusted: true }), 'signature.malformed'],
    ['kept for another image', (entry) => ({ ...entry, name: `sha256:${'0'.repeat(64)}@1` }), 'signature.mismatch'],
    ['that is not base64', (entry) => ({ ...entry, content: 'a b' }), 'signature.malformed'],
    ['that is empty', (entry) => ({ ...entry, content: '' }), 'signature.malformed'],
    ['that is no object', () => [] as unknown as Entry, 'signature.malformed'],
  ])('GU-28 an entry %s does not count, and stops no other', async (_what, change, code) => {
    const image = await signedInService(owner)
    await image.put()
    const [good = {}] = entriesOf(image)
    const key = `team/app@${image.digest}`
    image.server.signatures.set(key, [change(good)])
    const alone = await image.decide([byService(['owner.gpg'])], { material })
    expect([alone.kind, said(alone)]).toEqual(['refuse', expect.stringContaining(code)])
    image.server.signatures.set(key, [change(good), good])
    expect((await image.decide([byService(['owner.gpg'])], { material })).kind).toBe('accept')
  })

  test('GU-28 that fails, or answers with no list, is no answer: that is not "unsigned"', async () => {
    const image = await signedInService(owner)
    for (const [status, body, code] of [
      [503, '', 'registry.unavailable'],
      [404, '', 'registry.not-found'],
      [200, '[]', 'registry.protocol'],
      [200, '{"signatures":{}}', 'registry.protocol'],
      [200, '{"signatures":[],"signatures":[]}', 'registry.protocol'],
      [200, JSON.stringify({ signatures: Array.from({ length: 129 }, () => ({})) }), 'registry.protocol'],
    ] as const) {
      image.server.lie = ({ path }, response) => {
        if (!path.startsWith('/extensions/')) return undefined
        response.writeHead(status).end(body)
        return true
      }
      const decided = image.decide([byService(['owner.gpg'])], { material })
      await expect(decided).rejects.toMatchObject({ code })
    }
  })

  test.each<[string, object]>([
    ['nobody', byService([])],
    ['somebody in words it does not know', byService(['owner.gpg'], { keyPath: 'owner.gpg' })],
  ])('GU-28 a policy that trusts %s is refused', async (_what, requirement) => {
    const image = await signedInService(owner)
    await expect(image.decide([requirement], { material })).rejects.toMatchObject({ code: 'policy.malformed' })
  })
})
