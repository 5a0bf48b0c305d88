import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { type ErrorCode, evidence, VouchsafeError, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import * as kit from '@vouchsafe/testkit'
import type { Answer, Fault, FaultyServer } from '@vouchsafe/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import {
  AmdKds,
  CollateralKeeper,
  type CollateralStore,
  DiskCollateralStore,
  exportCollateralBundle,
  httpUpstream,
  importCollateralBundle,
  IntelPcs,
  type KeeperOptions,
  MemoryCollateralStore,
} from './index.ts'

const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

const amd = kit.makeAmdAuthorities('Milan')
const vek = kit.makeVek({ authorities: amd })
const hwid = kit.testHwid('Milan')
const tcb = kit.defaultTcb('Milan')
const chip = { product: 'Milan', hwid, tcb } as const
const roots: readonly evidence.SnpRoot[] = [
  {
    product: 'Milan',
    anchor: x509.parseAnchor(amd.ark.der, { class: 'simulated', name: 'fake ARK' }),
    intermediates: [x509.parseCertificate(amd.ask.der)],
  },
]
const crl = (day: number, revoked: readonly bigint[] = []) =>
  kit.makeRevocationList({
    issuer: amd.ark,
    signature: 'pss-sha384',
    thisUpdate: new Date(Date.UTC(2026, 5, day)),
    nextUpdate: new Date(Date.UTC(2026, 5, day + 30)),
    revoked,
  })
const vcekPath = `/vcek/v1/Milan/${Buffer.from(hwid).toString('hex')}?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219`

const intel = kit.makeIntelAuthorities()
const pck = kit.makePck({ authorities: intel })
const anchors = [x509.parseAnchor(intel.root.der, { class: 'simulated', name: 'fake Intel root' })]

/** Both vendors on one server; Intel's answers as of a day in June 2026. */
function vendors(day = 1, revoked: readonly bigint[] = [], signerRevoked = false): FaultyServer['answer'] {
  const issueDate = new Date(Date.UTC(2026, 5, day))
  const nextUpdate = new Date(Date.UTC(2026, 5, day + 30))
  const signer = BigInt(`0x${x509.parseCertificate(intel.tcbSigner.der).serial}`)
  const c = kit.makeIntelCollateral({
    authorities: intel,
    issueDate,
    nextUpdate,
    revokedByRoot: signerRevoked ? [signer] : [],
  })
  const chain = encodeURIComponent(c.issuerChain)
  const answers: Readonly<Record<string, Answer>> = {
    [vcekPath]: { body: vek.der },
    '/vcek/v1/Milan/crl': { body: crl(day, revoked) },
    [`/tdx/certification/v4/tcb?fmspc=${kit.TEST_FMSPC}`]: {
      body: c.tcbInfo,
      headers: { 'TCB-Info-Issuer-Chain': chain },
    },
    '/tdx/certification/v4/qe/identity': {
      body: c.qeIdentity,
      headers: { 'SGX-Enclave-Identity-Issuer-Chain': chain },
    },
    '/sgx/certification/v4/pckcrl?ca=platform&encoding=der': { body: c.pckCrl },
    '/root.der': { body: c.rootCrl },
  }
  return (asked) => answers[asked]
}

const cleanup: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0)) await undo()
})

async function world(options: Partial<KeeperOptions> = {}, delayMs = 0) {
  const server = await kit.startFaultyServer(vendors(), delayMs)
  cleanup.push(() => server.close())
  const state = { now: Date.UTC(2026, 5, 2), slept: 0, events: [] as string[] }
  const client = (more: Partial<KeeperOptions> = {}) => {
    const keeper = new CollateralKeeper({
      store: new MemoryCollateralStore(),
      upstream: httpUpstream({ timeoutMs: 2000 }),
      timing: {
        clock: () => new Date(state.now),
        sleep: async (ms) => {
          state.now += ms
          state.slept += ms
        },
        random: () => 0.5,
      },
      onEvent: (event, { key = '', code }) => state.events.push(`${event} ${key.split('?')[0]} ${code ?? ''}`.trim()),
      ...options,
      ...more,
    })
    const common = { keeper, crypto: nodeCrypto, baseUrl: server.url }
    return {
      keeper,
      amd: new AmdKds({ ...common, roots }),
      intel: new IntelPcs({ ...common, anchors, rootCrlUrl: `${server.url}/root.der` }),
    }
  }
  return { server, state, client, ...client() }
}

