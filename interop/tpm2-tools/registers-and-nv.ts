import assert from 'node:assert/strict'
import { digest, nvAttributes, TPM_PT } from '@vouchsafe/tpm'
import { hex, text } from './workbench.ts'
import type { Pair } from './workbench.ts'

const area = (nvIndex: number, dataSize: number, type: 'ordinary' | 'counter' | 'extend' = 'ordinary') =>
  ({
    nvIndex,
    nameAlg: 'sha256',
    attributes: nvAttributes(['authRead', 'authWrite', 'ownerRead', 'ownerWrite'], type),
    authPolicy: new Uint8Array(),
    dataSize,
  }) as const
const contents = Uint8Array.from({ length: 1500 }, (_, at) => at % 253)

export const REGISTERS_AND_NV: readonly Pair[] = [
  {
    name: 'pcrExtend, pcrEvent → pcrread',
    async run(bench) {
      const expected = await bench.ours(async (tpm) => {
        await tpm.pcrExtend(8, [{ hash: 'sha256', digest: digest('sha256', text('extended')) }])
        await tpm.pcrEvent(9, text('event'))
        return tpm.pcrReadAll()
      })
      for (const { bank, values } of expected) {
        await bench.tool('pcrread', `${bank}:0,7,8,9,16,23`, '-o', 'pcrs')
        const wanted = [0, 7, 8, 9, 16, 23].map((pcr) => values.get(pcr) ?? new Uint8Array())
        assert.equal(hex(bench.read('pcrs')), wanted.map(hex).join(''))
      }
    },
  },
  {
    name: 'pcrextend, pcrevent of theirs → pcrRead',
    async run(bench) {
      const before = await bench.ours((tpm) => tpm.pcrRead('sha384', [14, 15]))
      const measured = digest('sha384', text('extended'))
      await bench.tool('pcrextend', `14:sha384=${hex(measured)}`)
      bench.write('event', text('event'))
      await bench.tool('pcrevent', '15', 'event')
      const after = await bench.ours((tpm) => tpm.pcrRead('sha384', [14, 15]))
      const extend = (pcr: number, value: Uint8Array) =>
        digest('sha384', before.values.get(pcr) ?? new Uint8Array(), value)
      assert.deepEqual(after.values.get(14), extend(14, measured))
      assert.deepEqual(after.values.get(15), extend(15, digest('sha384', text('event'))))
    },
  },
  {
    name: 'nvDefine, nvWrite → nvread, nvreadpublic',
    async run(bench) {
      await bench.ours(async (tpm) => {
        await tpm.nvDefine({ public: area(0x01800061, contents.length) })
        await tpm.nvWrite(0x01800061, contents)
      })
      await bench.tool('nvread', '-C', 'o', '0x1800061', '-o', 'out')
      assert.deepEqual(bench.read('out'), contents)
      const { name } = await bench.ours((tpm) => tpm.openNv(0x01800061))
      assert.ok((await bench.tool('nvreadpublic', '0x1800061')).includes(hex(name)))
    },
  },
  {
    name: 'nvdefine, nvwrite → nvRead',
    async run(bench) {
      await bench.tool('nvdefine', '-C', 'o', '-s', '1500', '-a', 'ownerread|ownerwrite', '0x1800062')
      bench.write('in', contents)
      await bench.tool('nvwrite', '-C', 'o', '-i', 'in', '0x1800062')
      assert.deepEqual(await bench.ours((tpm) => tpm.nvRead(0x01800062)), contents)
    },
  },
  {
    name: 'nvwrite with a password → nvRead in an encrypting session',
    async run(bench) {
      await bench.tool('nvdefine', '-C', 'o', '-s', '8', '-a', 'authread|authwrite', '-p', 'index', '0x1800063')
      bench.write('in', text('password'))
      await bench.tool('nvwrite', '-C', '0x1800063', '-P', 'index', '-i', 'in', '0x1800063')
      await bench.ours(async (tpm) => {
        const session = await tpm.startSession({ type: 'hmac' })
        const auth = { session, encryptResponse: true, last: true }
        assert.deepEqual(await tpm.nvRead(0x01800063, { authValue: text('index'), auth }), text('password'))
      })
    },
  },
  {
    name: 'nvIncrement, nvExtend ↔ nvincrement, nvextend',
    async run(bench) {
      await bench.ours(async (tpm) => {
        await tpm.nvDefine({ public: area(0x01800064, 8, 'counter') })
        await tpm.nvIncrement(0x01800064)
        await tpm.nvDefine({ public: area(0x01800065, 32, 'extend') })
        await tpm.nvExtend(0x01800065, text('ours'))
      })
      const before = await bench.ours((tpm) => tpm.nvRead(0x01800064))
      await bench.tool('nvincrement', '-C', '0x1800064', '0x1800064')
      bench.write('in', text('theirs'))
      await bench.tool('nvextend', '-C', '0x1800065', '-i', 'in', '0x1800065')
      const [count, extended] = await bench.ours(async (tpm) => [
        await tpm.nvRead(0x01800064),
        await tpm.nvRead(0x01800065),
      ])
      assert.equal(BigInt(`0x${hex(count ?? new Uint8Array())}`), BigInt(`0x${hex(before)}`) + 1n)
      const ours = digest('sha256', new Uint8Array(32), text('ours'))
      assert.deepEqual(extended, digest('sha256', ours, text('theirs')))
    },
  },
  {
    name: 'getcap ↔ getCapability',
    async run(bench) {
      const properties = await bench.ours((tpm) => tpm.properties())
      const printed = await bench.tool('getcap', 'properties-fixed')
      const firmware = /TPM2_PT_FIRMWARE_VERSION_1:\s+raw: (0x[0-9A-F]+)/i.exec(printed)?.[1]
      assert.equal(Number(firmware), properties.get(TPM_PT.firmwareVersion1))
      const identity = await bench.ours((tpm) => tpm.identity())
      assert.ok(printed.includes(`"${identity.manufacturer}"`))
    },
  },
  {
    name: 'dictionarylockout ↔ DictionaryAttackParameters',
    async run(bench) {
      await bench.tool('dictionarylockout', '-s', '-n', '32', '-t', '7200', '-l', '86400')
      const properties = await bench.ours((tpm) => tpm.properties())
      assert.equal(properties.get(TPM_PT.maxAuthFail), 32)
      assert.equal(properties.get(TPM_PT.lockoutInterval), 7200)
      const parameters = { newMaxTries: 5, newRecoveryTime: 100, lockoutRecovery: 200 }
      await bench.ours((tpm) => tpm.run('DictionaryAttackParameters', { lockHandle: 'lockout', ...parameters }))
      const printed = await bench.tool('getcap', 'properties-variable')
      assert.match(printed, /TPM2_PT_MAX_AUTH_FAIL: 0x5/)
      assert.match(printed, /TPM2_PT_LOCKOUT_RECOVERY: 0xC8/i)
    },
  },
]
