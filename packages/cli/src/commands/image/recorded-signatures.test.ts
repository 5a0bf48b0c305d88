import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { PrincipalKey } from '@vouchsafe/client'
import {
  type Digest,
  digestOf,
  encodeEntry,
  type Entry,
  formatCheckpoint,
  formatLogKey,
  formatReceipt,
  leafHash,
  logOrigin,
  parseLogKey,
  VouchsafeError,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { ImageError, pushImage } from '@vouchsafe/image'
import { signatureTag } from '@vouchsafe/image/verifying'
import { writeSignatureRecord } from '@vouchsafe/image/signature-record'
import {
  attachBundle,
  attachCosign,
  cosignPayload,
  PREDICATES,
  signBundle,
  signCosign,
  signStatement,
  writeStatement,
} from '@vouchsafe/image/signing'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { logSigner } from '../../../../broker/src/custody/log-signer.ts'
import { initBroker } from '../../../../broker/src/init.ts'
import { startClinic, stopClinic, type TestClinic } from '../../../../broker/src/testing/two-clinics.ts'
import { image } from '../../../../image/src/testing/pull.ts'
import { client, local } from '../../../../image/src/testing/registry-client.ts'
import { FakeRegistry } from '../../../../image/src/testing/registry.ts'
import { newKey, pem } from '../../../../image/src/testing/signing.ts'
import { file } from '../../../../image/src/testing/unpack.ts'
import { writeOwner } from '../../files.ts'
import { CommandLine } from '../testing/command-line.ts'
import { type ShownSignature, signaturesInLedger } from './ledger-signatures.ts'
import { enter } from './record.ts'
import { formatSignatureProof, parseSignatureProof, verifySignatureProof } from './signature-proof.ts'

let clinic: TestClinic
const line = new CommandLine()
const server = new FakeRegistry()
const [ann, ben, stranger] = [newKey(), newKey('ed25519'), newKey()]
const REGISTRIES = ['--registries', 'registries.json'] as const
let count = 0
/** A fresh image for every test. */
let digest: Digest
let reference = ''

beforeAll(async () => {
  await server.start()
  line.write('registries.json', JSON.stringify({ [server.host]: local }))
  for (const [name, key] of Object.entries({ ann, ben, stranger })) line.write(`${name}.pub`, pem(key))
  const key = PrincipalKey.generate()
  const { config } = await initBroker(
    {
      directory: line.file('broker'),
      profile: 'simulated',
      listen: { host: '127.0.0.1', port: 0 },
      publicUrl: 'https://127.0.0.1:0',
      tenants: [{ id: 'clinic-a', owner: 'clinic-a', ownerKey: key.key, anchors: [] }],
    },
    new Date(),
  )
  clinic = await startClinic('clinic-a', key, config, [])
  writeFileSync(line.file('a.pem'), key.toPem(), { mode: 0o600 })
  writeOwner(line.file('owner.json'), line.file('a.pem'), clinic.pin)
})
afterAll(async () => {
  server.close()
  line.remove()
  if (clinic !== undefined) await stopClinic(clinic)
})

beforeEach(async () => {
  const made = await image([[file(`f${count++}`)]])
  await pushImage(made.source, made.digest, c().endpoint(name()), { tag: 'v1' })
  digest = made.digest as Digest
  reference = `${server.host}/team/app@${digest}`
})

const c = () => client({ [server.host]: local })
const name = () => ({ registry: server.host, path: 'team/app' })
const payload = () => cosignPayload({ digest: digest as never, dockerReference: `${server.host}/team/app` })
const recordBy = (key = ann) => writeSignatureRecord(digest as never, key.public, signCosign(payload(), key))
const bundleBy = (key = ann) =>
  signBundle(signStatement({ digest: digest as never, dockerReference: `${server.host}/team/app` }), key)

/** Puts a signature beside the image, as cosign does. */
async function attach(key = ann): Promise<void> {
  await attachCosign(c(), name(), digest as never, signCosign(payload(), key))
}
async function attachAsBundle(bundle: Uint8Array): Promise<void> {
  const { bytes, mediaType } = await c()
    .reader(name())
    .readManifest(digest as never, 1e6)
  const descriptor = { mediaType, digest: digest as never, size: bytes.length, annotations: new Map<string, string>() }
  await attachBundle(c(), name(), descriptor, bundle, PREDICATES.sign, new Date())
}
/** What a registry can do at any time. */
const takeAway = () => server.manifests.delete(`team/app:${signatureTag(digest as never)}`)

interface Recorded {
  readonly recorded: readonly Readonly<Record<string, unknown>>[]
  readonly passed: readonly { readonly place: string; readonly why: string }[]
  readonly problems: readonly string[]
}
const record = (...more: readonly string[]) =>
  line.answer<Recorded>('image', 'record', reference, ...REGISTRIES, ...more)
const approvals = (...more: readonly string[]) =>
  line.answer<Recorded>('image', 'approvals', reference, ...REGISTRIES, ...more)

const entryOf = ({ recorded }: Recorded, at = 0) => recorded[at]?.['entry'] as number

describe('vouchsafe image record', () => {
  test('CS-85 signatures by the keys that are named are entered, and those of others are not, each with why', async () => {
    await attach(ann)
    await attach(stranger)
    await attachAsBundle(bundleBy(ben))
    const sbom = writeStatement({
      subjects: [{ digest: digest as never }],
      predicateType: PREDICATES.spdx,
      predicate: {},
    })
    await attachAsBundle(signBundle(sbom, ann))
    const { recorded, passed } = await record('--key', 'ann.pub', '--key', 'ben.pub')
    const taken = { by: 'clinic-a', repeated: false, log: expect.stringContaining('vouchsafe/simulated/') }
    expect(recorded).toEqual([
      expect.objectContaining({ ...taken, who: 'ann.pub', key: ann.public.id, form: 'cosign' }),
      expect.objectContaining({ ...taken, who: 'ben.pub', key: ben.public.id, form: 'bundle' }),
    ])
    expect(passed.map(({ why }) => why)).toEqual([
      expect.stringContaining('signature.unverified'),
      expect.stringMatching(/signature.mismatch: .*no signature of/),
    ])
    // once more: nothing is added
    const again = await record('--key', 'ann.pub')
    expect(again.recorded).toEqual([expect.objectContaining({ repeated: true, entry: recorded[0]?.['entry'] })])
  })

  test('CS-85 one that lies in no registry is entered from files, as an approval service hands it out', async () => {
    line.write('payload', payload())
    line.write('signature', ann.sign(payload()))
    line.write('approval.json', bundleBy(ben))
    const keys = ['--key', 'ann.pub', '--key', 'ben.pub']
    const { recorded } = await record(...keys, '--payload', 'payload', '--signature', 'signature')
    expect(recorded).toMatchObject([{ who: 'ann.pub', form: 'cosign' }])
    expect((await record(...keys, '--bundle', 'approval.json')).recorded).toMatchObject([
      { who: 'ben.pub', form: 'bundle' },
    ])
    line.write('signature', stranger.sign(payload()))
    const refused = await line.refusal(
      'image',
      'record',
      reference,
      ...REGISTRIES,
      ...keys,
      '--payload',
      'payload',
      '--signature',
      'signature',
    )
    expect(refused).toMatchObject({ status: 1, code: 'signature.unverified' })
  })

  test('CS-85 with nothing to enter the answer is no; without a signer’s key, or with half a signature, nothing is asked', async () => {
    await attach(stranger)
    expect((await line.run('image', 'record', reference, ...REGISTRIES, '--key', 'ann.pub')).status).toBe(1)
    expect(await line.refusal('image', 'record', reference, ...REGISTRIES)).toMatchObject({ status: 2, code: 'usage' })
    const half = await line.refusal(
      'image',
      'record',
      reference,
      ...REGISTRIES,
      '--key',
      'ann.pub',
      '--payload',
      'payload',
    )
    expect(half).toMatchObject({ status: 2, code: 'usage' })
  })

  test('CS-85 a broker that enters another signature than it was shown is told on', async () => {
    const other = await clinic.owner.recordSignature(recordBy(ben))
    const lying = { recordSignature: () => Promise.resolve(other) }
    await expect(enter(lying, recordBy(ann), clinic.pin.log)).rejects.toThrow(
      expect.objectContaining({ code: 'signature.mismatch', message: expect.stringContaining('another signature') }),
    )
  })
})

describe('vouchsafe image approvals, of what was recorded', () => {
  test('CS-85 a signature that the registry has no more still shows, with its time, and is marked so', async () => {
    await attach(ann)
    await attachAsBundle(bundleBy(ben))
    const made = await record('--key', 'ann.pub', '--key', 'ben.pub')
    const there = await approvals('--key', 'ann.pub', '--checkpoint', 'seen')
    expect(there.recorded).toMatchObject([
      { who: 'ann.pub', key: ann.public.id, inRegistry: true, entry: entryOf(made), by: 'clinic-a' },
      { who: null, key: ben.public.id, inRegistry: true },
    ])
    takeAway()
    const gone = await approvals('--key', 'ann.pub', '--checkpoint', 'seen')
    expect(gone.recorded).toEqual([{ ...there.recorded[0], inRegistry: false }, there.recorded[1]])
    expect(gone.problems).toEqual([])
    const { stdout } = await line.run('image', 'approvals', reference, ...REGISTRIES, '--key', 'ann.pub')
    expect(stdout).toMatch(
      /^\d{4}-\S+Z {2}ann\.pub signed {2}ledger entry \d+, shown by clinic-a; not, or no longer, in the registry$/m,
    )
    expect(stdout).toMatch(/^\d{4}-\S+Z {2}[0-9a-f]{64} signed {2}ledger entry \d+, shown by clinic-a$/m)
    // the image itself, too
    server.manifests.delete(`team/app:${digest}`)
    expect((await approvals()).recorded.map(({ inRegistry }) => inRegistry)).toEqual([false, false])
    const byTag = await line.refusal('image', 'approvals', `${server.host}/team/gone:v1`, ...REGISTRIES)
    expect(byTag.code).toBe('registry.not-found')
  })

  test('CS-85 what lies there now and cannot be the recorded one does not stand for it', async () => {
    await attach(ann)
    await record('--key', 'ann.pub')
    takeAway()
    // the same bytes by another, and the same key over other bytes
    await attach(stranger)
    const worded = cosignPayload({
      digest: digest as never,
      dockerReference: 'r.example/a',
      annotations: { by: 'ann' },
    })
    await attachCosign(c(), name(), digest as never, signCosign(worded, ann))
    expect((await approvals()).recorded).toMatchObject([{ inRegistry: false }])
  })
})

describe('vouchsafe image proof', () => {
  let file = ''
  const proof = (...more: readonly string[]) => ['image', 'proof', file, digest, ...more] as const
  const log = () => ['--log', clinic.pin.log] as const
  beforeEach(async () => {
    await attach(ann)
    const made = await record('--key', 'ann.pub', '--proofs', `proofs-${count}`)
    file = `proofs-${count}/signature-${entryOf(made)}.json`
  })
  const edited = (change: (proof: { record: Uint8Array; receipt: string }) => object) => {
    const parsed = parseSignatureProof(line.read(file), file)
    file = line.write('edited.json', formatSignatureProof({ ...parsed, ...change(parsed) }))
  }

  test('CS-85 I07 a file and the log’s key prove who signed which image by when, with nobody asked', async () => {
    const fetched = server.seen.length
    const answer = await line.answer<Readonly<Record<string, unknown>>>(
      ...proof('--key', 'ann.pub', '--key', 'ben.pub', ...log()),
    )
    expect(answer).toMatchObject({ digest, who: 'ann.pub', key: ann.public.id, form: 'cosign', by: 'clinic-a' })
    expect(answer['log']).toBe(clinic.pin.log.split('+')[0])
    const { stdout } = await line.run('image', 'proof', file, reference, '--key', 'ann.pub')
    expect(stdout).toMatch(/^signed by ann\.pub no later than \d{4}-\S+Z: key /m)
    expect(server.seen).toHaveLength(fetched)
  })

  test('CS-85 the same proofs come from image approvals', async () => {
    await line.answer('image', 'approvals', reference, ...REGISTRIES, '--proofs', `later-${count}`)
    const [only] = readdirSync(line.file(`later-${count}`))
    file = `later-${count}/${only}`
    await expect(line.answer(...proof('--key', 'ann.pub', ...log()))).resolves.toMatchObject({ who: 'ann.pub' })
  })

  test('CS-85 I07 it proves nothing of another image, another signer or another log', async () => {
    const other = `sha256:${'0'.repeat(64)}`
    const refused = (...args: readonly string[]) => line.refusal('image', 'proof', file, ...args)
    expect(await refused(other, '--key', 'ann.pub', ...log())).toMatchObject({ status: 1, code: 'image.signature' })
    expect(await refused(digest, '--key', 'ben.pub', ...log())).toMatchObject({
      status: 1,
      code: 'image.signature',
      hint: expect.stringContaining('--key FILE'),
    })
    const { key } = logSigner(clinic.pin.log.split('+')[0] ?? '', generateKeyPairSync('ed25519').privateKey)
    expect(await refused(digest, '--key', 'ann.pub', '--log', formatLogKey(key))).toMatchObject({
      status: 1,
      code: 'ledger.checkpoint',
    })
    expect(await refused(digest, ...log())).toMatchObject({ status: 2, code: 'usage' })
    expect(await refused(`${server.host}/team/app:v1`, '--key', 'ann.pub', ...log())).toMatchObject({ status: 2 })
  })

  test('CS-85 I07 a record that the entry does not hold is refused, though its signature is good', async () => {
    edited(() => ({ record: recordBy(ann) })) // the same key and words, other bytes
    expect(await line.refusal(...proof('--key', 'ann.pub', ...log()))).toMatchObject({
      status: 1,
      code: 'ledger.receipt',
    })
  })

  test('CS-85 whichever byte of the file is changed, it proves nothing, or the same', async () => {
    const bytes = line.read(file)
    const logKey = parseLogKey(clinic.pin.log, nodeCrypto)
    const prove = async (from: Uint8Array) => {
      const {
        key,
        image: of,
        at,
        entry,
      } = await verifySignatureProof(parseSignatureProof(from, file), logKey, nodeCrypto)
      return { key: key.id, of, at, entry }
    }
    const genuine = await prove(bytes)
    const changed = fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (at, byte) => {
      try {
        expect(await prove(bytes.with(at, byte))).toEqual(genuine)
      } catch (error) {
        expect(error instanceof VouchsafeError || error instanceof ImageError, String(error)).toBe(true)
      }
    })
    await fc.assert(changed, { numRuns: 300 })
  })

  test('CS-85 a signature that is none is refused, though a log holds it', async () => {
    const forged = writeSignatureRecord(digest as never, ann.public, { ...signCosign(payload(), stranger) })
    edited(() => ({
      record: forged,
      receipt: ownReceipt(forged, { key: ann.public.id, form: 'cosign', by: 'clinic-a' }),
    }))
    expect(await line.refusal(...proof('--key', 'ann.pub', '--log', ownLog()))).toMatchObject({
      status: 1,
      code: 'signature.unverified',
    })
  })

  test('CS-85 an entry whose facts tell of another signer than its record is refused', async () => {
    const record = recordBy(ann)
    const good = { key: ann.public.id, form: 'cosign', by: 'clinic-a' }
    edited(() => ({ record, receipt: ownReceipt(record, good) }))
    await expect(line.answer(...proof('--key', 'ann.pub', '--log', ownLog()))).resolves.toMatchObject({
      who: 'ann.pub',
    })
    for (const facts of [
      { ...good, key: ben.public.id },
      { ...good, form: 'bundle' },
      { key: good.key, form: good.form },
    ]) {
      edited(() => ({ record, receipt: ownReceipt(record, facts) }))
      expect(await line.refusal(...proof('--key', 'ann.pub', '--log', ownLog()))).toMatchObject({
        code: 'ledger.receipt',
      })
    }
  })
})