const platform = { tee: 'tdx', fmspc: kit.TEST_FMSPC, ca: 'platform' } as const
const day = 86_400_000

describe('what is fetched', () => {
  test('is what a report needs: it verifies, revocation included', async () => {
    const { amd: kds, state } = await world()
    const report = kit.makeSnpReport({ product: 'Milan' }, vek)
    const { vek: der, revocation } = await kds.forReport(report)
    const expected = { reportData: new Uint8Array(64), roots, revocation, at: new Date(state.now) }
    const verified = await evidence.verifySnpReport({ report, vek: der }, expected, nodeCrypto)
    expect(verified.chain.revocation).toMatchObject({ asOf: new Date('2026-06-01T00:00:00Z') })
  })

  test('is what a quote needs: it verifies', async () => {
    const { intel: pcs, state } = await world()
    const quote = kit.makeQuote({ authorities: intel, pck })
    const expected = {
      anchors,
      collateral: await pcs.forQuote(quote),
      at: new Date(state.now),
      reportData: new Uint8Array(64),
    }
    expect((await evidence.verifyTdxQuote({ quote }, expected, nodeCrypto)).rating).toMatchObject({
      status: 'UpToDate',
    })
  })

  test('the addresses are AMD’s, for Turin too', async () => {
    const { keeper } = await world()
    const kds = new AmdKds({ keeper, roots, crypto: nodeCrypto })
    const turin = {
      product: 'Turin',
      hwid: kit.testHwid('Turin'),
      tcb: { fmc: 1, bootloader: 1, tee: 0, snp: 2, microcode: 71 },
    } as const
    expect(kds.vcekRecipe(turin).urls).toEqual([
      'https://kdsintf.amd.com/vcek/v1/Turin/0102030405060708?fmcSPL=01&blSPL=01&teeSPL=00&snpSPL=02&ucodeSPL=71',
    ])
    expect(kds.vcekRecipe(chip).urls).toEqual([`https://kdsintf.amd.com${vcekPath}`])
  })

  test.each<[string, Uint8Array, ErrorCode]>([
    [
      'of another chip',
      kit.makeVek({ authorities: amd, hwid: new Uint8Array(64).fill(9) }).der,
      'endorsement.mismatch',
    ],
    ['of another TCB', kit.makeVek({ authorities: amd, tcb: { ...tcb, snp: 23 } }).der, 'endorsement.mismatch'],
    ['of a provider', kit.makeVek({ authorities: amd, kind: 'vlek' }).der, 'endorsement.mismatch'],
    [
      'of a look-alike',
      kit.makeVek({ authorities: amd, issuer: { ...amd.ask, key: kit.makeKey('RSA-2048') } }).der,
      'endorsement.untrusted',
    ],
    ['that is none', Uint8Array.of(1), 'endorsement.malformed'],
  ])('D10 a certificate %s is refused and not kept', async (_what, der, code) => {
    const { server, amd: kds, client } = await world()
    const store = new MemoryCollateralStore()
    server.answer = () => ({ body: der })
    await expect(client({ store }).amd.vcek(chip)).rejects.toThrow(refusal(code, ''))
    expect(await store.keys()).toEqual([])
    await expect(kds.vcek(chip)).rejects.toThrow(refusal(code, ''))
  })

  test.each<[string, () => Uint8Array, ErrorCode]>([
    ['signed by a VLEK', () => kit.makeSnpReport({ product: 'Milan', keyInfo: 4 }, vek), 'endorsement.unavailable'],
    [
      'of a hidden chip',
      () => kit.makeSnpReport({ product: 'Milan', chipId: new Uint8Array(64) }, vek),
      'endorsement.unavailable',
    ],
    [
      'of version 2 and untold product',
      () => kit.makeSnpReport({ product: 'Milan', version: 2 }, vek),
      'input.malformed',
    ],
  ])('nothing can be fetched for a report %s', async (_what, report, code) => {
    const { amd: kds, server } = await world()
    await expect(kds.forReport(report())).rejects.toThrow(refusal(code, ''))
    expect(server.requests).toEqual([])
  })
})

