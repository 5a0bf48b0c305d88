import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import path from 'node:path'
import { GuestClient } from '@vouchsafe/client'
import { type AgreementBody, type BrokerPin, type Owner, parseExportedEntry, parseEntry } from '@vouchsafe/core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Attester } from '../attester/attester.ts'
import { measureLaunch } from '../launch/measure-launch.ts'
import { planLaunch } from '../launch/plan-launch.ts'
import { type Clinic, type Scenario, World } from '../testing/world.ts'
import { BrokerSession } from './broker-session.ts'
import { Checkpoints } from './checkpoints.ts'

/** Called when a broker of this test has decided, before its answer leaves. */
let onDecided: (event: string) => void = () => undefined
let world: World
let scenario: Scenario
beforeAll(async () => {
  world = await World.start((event) => onDecided(event))
})
afterAll(() => world?.stop())
beforeEach(() => {
  onDecided = () => undefined
})

/** A session with one owner's broker of a scenario whose machine is enrolled and launched. */
async function sessionWith(
  change: (owner: Owner, index: number) => Owner = (owner) => owner,
  index = 0,
  newClient: (pin: BrokerPin) => GuestClient = (pin) => new GuestClient(pin, { timeoutMs: 5_000 }),
): Promise<{ session: BrokerSession; checkpoints: Checkpoints; clinic: Clinic }> {
  const agreement = (body: AgreementBody) => ({ owners: body.owners.map(change) })
  scenario = await world.scenario({ script: ':', agreement })
  await scenario.enrol()
  const attester = new Attester({ tpm: scenario.guest.tpm, bootLog: scenario.guest.bootLog, imaLog: '/no/such/list' })
  const { machine } = await attester.identity()
  const launch = planLaunch(scenario.agreement, {}, 'runc')
  const launchLog = await attester.withTpm((tpm) => measureLaunch(tpm, launch))
  const checkpoints = await Checkpoints.open(path.join(scenario.directory, 'state', 'checkpoints.json'))
  const owner = scenario.agreement.body.owners[index]
  const clinic = world.clinics[index]
  if (owner === undefined || clinic === undefined) throw new Error('no such owner')
  const session = new BrokerSession({
    owner,
    client: newClient(owner.broker),
    agreement: scenario.agreement,
    machine,
    collect: (binding) => attester.collect(binding, launchLog),
    checkpoints,
    signal: new AbortController().signal,
  })
  return { session, checkpoints, clinic }
}

const refusal = (code: string) => expect.objectContaining({ code })
const PATHS = ['patients/key']

describe('a session with an owner’s broker', () => {
  test('takes fresh keys for every attestation (decision 7)', async () => {
    const { session } = await sessionWith()
    const [first, second] = [await session.attest(), await session.attest()]
    const thumbprints = [first, second].flatMap(({ keys }) => [keys.seal.thumbprint, keys.proof.thumbprint])
    expect(new Set(thumbprints).size).toBe(4)
    for (const { keys } of [first, second])
      await expect(crypto.subtle.exportKey('jwk', keys.seal.privateKey)).rejects.toThrow()
    session.close()
  })

  test('opens what was released, with the key of the attestation that asked for it', async () => {
    const { session, clinic } = await sessionWith()
    const attested = await session.attest()
    const { secrets, lease } = await session.release(attested, PATHS)
    expect(Buffer.compare(secrets.get('patients/key')?.expose() ?? new Uint8Array(), clinic.dataKey.expose())).toBe(0)
    expect((await session.renew(lease.id)).lease.id).toBe(lease.id)
    session.close()
  })

  test('shows each broker the checkpoints of the others, which it records', async () => {
    const { session, checkpoints } = await sessionWith(undefined, 1)
    await session.attest()
    session.close()
    const [a, b] = world.clinics
    const lines = (await b.owner.exportLedger()).trimEnd().split('\n')
    const seen = lines
      .map((line) => parseEntry(parseExportedEntry(line).entry))
      .filter((e) => e.kind === 'checkpoint.seen')
    expect(seen.map((e) => e.facts['broker'])).toContain(a.pin.id)
    expect(checkpoints.kept(b.pin)).not.toBeNull()
  })
})

describe('a session refuses', () => {
  test('G08 secrets that another key than the agreed broker’s sealed', async () => {
    const strangers = world.clinics[1].pin.sealing
    const { session } = await sessionWith((owner, i) =>
      i === 0 ? { ...owner, broker: { ...owner.broker, sealing: strangers } } : owner,
    )
    await expect(session.release(await session.attest(), PATHS)).rejects.toThrow(refusal('release.sealed-payload'))
    session.close()
  })

  test('G13 a broker that does not show the agreed authority', async () => {
    const { identity } = world.clinics[1].pin
    const swapped = sessionWith((owner, i) => (i === 0 ? { ...owner, broker: { ...owner.broker, identity } } : owner))
    await expect(swapped).rejects.toThrow(refusal('peer.untrusted')) // it does not even enrol there
  })

  test('I07 a log that the agreed key did not sign', async () => {
    const { log } = world.clinics[1].pin
    const swapped = sessionWith((owner, i) => (i === 0 ? { ...owner, broker: { ...owner.broker, log } } : owner))
    await expect(swapped).rejects.toThrow(refusal('ledger.checkpoint'))
  })
})

