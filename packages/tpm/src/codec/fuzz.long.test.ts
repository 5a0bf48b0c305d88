import { feed } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { recordedStructures } from '../testing/structures.ts'
import { useTpm } from '../testing/tpm-fixture.ts'
import { openTransport } from '../transport/open-transport.ts'
import { startSwtpm } from '../testing/swtpm.ts'
import type { Transport } from '../transport/transport.ts'
import { firstDer } from '../tpm/ek-certificates.ts'
import { Tpm } from '../tpm/tpm.ts'
import { parseTpmAttest } from './attest.ts'
import { ByteReader } from './byte-reader.ts'
import { encodeTpmCreationData, encodeTpmTicket, parseTpmCreationData, parseTpmTicket } from './creation.ts'
import { commandName, COMMANDS } from './commands/index.ts'
import type { AnyCommand } from './commands/command.ts'
import { TpmError } from './errors.ts'
import { decodeParameters, parseResponse } from './message.ts'
import { encodeTpmNvPublic, parseTpmNvPublic } from './nv-public.ts'
import { encodePcrSelections, parsePcrSelections } from './pcr-selection.ts'
import { encodeTpmPublic, parseTpmPublic } from './public-area.ts'
import { encodeTpmSignature, parseTpmSignature } from './signature.ts'
import { TEMPLATES } from './templates.ts'

const isOurs = (error: unknown) => error instanceof TpmError && /^(?:input|tpm)\./.test(error.code)

/** What is read must be all that was there: writing it gives the same bytes. */
const CODECS: readonly (readonly [type: string, (raw: Uint8Array) => Uint8Array])[] = [
  ['TPMS_ATTEST', (raw) => parseTpmAttest(raw).raw],
  ['TPMT_PUBLIC', (raw) => encodeTpmPublic(parseTpmPublic(raw))],
  ['TPMT_SIGNATURE', (raw) => encodeTpmSignature(parseTpmSignature(raw))],
  ['TPMS_CREATION_DATA', (raw) => encodeTpmCreationData(parseTpmCreationData(raw))],
  ['TPMT_TK', (raw) => encodeTpmTicket(parseTpmTicket(raw))],
  ['TPMS_NV_PUBLIC', (raw) => encodeTpmNvPublic(parseTpmNvPublic(raw))],
  ['TPML_PCR_SELECTION', (raw) => encodePcrSelections(parsePcrSelections(raw))],
]

test.each(CODECS)('%s, changed: an error of ours, or the same bytes again', (type, again) => {
  const corpus = recordedStructures()
    .filter((structure) => structure.type === type)
    .map(({ raw }) => raw)
  expect(corpus.length).toBeGreaterThan(0)
  return feed(corpus, (bytes) => expect(Buffer.compare(again(bytes), bytes)).toBe(0), isOurs)
})

describe('a TPM that answers anything', () => {
  test('gets an error of ours, or an answer in the form of its command', async () => {
    const answers = await recordAnswers()
    expect(new Set(answers.map(({ name }) => name)).size).toBeGreaterThan(12)
    // the first byte says which answer it stands in for
    const corpus = answers.map(({ raw }, at) => Uint8Array.of(at, ...raw))
    await feed(
      corpus,
      (bytes) => {
        const { name, command, sessions } = answers[(bytes[0] ?? 0) % answers.length] ?? unreachable()
        const raw = bytes.slice(1)
        // the size that a message states is checked first: mostly let it fit, so that what comes after is read
        if (raw.length >= 6 && raw.length % 8 !== 0) new DataView(raw.buffer).setUint32(2, raw.length)
        const response = parseResponse(name, command, sessions, raw)
        decodeParameters(name, command, response.parameters)
      },
      isOurs,
    )
  })

  const get = useTpm()
  test('its saved contexts, changed, are refused by us or by it', async () => {
    const tpm = get()
    await using key = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    const saved = await tpm.saveContext(key)
    await feed(
      [saved],
      async (bytes) => {
        await using loaded = await tpm.loadContext(bytes)
        expect(loaded.public).toEqual(key.public)
      },
      isOurs,
    )
  })
})

