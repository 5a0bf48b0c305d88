import { feed as feedAnything, missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
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
/** Whatever is thrown must be ours, and say that the input or the evidence is at fault. */
const isOurs = (error: unknown) => error instanceof TpmError && /^(?:input|evidence)\./.test(error.code)
const feed = (corpus: readonly Uint8Array[], read: (bytes: Uint8Array) => unknown) => feedAnything(corpus, read, isOurs)

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
