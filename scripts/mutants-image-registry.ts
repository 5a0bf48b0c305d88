import type { Mutant } from './mutants-list.ts'

const registry = 'packages/image/src/registry'
const settings = `${registry}/proxy-settings.ts`
const settingsTest = `${registry}/proxy-settings.test.ts`
const noProxy = `${registry}/no-proxy.ts`
const noProxyTest = `${registry}/no-proxy.test.ts`
const names = `${registry}/proxied-names.ts`
const connections = `${registry}/connections.ts`
const tunnel = `${registry}/tunnel-agent.ts`
const http = `${registry}/http.ts`
const proxyTest = `${registry}/proxy.test.ts`
const rate = `${registry}/least-rate.ts`
const rateTest = `${registry}/least-rate.test.ts`
const uploadTest = `${registry}/upload.test.ts`

/** The checks of how a registry is reached, and of how it takes and gives, removed one at a time. */
export const IMAGE_REGISTRY_MUTANTS: readonly Mutant[] = [
  {
    name: 'proxy-of-other-kind',
    file: settings,
    find: "if (url.protocol !== 'http:' && url.protocol !== 'https:')",
    replace: 'if (false as boolean)',
    testFile: settingsTest,
    test: 'a setting with SOCKS',
  },
  {
    name: 'proxy-password-cut-off',
    file: settings,
    find: "if (url.pathname !== '/' || url.search !== '' || url.hash !== '')",
    replace: 'if (false as boolean)',
    testFile: settingsTest,
    test: 'a setting with a hash in a password',
  },
  {
    name: 'proxy-for-loopback',
    file: noProxy,
    find: 'isLoopback(target.host) || ',
    replace: '',
    testFile: noProxyTest,
    test: 'NO_PROXY=: https://localhost:5000/',
  },
  {
    name: 'no-proxy-any-port',
    file: noProxy,
    find: 'port === undefined || target.port === port',
    replace: 'true as boolean',
    testFile: noProxyTest,
    test: 'NO_PROXY=registry.example:5000: https://registry.example/',
  },
  {
    name: 'proxy-asked-for-private-names',
    file: names,
    find: 'if (inside && !privateNetwork)',
    replace: 'if (false as boolean)',
    testFile: proxyTest,
    test: 'a name of a private network: https://vault.corp.internal',
  },
  {
    name: 'proxy-asked-for-metadata',
    file: names,
    find: 'if (NEVER.has(name))',
    replace: 'if (false as boolean)',
    testFile: proxyTest,
    test: 'the metadata service by name',
  },
  {
    name: 'proxy-asked-unchecked',
    file: connections,
    find: 'checkProxiedName(url.hostname, url.host, rules.privateNetwork === true)',
    replace: 'void checkProxiedName',
    testFile: proxyTest,
    test: 'redirects, token services and mirrors',
  },
  {
    name: 'proxy-blocked',
    file: connections,
    find: 'assertNotBlocked(proxy.host, proxyRules)',
    replace: 'void assertNotBlocked',
    testFile: proxyTest,
    test: 'a proxy by TLS is judged by the roots of its own host',
  },
  {
    name: 'proxy-by-another-name',
    file: tunnel,
    find: ", servername: isIP(hostname) === 0 ? hostname : '' }",
    replace: ' }',
    testFile: proxyTest,
    test: 'a proxy by TLS is judged by the roots of its own host',
  },
  {
    name: 'tunnel-without-roots',
    file: connections,
    find: 'new TunnelAgent({ keepAlive: true, ...tlsOf(rules) }',
    replace: 'new TunnelAgent({ keepAlive: true, rejectUnauthorized: false }',
    testFile: proxyTest,
    test: 'roots and client certificate of a registry hold inside the tunnel',
  },
  {
    name: 'tunnel-with-bytes-in-it',
    file: tunnel,
    find: 'if (status === 200 && head.length === 0) return undefined',
    replace: 'if (status === 200) return undefined',
    testFile: proxyTest,
    test: 'puts bytes into the tunnel',
  },
  {
    name: 'tunnel-refused',
    file: tunnel,
    find: 'if (status === 200 && head.length === 0) return undefined',
    replace: 'if (head.length === 0) return undefined',
    testFile: proxyTest,
    test: 'cannot reach it',
  },
  {
    name: 'tunnel-for-ever',
    file: tunnel,
    find: 'withinSeconds * 1000,',
    replace: '86_400_000,',
    testFile: proxyTest,
    test: 'drips headers for ever',
  },
  {
    name: 'proxy-refusal-taken-for-registry',
    file: http,
    find: 'incoming.statusCode === 407)',
    replace: '(false as boolean))',
    testFile: proxyTest,
    test: 'a password stays here',
  },
  {
    name: 'proxy-of-the-environment',
    file: 'packages/cli/src/commands/image/address.ts',
    find: '    proxy: proxyFromEnvironment(process.env),\n',
    replace: '',
    testFile: 'packages/cli/src/commands/image/proxy.test.ts',
    test: 'images are pushed and pulled through the proxy',
  },
  {
    name: 'registry-drips',
    file: rate,
    find: 'if (rate < bytesPerSecond)',
    replace: 'if (false as boolean)',
    testFile: rateTest,
    test: 'is given up after the window',
  },
  {
    name: 'registry-rate-blames-reader',
    file: rate,
    find: '    yield chunk\n    since = now()',
    replace: '    since = now()\n    yield chunk',
    testFile: rateTest,
    test: 'a reader that takes its time',
  },
  {
    name: 'registry-no-rate',
    file: rate,
    find: 'if (!(whole.bytesPerSecond >= 0 && ',
    replace: 'if (!(true && ',
    testFile: rateTest,
    test: '0 takes any rate',
  },
  {
    name: 'registry-drips-again',
    file: `${registry}/repository.ts`,
    find: " && error.code !== 'registry.slow'",
    replace: '',
    testFile: rateTest,
    test: 'for two in a row',
  },
  {
    name: 'registry-drips-headers',
    file: http,
    find: '  else start()\n',
    replace: '',
    testFile: rateTest,
    test: 'its headers is given up too',
  },
  {
    name: 'mirror-passed-over-unseen',
    file: `${registry}/client.ts`,
    find: 'if (!this.#told.has(event)) this.#onPassedOver(passed)',
    replace: 'void this.#onPassedOver',
    testFile: `${registry}/repository.test.ts`,
    test: 'mirrors are asked first by digest, passed over',
  },
  {
    name: 'mirror-passed-over-silent',
    file: 'packages/cli/src/commands/image/address.ts',
    find: '      process.stderr.write(\n',
    replace: '      void String(\n',
    testFile: 'packages/cli/src/commands/image/mirrors.test.ts',
    test: 'H06 a mirror whose manifest is another is passed over loudly',
  },
  {
    name: 'upload-hides-denial',
    file: `${registry}/upload-session.ts`,
    find: 'new Set([400, 404,',
    replace: 'new Set([400, 401, 403, 404,',
    testFile: uploadTest,
    test: 'which another form would only hide',
  },
  {
    name: 'upload-whole-unlooked',
    file: `${registry}/upload-whole.ts`,
    find: 'if (actual !== content.digest)',
    replace: 'if (false as boolean)',
    testFile: uploadTest,
    test: 'H06 other bytes than the digest’s never arrive whole',
  },
  {
    name: 'upload-lost-each-time',
    file: `${registry}/upload-chunks.ts`,
    find: 'if (session.offset > furthest) failures = lost = 0',
    replace: 'failures = lost = 0',
    testFile: uploadTest,
    test: 'H10 one that takes a chunk and loses it',
  },
  {
    name: 'upload-after-the-answer',
    file: http,
    find: 'if (!outgoing.writableFinished) outgoing.destroy()',
    replace: 'void outgoing',
    testFile: uploadTest,
    test: 'an answer before the blob is whole',
  },
]