test('certificates as makers put them into NV: cut where they end, or refused', () => {
  const certificate = Uint8Array.of(0x30, 0x82, 1, 0, ...new Uint8Array(256).fill(5))
  const short = Uint8Array.of(0x30, 0x03, 1, 2, 3)
  return feed(
    [certificate, short, Uint8Array.of(...short, ...new Uint8Array(40).fill(0xff))],
    (bytes) => {
      const found = firstDer(bytes)
      expect(Buffer.compare(found, bytes.subarray(0, found.length))).toBe(0)
    },
    isOurs,
  )
})

interface Answer {
  readonly name: string
  readonly command: AnyCommand
  readonly sessions: number
  readonly raw: Uint8Array
}

/** Answers of a software TPM to commands of many forms, one for each form. */
async function recordAnswers(): Promise<readonly Answer[]> {
  const swtpm = await startSwtpm()
  const answers = new Map<string, Answer>()
  const inner = await openTransport(swtpm.address)
  const recording: Transport = {
    address: inner.address,
    isManaged: inner.isManaged,
    close: () => inner.close(),
    async transact(sent, timeoutMs) {
      const raw = await inner.transact(sent, timeoutMs)
      const view = new DataView(sent.buffer, sent.byteOffset, sent.byteLength)
      const name = commandName(view.getUint32(6))
      if (name !== undefined && new DataView(raw.buffer, raw.byteOffset).getUint32(6) === 0) {
        const sessions = sessionsIn(sent, COMMANDS[name])
        answers.set(`${name} ${sessions}`, { name, command: COMMANDS[name], sessions, raw: raw.slice() })
      }
      return raw
    },
  }
  const tpm = new Tpm(recording, {})
  try {
    await tpm.pcrRead('sha256', [0, 7])
    await tpm.pcrEvent(16, Uint8Array.of(1))
    await tpm.getRandom(8)
    for (const kind of ['algorithms', 'handles', 'commands', 'pcrs', 'ecc-curves', 'tpm-properties'] as const)
      await tpm.getCapability(kind)
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    await tpm.quote({ key: ak, bank: 'sha256', pcrs: [0, 7], extraData: new Uint8Array(32) })
    await using srk = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    await tpm.certify({ key: ak, object: srk, extraData: new Uint8Array(32) })
    const session = await tpm.startSession({ type: 'hmac' })
    await tpm.run('GetRandom', { bytesRequested: 8 }, { sessions: [{ session, encryptResponse: true }] })
    await tpm.endSession(session)
    const sealed = await tpm.seal({ parent: srk, data: Uint8Array.of(1, 2, 3) })
    expect(await tpm.unseal({ parent: srk, sealed })).toEqual(Uint8Array.of(1, 2, 3))
    const saved = await tpm.saveContext(srk)
    await using _again = await tpm.loadContext(saved)
    await tpm.attestTime({ key: ak, extraData: new Uint8Array(32) })
  } finally {
    await tpm.close()
    await swtpm.stop()
  }
  return [...answers.values()]
}

/** How many authorizations a command has: its answer has as many. */
function sessionsIn(sent: Uint8Array, command: AnyCommand): number {
  const r = new ByteReader('command', sent, 'big')
  if (r.u16('tag') !== 0x8002) return 0
  r.view('size, code and handles', 8 + 4 * command.lists.handles.length)
  const end = r.u32('authorizationSize') + 14 + 4 * command.lists.handles.length
  let count = 0
  for (; r.offset < end; count++) {
    r.u32('sessionHandle')
    r.sized('nonceCaller', 64)
    r.u8('attributes')
    r.sized('hmac', 64)
  }
  return count
}

function unreachable(): never {
  throw new Error('no answers')
}