describe('D11 a vendor is asked seldom, and politely', () => {
  test('1,000 who want one chip at once make one request', async () => {
    const { amd: kds, server } = await world({}, 20)
    const all = await Promise.all(Array.from({ length: 1000 }, () => kds.vcek(chip)))
    expect(new Set(all).size).toBe(1)
    expect(server.requests).toEqual([vcekPath])
  })

  test('two clients of one folder ask once, and the second verifies what it reads', async () => {
    const folder = await temporaryFolder()
    const { client, server } = await world()
    await client({ store: new DiskCollateralStore(folder) }).amd.vcek(chip)
    await client({ store: new DiskCollateralStore(folder) }).amd.vcek(chip)
    expect(server.requests).toHaveLength(1)
  })

  test('failures are waited out, longer each time', async () => {
    const { amd: kds, server, state } = await world()
    server.fault = (_path, nth) => (['reset', 'error', 'truncate'] as const)[nth - 1] ?? 'none'
    await kds.vcek(chip)
    expect(server.requests).toHaveLength(4)
    expect(state.slept).toBe(188 + 375 + 750)
  })

  test('a vendor who says when to come back is not asked before, for anything', async () => {
    const { amd: kds, server, state } = await world()
    server.fault = (_path, nth) => (nth === 1 ? 'throttle' : 'none')
    await kds.vcek(chip)
    expect(state.slept).toBeGreaterThanOrEqual(1000)
    server.fault = (_path, nth) => (nth === 3 ? 'throttle' : 'none')
    const before = state.slept
    await Promise.all([kds.revocationList('Milan'), kds.revocationList('Milan')])
    expect(state.slept - before).toBeGreaterThanOrEqual(1000)
  })

  test('an answer damaged on the way is asked for again', async () => {
    const { amd: kds, server } = await world()
    server.fault = (_path, nth) => (nth < 3 ? 'garble' : 'none')
    await kds.vcek(chip)
    expect(server.requests).toHaveLength(3)
  })

  test('when all fails the refusal says so, and the vendor has peace for a while', async () => {
    const { amd: kds, server, state } = await world()
    server.fault = () => 'error'
    await expect(kds.vcek(chip)).rejects.toThrow(refusal('endorsement.unavailable', 'answers 500, 6 times'))
    await expect(kds.vcek(chip)).rejects.toThrow(refusal('endorsement.unavailable', '6 times'))
    expect(server.requests).toHaveLength(6)
    state.now += 31_000
    server.fault = () => 'none'
    await kds.vcek(chip)
  })

  test('a chip that AMD does not know is not asked for again and again', async () => {
    const { amd: kds, server } = await world()
    await expect(kds.vcek({ ...chip, hwid: new Uint8Array(64) })).rejects.toThrow(
      refusal('endorsement.unavailable', 'answers 404'),
    )
    expect(server.requests).toHaveLength(1)
  })

  test('with 30 % faults and throttling no appraisal fails while what is held is current', async () => {
    const { amd: kds, intel: pcs, server, state } = await world({ refreshAfterSeconds: 3600 })
    await Promise.all([kds.vcek(chip), kds.revocationList('Milan'), pcs.collateral(platform)])
    let seed = 1
    const faults: readonly Fault[] = ['reset', 'throttle', 'error', 'truncate', 'garble']
    server.fault = () => {
      seed = (seed * 48271) % 2147483647
      return seed % 100 < 30 ? faults[seed % faults.length]! : 'none'
    }
    for (let hour = 0; hour < 100; hour++) {
      state.now += 3_601_000
      await Promise.all([kds.vcek(chip), kds.revocationList('Milan'), pcs.collateral(platform)])
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(server.requests.length).toBeGreaterThan(100)
  })
})

describe('D09 what is held ages', () => {
  test('a newer list takes the place of the held one, in the background', async () => {
    const { amd: kds, server, state } = await world()
    const first = await kds.revocationList('Milan')
    state.now += 2 * day
    server.answer = vendors(4)
    expect(await kds.revocationList('Milan')).toBe(first)
    await expect.poll(() => state.events.filter((e) => e.startsWith('collateral.fetched')).length).toBe(2)
    expect((await kds.revocationList('Milan')).thisUpdate).toEqual(new Date('2026-06-04T00:00:00Z'))
  })

  test('an older list in place of the held one is refused, and the held one serves on', async () => {
    const { amd: kds, server, state } = await world()
    server.answer = vendors(2)
    const held = await kds.revocationList('Milan')
    state.now += 2 * day
    server.answer = vendors(1)
    await kds.revocationList('Milan')
    await expect.poll(() => state.events).toContain('collateral.failed amd/crl/Milan endorsement.expired')
    expect(await kds.revocationList('Milan')).toBe(held)
  })

  test('what has expired is refused when nothing newer can be had', async () => {
    const { intel: pcs, server, state } = await world()
    await pcs.collateral(platform)
    state.now += 31 * day
    server.fault = () => 'error'
    await expect(pcs.collateral(platform)).rejects.toThrow(refusal('endorsement.unavailable', 'answers 500'))
    state.now += day
    server.fault = () => 'none'
    await expect(pcs.collateral(platform)).rejects.toThrow(refusal('endorsement.expired', ''))
    state.now += 60_000
    server.answer = vendors(30)
    expect((await pcs.collateral(platform)).tcbInfo.issueDate).toEqual(new Date('2026-06-30T00:00:00Z'))
  })

  test('what a vendor takes back ends at once: a list that revokes AMD’s own intermediate is kept and obeyed', async () => {
    const { amd: kds, server, state } = await world()
    await kds.revocationList('Milan')
    const ask = BigInt(`0x${x509.parseCertificate(amd.ask.der).serial}`)
    server.answer = vendors(3, [ask])
    state.now += 2 * day
    await kds.revocationList('Milan')
    await expect.poll(async () => (await kds.revocationList('Milan')).revoked.size).toBe(1)
    const report = kit.makeSnpReport({ product: 'Milan' }, vek)
    const { vek: der, revocation } = await kds.forReport(report)
    const expected = { reportData: new Uint8Array(64), roots, revocation, at: new Date(state.now) }
    await expect(evidence.verifySnpReport({ report, vek: der }, expected, nodeCrypto)).rejects.toThrow(
      refusal('endorsement.revoked', 'SEV-Milan'),
    )
  })

  test('collateral whose signer Intel has revoked no longer serves, though what is held had not expired', async () => {
    const { intel: pcs, server, state } = await world()
    await pcs.collateral(platform)
    server.answer = vendors(3, [], true)
    state.now += 2 * day
    await pcs.collateral(platform)
    await expect
      .poll(() => state.events)
      .toContain(`collateral.failed intel/tdx/${kit.TEST_FMSPC}/platform endorsement.revoked`)
    await expect(pcs.collateral(platform)).rejects.toThrow(refusal('endorsement.revoked', 'TCB Signing'))
  })

  test('what is held says when it expires', async () => {
    const { amd: kds, keeper } = await world()
    await keeper.prefetch([kds.vcekRecipe(chip), kds.crlRecipe('Milan')])
    expect(keeper.state().map(({ key, validUntil }) => [key.split('?')[0], validUntil])).toEqual(
      expect.arrayContaining([
        [`amd/vcek/Milan/${Buffer.from(hwid).toString('hex')}`, kit.TEST_NOT_AFTER],
        ['amd/crl/Milan', new Date('2026-07-01T00:00:00Z')],
      ]),
    )
  })
})

describe('D10 a poisoned cache convinces nobody', () => {
  const poisons: readonly [string, (file: string) => string][] = [
    [
      'another body',
      (text) =>
        text.replace(
          /"body":"[^"]*"/,
          `"body":"${Buffer.from(kit.makeVek({ authorities: amd, issuer: { ...amd.ask, key: kit.makeKey('RSA-2048') } }).der).toString('base64')}"`,
        ),
    ],
    ['another key', (text) => text.replace('"key":"amd/vcek', '"key":"amd/vcexk')],
    ['cut short', (text) => text.slice(0, 100)],
    ['emptied', () => ''],
    ['an unknown member', (text) => text.replace('{"format"', '{"trusted":true,"format"')],
  ]
  test.each(poisons)('%s: discarded and fetched anew', async (_what, poison) => {
    const folder = await temporaryFolder()
    const { client, server } = await world()
    const good = await client({ store: new DiskCollateralStore(folder) }).amd.vcek(chip)
    const [name] = await readdir(folder)
    const file = path.join(folder, name!)
    const text = await readFile(file, 'utf8')
    expect(poison(text)).not.toBe(text)
    await writeFile(file, poison(text))
    expect(await client({ store: new DiskCollateralStore(folder) }).amd.vcek(chip)).toEqual(good)
    expect(server.requests).toHaveLength(2)
    expect(await readFile(file, 'utf8')).toBe(text)
  })

  test('a disk that fails neither helps nor hinders', async () => {
    const broken: CollateralStore = {
      get: () => Promise.reject(new Error('no disk')),
      put: () => Promise.reject(new Error('no disk')),
      delete: () => Promise.reject(new Error('no disk')),
      keys: () => Promise.reject(new Error('no disk')),
    }
    const { client, state } = await world()
    await client({ store: broken }).amd.vcek(chip)
    expect(state.events.map((e) => e.split(' ')[0])).toEqual([
      'collateral.unreadable',
      'collateral.fetched',
      'collateral.unwritten',
    ])
  })
})

