import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { FakeRegistry } from '../testing/registry.ts'
import { RegistryClient } from './client.ts'
import { listTags } from './tags.ts'

const registry = new FakeRegistry()
let client: RegistryClient
beforeAll(async () => {
  await registry.start()
  client = new RegistryClient({
    hosts: { [registry.host]: { privateNetwork: true, plainHttp: true } },
    retry: { attempts: 1 },
  })
})
afterAll(() => {
  client.close()
  registry.close()
})
beforeEach(() => {
  registry.lie = () => undefined
})

/** Answers the list of tags page by page. */
function pages(...list: readonly { readonly body: string; readonly link?: string }[]): void {
  let asked = 0
  registry.lie = ({ path }, response) => {
    if (path !== '/v2/team/app/tags/list') return undefined
    const page = list[Math.min(asked++, list.length - 1)]!
    response.writeHead(200, {
      'content-type': 'application/json',
      ...(page.link === undefined ? {} : { link: page.link }),
    })
    response.end(page.body)
    return true
  }
}
const list = () => listTags(client.endpoint({ registry: registry.host, path: 'team/app' }))
const body = (tags: unknown) => JSON.stringify({ name: 'team/app', tags })

test('tags come from all pages, each once, in the order of the registry', async () => {
  pages(
    { body: body(['v2', 'v1']), link: '</v2/team/app/tags/list?n=2&last=v1>; rel="next"' },
    { body: body(['v1', 'latest']) },
  )
  expect(await list()).toEqual(['v2', 'v1', 'latest'])
  expect(registry.seen.at(-1)?.query.get('last')).toBe('v1')
})

test('a repository without tags has none, one that is not there is said to be missing', async () => {
  pages({ body: body(null) })
  expect(await list()).toEqual([])
  registry.lie = () => undefined
  await expect(list()).rejects.toMatchObject({ code: 'registry.not-found' })
})

test.each([
  ['what is no tag', body(['v1', 'a b\u001b[2J'])],
  ['what is no list', body('v1')],
  ['no JSON', '<html>'],
  ['a member twice', '{"tags":[],"tags":["v1"]}'],
])('H13 a registry that answers with %s is refused', async (_what, text) => {
  pages({ body: text })
  await expect(list()).rejects.toMatchObject({ code: 'registry.protocol' })
})

test('H13 a list that has no end, or goes on elsewhere, is not followed', async () => {
  pages({ body: body(['v1']), link: '</v2/team/app/tags/list?last=v1>; rel="next"' })
  registry.seen.length = 0
  await expect(list()).rejects.toMatchObject({
    code: 'registry.protocol',
    message: expect.stringContaining('1000 pages'),
  })
  expect(registry.seen).toHaveLength(1000)
  pages({ body: body(['v1']), link: '<https://169.254.169.254/v2/team/app/tags/list>; rel="next"' })
  await expect(list()).rejects.toMatchObject({ code: expect.stringMatching(/^registry\.(address|redirect|protocol)$/) })
})
