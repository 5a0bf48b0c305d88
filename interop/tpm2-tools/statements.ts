import assert from 'node:assert/strict'
import {
  digest,
  encodeTpmNvPublic,
  nodeVerifyCrypto,
  nvAttributes,
  parseTpmAttest,
  parseTpmCreation,
  parseTpmPublic,
  TEMPLATES,
  tpmName,
  verifyNvCertify,
  verifyTpmCertify,
} from '@vouchsafe/tpm'
import type { SignedAttest } from '@vouchsafe/tpm'
import { createAk } from './quotes.ts'
import { hex, text } from './workbench.ts'
import type { Pair, Workbench } from './workbench.ts'

const nonce = new Uint8Array(32).fill(0x3c)

/** Their check that the key made by the template signed the statement. */
async function checkedByThem(bench: Workbench, signed: SignedAttest): Promise<void> {
  bench.write('m', signed.attest)
  bench.write('m.sig', signed.signature)
  bench.writePem('ak.pem', parseTpmPublic(signed.akPublic))
  await bench.tool('loadexternal', '-C', 'n', '-G', 'ecc', '-u', 'ak.pem', '-c', 'v.ctx')
  await bench.tool('verifysignature', '-c', 'v.ctx', '-g', 'sha256', '-m', 'm', '-s', 'm.sig')
  bench.write('m', signed.attest.with(60, (signed.attest[60] ?? 0) ^ 1))
  await bench.toolFails('verifysignature', '-c', 'v.ctx', '-g', 'sha256', '-m', 'm', '-s', 'm.sig')
}

const INDEX = 0x01800055

export const STATEMENTS: readonly Pair[] = [
  {
    name: 'certify → verifysignature',
    run: (bench) =>
      bench
        .ours(async (tpm) => {
          await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
          await using object = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
          return await tpm.certify({ key, object, extraData: nonce })
        })
        .then((signed) => checkedByThem(bench, signed)),
  },
  {
    name: 'certify of theirs → verifyTpmCertify',
    async run(bench) {
      await createAk(bench, 'ecc')
      await bench.tool('createprimary', '-C', 'o', '-G', 'ecc', '-c', 'p.ctx')
      const create = ['-G', 'ecc:ecdsa-sha256', '-a', 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign']
      await bench.tool('create', '-C', 'p.ctx', ...create, '-u', 'k.pub', '-r', 'k.prv', '-c', 'k.ctx')
      await bench.tool('certify', '-c', 'k.ctx', '-C', 'ak.ctx', '-g', 'sha256', '-o', 'm', '-s', 'm.sig')
      const { name } = parseTpmAttest(bench.read('m')) as { name?: Uint8Array }
      assert.equal(hex(name ?? new Uint8Array()), hex(tpmName(bench.readSized('k.pub'), digest)))
      const statement = { attest: bench.read('m'), signature: bench.read('m.sig'), akPublic: bench.readSized('ak.pub') }
      const key = { certifiedPublic: bench.readSized('k.pub'), usage: 'sign', authPolicy: 'any' } as const
      // the tool fills in bytes of its own when it is given none
      const { extraData: expectedExtraData } = parseTpmAttest(statement.attest)
      const dangerouslyAllowEmptyExtraData = expectedExtraData.length === 0
      const wanted = { expectedExtraData, dangerouslyAllowEmptyExtraData }
      await verifyTpmCertify({ ...statement, ...key, ...wanted }, nodeVerifyCrypto)
    },
  },
  {
    name: 'certifyCreation → verifysignature',
    run: (bench) =>
      bench
        .ours(async (tpm) => {
          await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
          await using object = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
          if (object.creation === undefined) throw new Error('no creation record')
          return await tpm.certifyCreation({ key, object, creation: object.creation, extraData: nonce })
        })
        .then((signed) => checkedByThem(bench, signed)),
  },
  {
    name: 'certifycreation of theirs → parseTpmCreation',
    async run(bench) {
      await createAk(bench, 'ecc')
      const files = ['--creation-data', 'c.data', '-d', 'c.hash', '-t', 'c.ticket']
      await bench.tool('createprimary', '-C', 'o', '-G', 'ecc', '-c', 'p.ctx', ...files)
      const certify = ['-C', 'ak.ctx', '-c', 'p.ctx', '-d', 'c.hash', '-t', 'c.ticket', '-g', 'sha256']
      await bench.tool('certifycreation', ...certify, '--attestation', 'm', '-o', 'm.sig')
      assert.deepEqual(parseTpmCreation(bench.read('m')).creationHash, bench.read('c.hash').slice(-32))
    },
  },
  {
    name: 'attestTime → verifysignature',
    run: (bench) =>
      bench
        .ours(async (tpm) => {
          await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
          return await tpm.attestTime({ key, extraData: nonce })
        })
        .then((signed) => checkedByThem(bench, signed)),
  },
  {
    name: 'gettime of theirs → parseTpmAttest',
    async run(bench) {
      await createAk(bench, 'ecc')
      await bench.tool('gettime', '-c', 'ak.ctx', '-q', hex(nonce), '-g', 'sha256', '--attestation', 'm', '-o', 'm.sig')
      const attest = parseTpmAttest(bench.read('m'))
      assert.equal(attest.kind, 'time')
      assert.deepEqual(attest.extraData, nonce)
    },
  },
  {
    name: 'certifyNv → verifysignature',
    run: (bench) =>
      bench
        .ours(async (tpm) => {
          await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
          const attributes = nvAttributes(['authRead', 'authWrite', 'ownerRead', 'ownerWrite'])
          const area = {
            nvIndex: INDEX,
            nameAlg: 'sha256',
            attributes,
            authPolicy: new Uint8Array(),
            dataSize: 8,
          } as const
          await tpm.nvDefine({ public: area })
          await tpm.nvWrite(INDEX, text('contents'))
          return await tpm.certifyNv({ key, index: await tpm.openNv(INDEX), size: 8, extraData: nonce })
        })
        .then((signed) => checkedByThem(bench, signed)),
  },
  {
    name: 'nvcertify of theirs → verifyNvCertify',
    async run(bench) {
      await createAk(bench, 'ecc')
      const certify = ['-C', 'ak.ctx', '-g', 'sha256', '-f', 'tss', '--size', '8', '-q', hex(nonce)]
      await bench.tool('nvcertify', ...certify, '--attestation', 'm', '-o', 'm.sig', `0x${INDEX.toString(16)}`)
      const index = await bench.ours((tpm) => tpm.openNv(INDEX))
      const statement = { attest: bench.read('m'), signature: bench.read('m.sig'), akPublic: bench.readSized('ak.pub') }
      const wanted = { expectedExtraData: nonce, nvIndex: INDEX, nvPublic: encodeTpmNvPublic(index.public) }
      const verified = await verifyNvCertify({ ...statement, ...wanted }, nodeVerifyCrypto)
      assert.deepEqual(verified.contents, text('contents'))
    },
  },
]