describe('offline', () => {
  test('a bundle carries everything to a machine without network', async () => {
    const store = new MemoryCollateralStore()
    const { client, server } = await world()
    const online = client({ store })
    const quote = kit.makeQuote({ authorities: intel, pck })
    const report = kit.makeSnpReport({ product: 'Milan' }, vek)
    await Promise.all([online.amd.forReport(report), online.intel.forQuote(quote)])
    const carried = new DiskCollateralStore(await temporaryFolder())
    expect(await importCollateralBundle(await exportCollateralBundle(store), carried)).toHaveLength(3)
    const asked = server.requests.length
    const offline = client({ store: carried, upstream: 'offline' })
    await Promise.all([offline.amd.forReport(report), offline.intel.forQuote(quote)])
    expect(server.requests).toHaveLength(asked)
  })

  test('what is not there is refused, and what has expired says that it has', async () => {
    const store = new MemoryCollateralStore()
    const { client, state } = await world()
    await client({ store }).intel.collateral(platform)
    const offline = client({ store, upstream: 'offline' })
    await expect(offline.amd.vcek(chip)).rejects.toThrow(refusal('endorsement.unavailable', 'this is offline'))
    state.now += 40 * day
    await expect(client({ store, upstream: 'offline' }).intel.collateral(platform)).rejects.toThrow(
      refusal('endorsement.expired', ''),
    )
  })

  test.each([
    ['something else', '{"format":"x"}', 'input.malformed'],
    ['an unknown member', '{"format":"vouchsafe/collateral-bundle/v1","entries":[],"x":1}', 'input.unknown-member'],
    ['no JSON', 'x', 'input.malformed'],
  ] as const)('a bundle that is %s is refused', async (_what, text, code) => {
    const attempt = importCollateralBundle(new TextEncoder().encode(text), new MemoryCollateralStore())
    await expect(attempt).rejects.toThrow(refusal(code, ''))
  })
})

test('an answer larger than its bound is refused', async () => {
  const { server } = await world()
  server.answer = () => ({ body: new Uint8Array(5000) })
  await expect(httpUpstream({ maxBytes: 4096 })(server.url)).rejects.toThrow(
    refusal('endorsement.unavailable', 'more than 4096 bytes'),
  )
})

test('every refusal is one of ours', async () => {
  const { client } = await world()
  const nowhere = new AmdKds({ ...client(), roots, crypto: nodeCrypto, baseUrl: 'http://127.0.0.1:1' })
  await expect(nowhere.vcek(chip)).rejects.toBeInstanceOf(VouchsafeError)
})

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'vouchsafe-collateral-'))
  cleanup.push(() => rm(folder, { recursive: true, force: true }))
  return path.join(folder, 'collateral')
}
