import assert from 'node:assert/strict'
import { TEMPLATES } from '@vouchsafe/tpm'
import {
  openGotpmImport,
  readGotpm,
  sealForGotpm,
  sealForGotpmImport,
  unsealFromGotpm,
  writeGotpm,
} from '@vouchsafe/tpm/gotpm'
import type { GotpmMessage } from '@vouchsafe/tpm/gotpm'
import { text } from '../tpm2-tools/workbench.ts'
import type { Pair } from '../tpm2-tools/workbench.ts'
import type { GoPrograms } from './go-programs.ts'

const secret = text('sealed between Go and TypeScript')
const KINDS = ['rsa', 'ecc'] as const
const ENDORSEMENT = { rsa: TEMPLATES.ekRsa2048, ecc: TEMPLATES.ekEccP256 } as const
const PCRS = [0, 8, 13] as const
const LIST = PCRS.join(',')

/** `gotpm seal` and `gotpm unseal`, whose files are protobuf text. */
function commandLine(go: GoPrograms): readonly Pair[] {
  return KINDS.flatMap((srk): Pair[] => [
    {
      name: `gotpm seal (${srk}, registers) → unsealFromGotpm; refused when they change`,
      async run(bench) {
        const file = go.gotpm(bench, ['seal', '--algo', srk, '--pcrs', LIST], secret)
        const message = readGotpm('sealed-bytes', file, 'textproto')
        const certify = await bench.ours((tpm) => tpm.pcrRead('sha256', PCRS))
        assert.deepEqual(await bench.ours((tpm) => unsealFromGotpm(tpm, message)), secret)
        assert.deepEqual(await bench.ours((tpm) => unsealFromGotpm(tpm, message, { certify })), secret)
        await bench.ours((tpm) => tpm.pcrEvent(13, secret))
        await assert.rejects(
          bench.ours((tpm) => unsealFromGotpm(tpm, message)),
          { code: 'tpm.response' },
        )
      },
    },
    {
      name: `sealForGotpm (${srk}, registers) → gotpm unseal; refused when they change`,
      async run(bench) {
        const file = await bench.ours(async (tpm) => {
          const pcrs = await tpm.pcrRead('sha256', PCRS)
          return writeGotpm('sealed-bytes', await sealForGotpm(tpm, { data: secret, srk, pcrs }), 'textproto')
        })
        assert.deepEqual(go.gotpm(bench, ['unseal'], file), secret)
        assert.deepEqual(go.gotpm(bench, ['unseal', '--pcrs', LIST], file), secret)
        await bench.ours((tpm) => tpm.pcrEvent(13, secret))
        assert.throws(() => go.gotpm(bench, ['unseal'], file))
      },
    },
    {
      name: `sealForGotpm (${srk}, any state) → gotpm unseal`,
      async run(bench) {
        const file = await bench.ours(async (tpm) =>
          writeGotpm('sealed-bytes', await sealForGotpm(tpm, { data: secret, srk }), 'textproto'),
        )
        assert.deepEqual(go.gotpm(bench, ['unseal'], file), secret)
      },
    },
  ])
}

/** The current library's Seal, Unseal, Import and CreateImportBlob. */
function library(go: GoPrograms): readonly Pair[] {
  return KINDS.flatMap((kind): Pair[] => [
    {
      name: `Key.Seal (${kind}) → unsealFromGotpm, certified`,
      async run(bench) {
        const file = go.peer(bench, ['seal', kind, LIST], secret)
        const message = readGotpm('sealed-bytes', file, 'binarypb')
        const certify = await bench.ours((tpm) => tpm.pcrRead('sha256', [0, 1, 2, 23]))
        assert.deepEqual(await bench.ours((tpm) => unsealFromGotpm(tpm, message, { certify })), secret)
      },
    },
    {
      name: `sealForGotpm (${kind}) → Key.Unseal, certified; refused when sealed in another state`,
      async run(bench) {
        const file = await bench.ours(async (tpm) =>
          writeGotpm('sealed-bytes', await sealForGotpm(tpm, { data: secret, srk: kind }), 'binarypb'),
        )
        assert.deepEqual(go.peer(bench, ['unseal', '0,1,13'], file), secret)
        await bench.ours((tpm) => tpm.pcrEvent(13, secret))
        assert.throws(() => go.peer(bench, ['unseal', '0,1,13'], file))
        assert.deepEqual(go.peer(bench, ['unseal', '-'], file), secret)
      },
    },
    {
      name: `CreateImportBlob (${kind} EK, any state and registers) → openGotpmImport; refused when they change`,
      async run(bench) {
        const template = ENDORSEMENT[kind]
        const open = (message: GotpmMessage<'import-blob'>) =>
          bench.ours(async (tpm) => {
            await using endorsementKey = await tpm.createPrimary({ hierarchy: 'endorsement', template })
            bench.writePem('ek.pem', endorsementKey.public)
            return await openGotpmImport(tpm, message, { endorsementKey })
          })
        const sealed = (pcrs: string) =>
          readGotpm('import-blob', go.peer(bench, ['create-import', bench.file('ek.pem'), pcrs], secret), 'binarypb')
        await bench.ours(async (tpm) => {
          await using endorsementKey = await tpm.createPrimary({ hierarchy: 'endorsement', template })
          bench.writePem('ek.pem', endorsementKey.public)
        })
        assert.deepEqual(await open(sealed('-')), secret)
        const conditional = sealed(LIST)
        assert.deepEqual(await open(conditional), secret)
        await bench.ours((tpm) => tpm.pcrEvent(13, secret))
        await assert.rejects(open(conditional), { code: 'tpm.response' })
      },
    },
    {
      name: `sealForGotpmImport (${kind} EK, any state and registers) → Key.Import; refused when they change`,
      async run(bench) {
        const [free, conditional] = await bench.ours(async (tpm) => {
          await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: ENDORSEMENT[kind] })
          const pcrs = await tpm.pcrRead('sha256', PCRS)
          const messages = [{}, { pcrs }].map((condition) =>
            sealForGotpmImport({ endorsementKey: key.public, data: secret, ...condition }),
          )
          return messages.map((message) => writeGotpm('import-blob', message, 'binarypb'))
        })
        if (free === undefined || conditional === undefined) throw new Error('two messages')
        assert.deepEqual(go.peer(bench, ['import', kind], free), secret)
        assert.deepEqual(go.peer(bench, ['import', kind], conditional), secret)
        await bench.ours((tpm) => tpm.pcrEvent(13, secret))
        assert.throws(() => go.peer(bench, ['import', kind], conditional))
      },
    },
  ])
}

export const sealing = (go: GoPrograms): readonly Pair[] => [...commandLine(go), ...library(go)]