type Release = Awaited<ReturnType<GuestClient['release']>>

/** A broker's true answers, each changed before the session sees it. */
class Tampering extends GuestClient {
  readonly answers: Release[] = []
  readonly #change: (answer: Release, earlier: readonly Release[]) => Release

  constructor(pin: BrokerPin, change: (answer: Release, earlier: readonly Release[]) => Release) {
    super(pin, { timeoutMs: 5_000 })
    this.#change = change
  }

  override async release(...request: Parameters<GuestClient['release']>): Promise<Release> {
    const answer = await super.release(...request)
    const changed = this.#change(answer, this.answers)
    this.answers.push(answer)
    return changed
  }
}

describe('a session is not taken in by an answer', () => {
  test.each<[string, (answer: Release, earlier: readonly Release[]) => Release, string]>([
    [
      'with the secrets of an earlier decision',
      (a, [first]) => ({ ...a, sealed: first?.sealed ?? [] }),
      'release.sealed-payload',
    ],
    [
      'with the receipt of an earlier decision',
      (a, [first]) => ({ ...a, receipt: first?.receipt ?? '' }),
      'ledger.receipt',
    ],
    ['that leaves a resource out', (a) => ({ ...a, sealed: [] }), 'release.sealed-payload'],
    [
      'that gives a resource under another name',
      (a) => ({ ...a, sealed: a.sealed.map((s) => ({ ...s, resource: 'other/key' })) }),
      'release.sealed-payload',
    ],
    ['that gives one twice', (a) => ({ ...a, sealed: [...a.sealed, ...a.sealed] }), 'release.sealed-payload'],
    [
      'that was never recorded',
      (a) => ({ ...a, receipt: a.receipt.replace(a.decision, 'd-nothing') }),
      'ledger.broken',
    ],
  ])('%s', async (_what, change, code) => {
    const tampered = (pin: BrokerPin) =>
      new Tampering(pin, (answer, earlier) => (earlier.length === 0 ? answer : change(answer, earlier)))
    const { session } = await sessionWith(undefined, 0, tampered)
    const attested = await session.attest()
    await session.release(attested, PATHS)
    await expect(session.release(attested, PATHS)).rejects.toThrow(refusal(code))
    session.close()
  })
})

/** Passes bytes on until it is told to lose an answer. */
class Proxy {
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()

  constructor(target: URL) {
    this.#server = net.createServer((client) => {
      const upstream = net.connect(Number(target.port), target.hostname)
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(from)
        from.pipe(to)
        from.on('error', () => to.destroy())
        from.on('close', () => to.destroy())
      }
    })
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as net.AddressInfo).port
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  close(): void {
    this.cut()
    this.#server.close()
  }
}

describe('an answer that was lost', () => {
  test('is asked for again: the same request fetches the same decision, and nothing is released twice', async () => {
    const proxy = new Proxy(new URL(world.clinics[0].pin.url))
    const url = `https://127.0.0.1:${await proxy.listen()}`
    const { session, clinic } = await sessionWith((owner, i) =>
      i === 0 ? { ...owner, broker: { ...owner.broker, url } } : owner,
    )
    const attested = await session.attest()
    const releases = async () => (await clinic.owner.listDecisions()).decisions.filter((d) => d.outcome === 'release')
    const known = new Set((await releases()).map((d) => d.id))
    let cuts = 0
    onDecided = (event) => {
      if (event !== 'release.decided') return
      cuts++
      proxy.cut() // it is recorded by now, and its answer never arrives
    }
    const { decision, secrets } = await session.release(attested, PATHS)
    expect(cuts).toBe(1)
    expect(secrets.size).toBe(1)
    expect((await releases()).map((d) => d.id).filter((id) => !known.has(id))).toEqual([decision])
    session.close()
    proxy.close()
  })

  test('for good: it gives up by name, and has released nothing to anybody', async () => {
    const nobody = `https://127.0.0.1:${1 + ((randomBytes(1)[0] ?? 0) % 8)}`
    await expect(
      sessionWith((owner, i) => (i === 0 ? { ...owner, broker: { ...owner.broker, url: nobody } } : owner)),
    ).rejects.toThrow(refusal('peer.unreachable'))
  })
})
