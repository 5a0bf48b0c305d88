import { readFileSync, writeFileSync } from 'node:fs'
import { type Digest, parseLogKey, signStatement as signOwnersStatement } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { pushImage } from '@vouchsafe/image'
import {
  attachBundle,
  findSigstoreSignatures,
  PREDICATES,
  rootOf,
  signBundle,
  signStatement,
} from '@vouchsafe/image/signing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TwoClinics, startTwoClinics } from '../../../../broker/src/testing/two-clinics.ts'
import { image } from '../../../../image/src/testing/pull.ts'
import { client, local } from '../../../../image/src/testing/registry-client.ts'
import { ownLog } from '../../../../image/src/testing/own-log.ts'
import { FakeRegistry } from '../../../../image/src/testing/registry.ts'
import { newKey, pem } from '../../../../image/src/testing/signing.ts'
import { file } from '../../../../image/src/testing/unpack.ts'
import { writeOwner } from '../../files.ts'
import { CommandLine } from '../testing/command-line.ts'
import { signaturesInRegistry } from './registry-signatures.ts'
import { approvalsInLedger, type ListedAgreement } from './ledger-approvals.ts'

let world: TwoClinics
const line = new CommandLine()
const server = new FakeRegistry()
let digest: Digest
let lines: readonly string[]
let listed: readonly ListedAgreement[]
const REGISTRIES = ['--registries', 'registries.json'] as const

beforeAll(async () => {
  await server.start()
  const made = await image([[file('f')]])
  digest = made.digest
  await pushImage(
    made.source,
    digest,
    client({ [server.host]: local }).endpoint({ registry: server.host, path: 'team/app' }),
    {
      tag: 'v1',
    },
  )
  line.write('registries.json', JSON.stringify({ [server.host]: local }))
  line.write('pass', 'open sesame\n')
  world = await startTwoClinics({ agreement: (body) => ({ ...body, workload: { ...body.workload, image: digest } }) })
  await world.approve(world.a)
  await world.approve(world.b)
  const { a, agreement } = world
  const { key } = a
  const withdrawal = {
    says: 'withdraw',
    agreement: agreement.digest,
    owner: 'clinic-a',
    key: key.key,
    reason: 'a flaw',
  } as const
  const envelope = signOwnersStatement({ ...withdrawal, issued: new Date().toISOString() }, (bytes) => key.sign(bytes))
  await a.owner.bringStatement({ ...envelope, signatures: envelope.signatures.map((one) => ({ ...one })) })
  writeFileSync(line.file('a.pem'), key.toPem(), { mode: 0o600 })
  writeOwner(line.file('owner.json'), line.file('a.pem'), a.pin)
  lines = (await a.owner.exportLedger()).split('\n').filter((one) => one !== '')
  listed = (await a.owner.listAgreements()).agreements
})
afterAll(async () => {
  server.close()
  line.remove()
  await world?.stop()
})

interface Answer {
  readonly approvals: readonly Record<string, unknown>[]
  readonly signatures: readonly Record<string, unknown>[] | null
  readonly problems: readonly string[]
}
const approvals = (...more: readonly string[]) =>
  line.answer<Answer>('image', 'approvals', `${server.host}/team/app:v1`, ...REGISTRIES, ...more)

const inLedger = (of: {
  readonly lines?: readonly string[]
  readonly listed?: readonly ListedAgreement[]
  readonly kept?: string
}) =>
  approvalsInLedger(digest, of.lines ?? lines, of.listed ?? listed, {
    logKey: parseLogKey(world.a.pin.log, nodeCrypto),
    crypto: nodeCrypto,
    ...(of.kept === undefined ? {} : { kept: of.kept }),
  })

