import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { proxyChooser, proxyFromEnvironment } from './proxy-settings.ts'

const https = new URL('https://registry.example/')
const http = new URL('http://registry.example/')

test('the environment is read as Go reads it: upper case first, what is empty is not there', () => {
  expect(proxyFromEnvironment({})).toEqual({})
  expect(
    proxyFromEnvironment({
      HTTPS_PROXY: 'a',
      https_proxy: 'b',
      HTTP_PROXY: '',
      http_proxy: 'c',
      no_proxy: 'd',
      PATH: 'e',
    }),
  ).toEqual({ https: 'a', http: 'c', noProxy: 'd' })
})

test('the scheme that is asked for chooses the proxy, and the one for plain HTTP serves no TLS', () => {
  expect(proxyChooser({})(https)).toBeUndefined()
  expect(proxyChooser({ http: 'http://p.example' })(https)).toBeUndefined()
  const choose = proxyChooser({ https: 'https://p.example', http: 'q.example:3128', noProxy: 'direct.example' })
  expect(choose(https)).toMatchObject({ host: 'p.example', hostname: 'p.example', port: 443, tls: true })
  expect(choose(http)).toMatchObject({ host: 'q.example:3128', port: 3128, tls: false })
  expect(choose(new URL('https://direct.example'))).toBeUndefined()
  expect(proxyChooser({ https: 'http://[fd12::1]:3128/' })(https)).toMatchObject({ hostname: 'fd12::1', port: 3128 })
  expect(proxyChooser({ https: 'p.example' })(https)).toMatchObject({ port: 80 })
})

test('user and password are taken from the address, and shown nowhere', () => {
  const proxy = proxyChooser({ https: 'http://us%20er:p%40ss%3A@p.example:3128' })(https)
  expect(Buffer.from(proxy!.authorization!.expose()).toString()).toBe(
    `Basic ${Buffer.from('us er:p@ss:').toString('base64')}`,
  )
  expect(inspect(proxy, { depth: 9 }) + JSON.stringify(proxy)).not.toMatch(/p@ss|p%40ss|dXMg/)
})

test.each<[string, string, string]>([
  ['what is no URL', 'http://user:secret@p.example:port', 'not a URL'],
  ['SOCKS', 'socks5://user:secret@p.example', 'socks5:'],
  ['a slash in a password', 'http://user:secret/more@p.example', 'not a URL'],
  ['a hash in a password', 'http://user:1#secret@p.example', 'more than a host'],
  ['a question mark in a password', 'http://user:1?secret@p.example', 'more than a host'],
  ['a percent sign in a password', 'http://user:secret%@p.example', 'percent-encoded'],
  ['a colon in a user', 'http://us%3Aer:secret@p.example', 'colon'],
  ['port 0, which would be another', 'http://user:secret@p.example:0', 'port 0'],
  ['a path', 'http://p.example/secret', 'more than a host'],
])('a setting with %s is refused, and not read as none: its text is not shown', (_what, text, why) => {
  for (const settings of [{ https: text }, { http: text }])
    expect(() => proxyChooser(settings)).toThrow(
      expect.objectContaining({
        code: 'proxy.settings',
        message: expect.stringMatching(new RegExp(`^(?!.*secret).*${why}`)),
      }),
    )
})
