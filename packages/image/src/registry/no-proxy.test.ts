import { expect, test } from 'vitest'
import { parseNoProxy } from './no-proxy.ts'

/** What Go's httpproxy answers for the same settings, read in its source. */
test.each<[string, string, boolean]>([
  ['', 'https://registry.example/', false],
  ['*', 'https://registry.example/', true],
  ['registry.example', 'https://registry.example/', true],
  ['registry.example', 'https://a.registry.example/', true],
  ['registry.example', 'https://aregistry.example/', false],
  ['.registry.example', 'https://registry.example/', false],
  ['.registry.example', 'https://a.b.registry.example/', true],
  ['*.registry.example', 'https://registry.example/', false],
  ['*.registry.example', 'https://a.registry.example/', true],
  [' OTHER.example , Registry.Example ', 'https://registry.example/', true],
  ['other.example registry.example', 'https://registry.example/', false],
  ['registry.example:443', 'https://registry.example/', true],
  ['registry.example:5000', 'https://registry.example/', false],
  ['registry.example:5000', 'https://registry.example:5000/', true],
  ['registry.example:80', 'http://registry.example/', true],
  ['.example:5000', 'https://registry.example:5000/', true],
  ['example', 'https://registry.example/', true],
  [':443', 'https://registry.example/', false],
  ['10.0.0.0/8', 'https://10.1.2.3/', true],
  ['10.0.0.0/8', 'https://11.1.2.3/', false],
  ['10.0.0.0/8', 'https://[::ffff:10.1.2.3]/', true],
  ['10.0.0.0/33', 'https://10.1.2.3/', false],
  ['0.0.0.0/0', 'https://registry.example/', false],
  ['fd00::/8', 'https://[fd12::1]/', true],
  ['10.1.2.3', 'https://10.1.2.3/', true],
  ['10.1.2.3:5000', 'https://10.1.2.3:5000/', true],
  ['10.1.2.3:5000', 'https://10.1.2.3/', false],
  ['1.2.3', 'https://10.1.2.3/', false],
  ['fd12::1', 'https://[fd12::1]/', true],
  ['[fd12::1]:5000', 'https://[fd12::1]:5000/', true],
  ['[fd12::1]:5000', 'https://[fd12::1]/', false],
  ['bücher.example', 'https://xn--bcher-kva.example/', true],
  ['', 'https://localhost:5000/', true],
  ['', 'https://127.8.9.1/', true],
  ['', 'https://2130706433/', true],
  ['', 'https://[::1]/', true],
  ['', 'https://[::ffff:127.0.0.1]/', true],
])('NO_PROXY=%s: %s is asked directly: %s, as in Go', (setting, url, direct) => {
  expect(parseNoProxy(setting)(new URL(url))).toBe(direct)
})

test.each<[string, string, boolean]>([
  ['[fd12::1]', 'https://[fd12::1]/', true],
  ['', 'https://registry.localhost/', true],
  ['', 'https://localhost./', true],
  ['registry.example', 'https://registry.example./', true],
])('NO_PROXY=%s: %s is asked directly: %s, beyond Go', (setting, url, direct) => {
  expect(parseNoProxy(setting)(new URL(url))).toBe(direct)
})