describe('vouchsafe image approvals', () => {
  test('CS-85 who approved an image, by which key, and when the broker’s ledger took it down', async () => {
    const { approvals: acts, problems } = await approvals()
    const { a, b } = world
    const taken = {
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      entry: expect.any(Number),
      agreement: world.agreement.digest,
    }
    expect(acts).toEqual([
      { ...taken, act: 'proposed', who: 'clinic-a', key: null, signed: null, name: world.agreement.body.name },
      {
        ...taken,
        act: 'approved',
        who: 'clinic-a',
        key: a.key.key,
        signed: expect.any(String),
        name: expect.any(String),
      },
      {
        ...taken,
        act: 'approved',
        who: 'clinic-b',
        key: b.key.key,
        signed: expect.any(String),
        name: expect.any(String),
      },
      {
        ...taken,
        act: 'withdrew',
        who: 'clinic-a',
        key: a.key.key,
        signed: expect.any(String),
        name: expect.any(String),
      },
    ])
    expect(acts.map(({ at }) => at)).toEqual(
      acts.map(({ at }) => at).toSorted((one, other) => String(one).localeCompare(String(other))),
    )
    expect(problems).toEqual([])
  })

  test('CS-85 of another image there is none', async () => {
    const other = `sha256:${'0'.repeat(64)}` as Digest
    const options = { logKey: parseLogKey(world.a.pin.log, nodeCrypto), crypto: nodeCrypto }
    expect(await approvalsInLedger(other, lines, listed, options)).toMatchObject({ acts: [], problems: [] })
  })

  test('CS-85 who signed it in its registry: known signers by name, others as nobody, statements as what they state', async () => {
    for (const name of ['ann', 'stranger']) await line.answer('image', 'key', name, '--passphrase-file', 'pass')
    const sign = (name: string, ...more: readonly string[]) =>
      line.answer(
        'image',
        'sign',
        `${server.host}/team/app:v1`,
        '--key',
        name,
        '--passphrase-file',
        'pass',
        ...more,
        ...REGISTRIES,
      )
    await sign('ann')
    await sign('stranger')
    await sign('ann', '--scheme', 'bundle')
    await line.answer(
      'image',
      'sbom',
      `${server.host}/team/app:v1`,
      '--key',
      'ann',
      '--passphrase-file',
      'pass',
      ...REGISTRIES,
    )
    const { signatures } = await approvals('--key', 'ann.pub')
    expect(signatures).toMatchObject([
      { who: 'ann.pub', says: 'signed', at: null, why: null },
      { who: null, key: null, says: 'cannot be told', why: expect.stringContaining('signature.unverified') },
      { who: 'ann.pub', says: 'signed', at: null, why: null },
      { who: 'ann.pub', says: 'states https://spdx.dev/Document', why: null },
    ])
    const { stdout } = await line.run(
      'image',
      'approvals',
      `${server.host}/team/app:v1`,
      ...REGISTRIES,
      '--key',
      'ann.pub',
    )
    expect(stdout).toMatch(/no time that counts {2}ann\.pub signed {2}registry, sha256-[0-9a-f]{64}\.sig\[0\]/)
  })

  test('CS-85 a signature that a transparency log recorded has the log’s time, and one by no log does not count then', async () => {
    const made = await image([[file('logged')]])
    const name = { registry: server.host, path: 'team/logged' }
    const c = client({ [server.host]: local })
    await pushImage(made.source, made.digest, c.endpoint(name), { tag: 'v1' })
    const { bytes, mediaType } = await c.reader(name).readManifest(made.digest, 1e6)
    const descriptor = { mediaType, digest: made.digest, size: bytes.length, annotations: new Map<string, string>() }
    const key = newKey()
    const signed = signBundle(signStatement({ digest: made.digest, dockerReference: 'r.example/a' }), key)
    const log = ownLog()
    const logged = log.promise(JSON.parse(new TextDecoder().decode(signed)) as Record<string, unknown>, pem(key))
    for (const bundle of [signed, new TextEncoder().encode(JSON.stringify(logged))])
      await attachBundle(c, name, descriptor, bundle, PREDICATES.sign, new Date())
    const source = c.reader(name)
    const opened = { source, digest: made.digest, asked: name, client: c, passedOver: [] }
    const at = { client: c, name, asked: name, descriptor, opened }
    const signers = [{ name: 'ann', key: key.public }]
    const found = await findSigstoreSignatures(source, made.digest)
    const seen = await signaturesInRegistry(at, found, signers, rootOf({ logKeys: [log.key] }))
    expect(seen).toHaveLength(2)
    expect(seen).toContainEqual(expect.objectContaining({ who: 'ann', says: 'signed', at: '2026-09-21T14:13:20.000Z' }))
    expect(seen).toContainEqual(
      expect.objectContaining({ who: null, at: null, why: expect.stringContaining('signature.untrusted') }),
    )
    // where no log is asked for, the time that the entry states is anybody’s word
    for (const one of await signaturesInRegistry(at, found, signers, undefined))
      expect(one).toMatchObject({ who: 'ann', at: null })
  })

  test('CS-85 a checkpoint is kept from one look to the next, and a log that it does not continue is told', async () => {
    await approvals('--checkpoint', 'seen')
    const kept = readFileSync(line.file('seen'), 'utf8')
    expect(await inLedger({ kept })).toMatchObject({ problems: [], statement: expect.stringContaining('continues') })
    const cut = await inLedger({ kept, lines: lines.slice(0, -1) })
    expect(cut).toMatchObject({ acts: [], problems: [expect.stringContaining('ledger')], checkpoint: null })
    // another broker's log in the place of ours
    writeFileSync(line.file('seen'), kept.replace('clinic-a', 'clinic-b'))
    expect(
      (await line.run('image', 'approvals', `${server.host}/team/app:v1`, ...REGISTRIES, '--checkpoint', 'seen'))
        .status,
    ).not.toBe(0)
  })

  const approvalAt = () => lines.findIndex((one) => one.includes('agreement.approved'))
  test.each<[string, () => readonly string[]]>([
    [
      'altered: another owner',
      () => lines.map((one, i) => (i === approvalAt() ? one.replace('clinic-a', 'clinic-c') : one)),
    ],
    ['altered: another day', () => lines.map((one, i) => (i === approvalAt() ? one.replace(/20\d\d-/, '2001-') : one))],
    ['left out', () => lines.filter((_, i) => i !== approvalAt())],
    ['moved to the end', () => [...lines.filter((_, i) => i !== approvalAt()), lines[approvalAt()] ?? '']],
    ['told twice', () => [...lines.slice(0, approvalAt() + 1), ...lines.slice(approvalAt())]],
  ])('CS-85 I05 an approval that was %s is noticed, and nothing of that log is shown', async (_what, changed) => {
    const answer = await inLedger({ lines: changed() })
    expect(answer.acts).toEqual([])
    expect(answer.problems).toEqual([expect.stringContaining('the ledger')])
  })

  test('CS-85 a statement that the broker does not show any more, and one that its ledger never took down, are named', async () => {
    const [first] = listed
    if (first === undefined) throw new Error('no agreement')
    const gone = await inLedger({ listed: [{ ...first, statements: first.statements.slice(1) }] })
    expect(gone.problems).toEqual([
      expect.stringMatching(/^entry \d+: clinic-\w .*does not show the statement any more$/),
    ])
    expect(gone.acts).toHaveLength(4) // that it was made stays known
    const { agreement, b } = world
    const issued = new Date().toISOString()
    const withdraw = {
      says: 'withdraw',
      agreement: agreement.digest,
      owner: 'clinic-b',
      key: b.key.key,
      reason: 'x',
      issued,
    } as const
    const slipped = signOwnersStatement(withdraw, (bytes) => b.key.sign(bytes))
    const added = await inLedger({ listed: [{ ...first, statements: [...first.statements, slipped] }] })
    expect(added.problems).toEqual([expect.stringContaining('the ledger does not hold it')])
    // the statement of another in the place of one: its digest is not the ledger's
    const forged = { ...first.statements[0], signatures: slipped.signatures } as (typeof first.statements)[number]
    const swapped = await inLedger({ listed: [{ ...first, statements: [forged, ...first.statements.slice(1)] }] })
    expect(swapped.problems).toEqual([expect.stringMatching(/^entry \d+: clinic-\w /)])
    expect(swapped.acts.find(({ act, key }) => act === 'approved' && key === null)).toBeDefined()
  })

  test('CS-85 an agreement in other bytes than its digest says is named', async () => {
    const [first] = listed
    if (first === undefined) throw new Error('no agreement')
    const bytes = Buffer.from(first.agreement, 'base64').toString().replace('"quorum":2', '"quorum":1')
    const changed = { ...first, agreement: Buffer.from(bytes).toString('base64') }
    expect((await inLedger({ listed: [changed] })).problems).toContainEqual(
      expect.stringContaining('other bytes under this digest'),
    )
  })
})