describe('what a broker shows against what its log holds', () => {
  const shownNow = async () => (await clinic.owner.listSignatures(digest)).signatures
  const linesNow = async () => (await clinic.owner.exportLedger()).split('\n').filter((one) => one !== '')
  const judge = (lines: readonly string[], before: readonly ShownSignature[], after = before) =>
    signaturesInLedger(
      digest,
      lines,
      { before, after },
      { logKey: parseLogKey(clinic.pin.log, nodeCrypto), crypto: nodeCrypto },
    )

  test('CS-85 a signature that the broker does not show any more is named, and stays known', async () => {
    await clinic.owner.recordSignature(recordBy(ann))
    const lines = await linesNow()
    expect(await judge(lines, await shownNow())).toMatchObject({ signatures: [{ key: ann.public.id }], problems: [] })
    const { signatures, problems } = await judge(lines, [])
    expect(signatures).toMatchObject([{ key: ann.public.id, proof: null }])
    expect(problems).toEqual([expect.stringContaining('does not show it any more')])
  })

  test('CS-85 I05 one that the log does not hold is named, though its receipt is good: of a log that was told to nobody else', async () => {
    await clinic.owner.recordSignature(recordBy(ann))
    const lines = await linesNow()
    const shown = await shownNow()
    const at = lines.findIndex((one) => one.includes(digest))
    const forked = lines.map((one, i) => (i === at ? (lines[at - 1] ?? '') : one))
    for (const [before, after] of [
      [shown, []],
      [[], shown],
    ] as const) {
      const { signatures, problems } = await judge(forked, before, after)
      expect(signatures).toEqual([])
      expect(problems).toEqual([expect.stringContaining('the ledger does not hold it')])
    }
  })

  test('CS-85 one that is entered while the log is read is no problem; one shown before must be in it', async () => {
    const lines = await linesNow()
    await clinic.owner.recordSignature(recordBy(ann))
    const shown = await shownNow()
    expect(await judge(lines, [], shown)).toEqual({ signatures: [], problems: [] })
    expect((await judge(lines, shown, shown)).problems).toEqual([
      expect.stringContaining('the ledger does not hold it'),
    ])
  })

  test('CS-85 one of another image, or whose bytes were changed, is named', async () => {
    await clinic.owner.recordSignature(recordBy(ann))
    const [lines, [own]] = [await linesNow(), await shownNow()]
    if (own === undefined) throw new Error('nothing is shown')
    const changed = { ...own, record: Buffer.from(recordBy(ann)).toString('base64') }
    expect((await judge(lines, [changed])).problems).toEqual([
      expect.stringContaining('the receipt is for digest'),
      expect.stringContaining('does not show it any more'),
    ])
    const other = `sha256:${'0'.repeat(64)}` as Digest
    const trust = { logKey: parseLogKey(clinic.pin.log, nodeCrypto), crypto: nodeCrypto }
    const { signatures, problems } = await signaturesInLedger(other, lines, { before: [own], after: [own] }, trust)
    expect([signatures, problems]).toEqual([[], [expect.stringContaining('the ledger does not hold it')]])
  })
})

const own = logSigner(
  logOrigin({ profile: 'simulated', broker: 'broker:own', tenant: 'clinic-a' }),
  generateKeyPairSync('ed25519').privateKey,
)
const ownLog = () => formatLogKey(own.key)

/** A receipt of a log of one entry, which says what its holder likes. */
function ownReceipt(record: Uint8Array, facts: Readonly<Record<string, string>>): string {
  const entry: Entry = {
    seq: 0,
    tenant: 'clinic-a',
    time: '2026-11-01T00:00:00.000Z',
    kind: 'signature.recorded',
    subject: digest,
    digest: digestOf(record, nodeCrypto),
    facts,
  }
  const bytes = encodeEntry(entry)
  const checkpoint = formatCheckpoint({ origin: own.name, size: 1, root: leafHash(bytes, nodeCrypto) }, own)
  return formatReceipt({ entry: bytes, proof: [], checkpoint })
}
