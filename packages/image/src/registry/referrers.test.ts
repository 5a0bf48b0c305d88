import { describe, expect, test } from 'vitest'
import { digestOf, parseDigest } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { assertTag } from '../oci/reference.ts'
import { registry, local, client, bytesOf, content, manifest } from '../testing/registry-client.ts'
import { fallbackTag, listReferrers, putManifest } from './referrers.ts'

describe('CS-10 what refers to an image', () => {
  const subject = { mediaType: MEDIA.manifest, ...content(manifest()) }
  const referrer = (artifactType: string) => ({
    bytes: bytesOf(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA.manifest,
        artifactType,
        config: { mediaType: MEDIA.empty, ...content(bytesOf('{}')) },
        layers: [],
        subject,
        annotations: { a: artifactType },
      }),
    ),
    mediaType: MEDIA.manifest,
  })

  test.each([true, false])('is listed with the referrers API %s, and by kind', async (referrersApi) => {
    const r = await registry({ referrersApi })
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    expect(await listReferrers(endpoint, subject.digest)).toEqual([])
    for (const type of ['application/one', 'application/two', 'application/one'])
      await putManifest(endpoint, referrer(type))
    expect((await listReferrers(endpoint, subject.digest)).map((entry) => entry.artifactType)).toEqual([
      'application/one',
      'application/two',
    ])
    const [one, ...rest] = await listReferrers(endpoint, subject.digest, { artifactType: 'application/one' })
    expect(rest).toEqual([])
    expect(one?.digest).toBe(digestOf(referrer('application/one').bytes))
    expect(r.manifests.has(`app:sha256-${subject.digest.slice(7)}`)).toBe(!referrersApi)
  })

  test.each([400, 404, 406])(
    'a registry that answers %i to the API is asked for the list under its tag',
    async (status) => {
      const r = await registry()
      const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
      await putManifest(endpoint, referrer('application/one'))
      r.lie = (seen, response) => {
        if (!seen.path.includes('/referrers/')) return undefined
        response.writeHead(status).end('no such route')
        return true
      }
      expect(await listReferrers(endpoint, subject.digest)).toHaveLength(1)
    },
  )

  test('the tag for a digest of 512 bits is one that registries take', () => {
    const digest = parseDigest(`sha512:${'ab'.repeat(64)}`)
    expect(fallbackTag(digest)).toBe(`sha512-${'ab'.repeat(32)}`)
    expect(() => assertTag(fallbackTag(digest))).not.toThrow()
  })

  test('pages are followed on the same host only, and not without end', async () => {
    const r = await registry()
    const endpoint = client({ [r.host]: local }).endpoint({ registry: r.host, path: 'app' })
    const page = (link: string) => {
      r.lie = (seen, response) => {
        if (!seen.path.includes('/referrers/')) return undefined
        const last = seen.query.get('page') === '2'
        response.writeHead(200, { 'content-type': MEDIA.index, ...(last ? {} : { link: `<${link}>; rel="next"` }) })
        response.end(JSON.stringify({ schemaVersion: 2, manifests: [subject] }))
        return true
      }
    }
    page('?page=2')
    expect(await listReferrers(endpoint, subject.digest)).toHaveLength(2)
    page('http://169.254.169.254/next')
    await expect(listReferrers(endpoint, subject.digest)).rejects.toMatchObject({ code: 'registry.redirect' })
    page('http://[')
    await expect(listReferrers(endpoint, subject.digest)).rejects.toMatchObject({ code: 'registry.protocol' })
    page('?page=1')
    await expect(listReferrers(endpoint, subject.digest)).rejects.toMatchObject({
      code: 'registry.protocol',
      message: expect.stringContaining('pages'),
    })
  })
})
