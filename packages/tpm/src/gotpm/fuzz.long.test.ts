import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../core/node/crypto.ts'
import { TpmError } from '../codec/errors.ts'
import { encodeTpmPublic, parseTpmPublic } from '../codec/public-area.ts'
import { parseTpmCreationData, parseTpmTicket } from '../codec/creation.ts'
import { useTpm } from '../testing/tpm-fixture.ts'
import { gotpmAttestation } from './attestation.ts'
import { machineState, machineStateJson } from './machine-state.ts'
import { gotpmFormatOf, readGotpm, writeGotpm } from './messages.ts'
import { sealForGotpm } from './sealed-bytes.ts'
import { teeReport } from './tee-report.ts'
import type { TeeReport } from './tee-report.ts'
import { verifyGotpmAttestation } from './verify-attestation.ts'

const get = useTpm()
/** How long each reader is fed: five minutes, unless the environment says otherwise. */
const SECONDS = Number(process.env['VOUCHSAFE_FUZZ_SECONDS'] ?? 300)
const MOST_MILLISECONDS = 5_000

/** Numbers that look random and are the same in every run. @source mulberry32, public domain */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** Bytes changed, cut, repeated, and moved in from another input. */
function mutate(corpus: readonly Uint8Array[], random: (below: number) => number): Uint8Array {
  let bytes = Buffer.from(corpus[random(corpus.length)]!)
  for (let changes = 1 + random(4); changes > 0 && bytes.length > 0; changes--) {
    const at = random(bytes.length)
    const length = 1 + random(Math.min(64, bytes.length - at))
    const other = corpus[random(corpus.length)]!
    const from = random(Math.max(1, other.length))
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
    switch (random(5)) {
      case 0:
        bytes[at] = random(256)
        break
      case 1:
        bytes = Buffer.concat([head, tail.subarray(length)])
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at + length), tail])
        break
      case 3:
        bytes = Buffer.concat([head, other.subarray(from, from + length), tail])
        break
      case 4:
        bytes = Buffer.from(head)
        break
    }
  }
  return new Uint8Array(bytes)
}

/** Feeds `read` until the time is over. Whatever is thrown must be ours, and nothing may take long. */
async function feed(corpus: readonly Uint8Array[], read: (bytes: Uint8Array) => unknown): Promise<void> {
  for (const bytes of corpus) await read(bytes)
  const random = randomFrom(20_261_122)
  const until = performance.now() + SECONDS * 1000
  let inputs = 0
  let accepted = 0
  for (; performance.now() < until; inputs++) {
    const bytes = mutate(corpus, random)
    const start = performance.now()
    try {
      await read(bytes)
      accepted++
    } catch (error) {
      if (!(error instanceof TpmError))
        throw new Error(`input ${inputs}: ${Buffer.from(bytes).toString('base64')}`, { cause: error })
      expect(error.code, error.message).toMatch(/^(input|evidence)\./)
    }
    expect(performance.now() - start, `milliseconds for input ${inputs}`).toBeLessThan(MOST_MILLISECONDS)
  }
  console.info(`${inputs} inputs, ${accepted} accepted`)
  expect(inputs).toBeGreaterThan(SECONDS)
}

describe.skipIf(missingVectors())(
  'fed with changed recordings, the readers of gotpm’s files give only errors of ours',
  () => {
    const recorded = () => ['nonce9009', 'no-nonce'].map((n) => readVector(`gce/tpm/attestations/gce-cos-85-${n}.pb`))
    const withReports = () =>
      (
        [
          { kind: 'sev-snp', report: readVector('gce/snp/milan_v3a_report.bin').slice() },
          { kind: 'tdx', quote: readVector('gce/tdx/quote_v4_oak_oc.bin').slice() },
        ] satisfies TeeReport[]
      ).map((tee) => gotpmAttestation({ akPublic: new Uint8Array(), quotes: [], eventLog: new Uint8Array(), tee }))

    test('attestations, to their machine state', () =>
      feed(recorded(), async (bytes) => {
        const attestation = readGotpm('attestation', bytes, 'binarypb')
        const verified = await verifyGotpmAttestation(
          attestation,
          {
            anchor: { kind: 'none' },
            nonce: attestation.quotes.length === 3 ? Uint8Array.of(0x90, 0x09) : new Uint8Array(),
            dangerouslyAllowEmptyNonce: true,
            banks: ['sha384', 'sha256'],
            mayBeUnexplained: [10],
            logMayBeMissing: true,
            applicationMayPrecedeBootOption: true,
            mayEndBeforeExit: true,
          },
          nodeCrypto,
        ).catch((error: unknown) => {
          // the recording without nonce is refused for that
          if (error instanceof TpmError) return undefined
          throw error
        })
        if (verified !== undefined) machineStateJson(machineState(verified, nodeCrypto))
      }))

    test('attestations in text', () => {
      const corpus = [...recorded().map((b) => readGotpm('attestation', b, 'binarypb')), ...withReports()].map(
        (message) => writeGotpm('attestation', { ...message, eventLog: message.eventLog.slice(0, 4096) }, 'textproto'),
      )
      return feed(corpus, (bytes) => readGotpm('attestation', bytes, 'textproto'))
    })

    test('hardware reports inside attestations', () =>
      feed(
        withReports().map((message) => writeGotpm('attestation', message, 'binarypb')),
        (bytes) => {
          const message = readGotpm('attestation', bytes, 'binarypb')
          const tee = teeReport(message)
          // what is read is what would be written
          if (tee === undefined) return
          const nothing = { akPublic: new Uint8Array(), quotes: [], eventLog: new Uint8Array() }
          expect(teeReport(gotpmAttestation({ ...nothing, tee }))).toEqual(tee)
        },
      ))

    test('import blobs, to the public area inside', () => {
      const { dataBase64 } = JSON.parse(readVectorText('seed-systems/tpm/td-import-blob.json')) as {
        dataBase64: string
      }
      const blob = new Uint8Array(Buffer.from(dataBase64, 'base64'))
      return feed([blob], (bytes) => {
        const { publicArea } = readGotpm('import-blob', bytes, gotpmFormatOf(bytes))
        expect(encodeTpmPublic(parseTpmPublic(publicArea))).toEqual(publicArea)
      })
    })

    test('sealed bytes, to the creation record and ticket inside', async () => {
      const message = await sealForGotpm(get(), {
        data: new Uint8Array(32),
        pcrs: await get().pcrRead('sha256', [0, 7]),
      })
      const files = (['binarypb', 'textproto'] as const).map((format) => writeGotpm('sealed-bytes', message, format))
      await feed(files, (bytes) => {
        const read = readGotpm('sealed-bytes', bytes, gotpmFormatOf(bytes))
        parseTpmPublic(read.pub)
        parseTpmCreationData(read.creationData)
        parseTpmTicket(read.ticket)
      })
    })
  },
)
