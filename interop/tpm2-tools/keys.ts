import assert from 'node:assert/strict'
import { constants, createHash, publicEncrypt, verify } from 'node:crypto'
import {
  decodeResponseCode,
  digest,
  encodeTpmSignature,
  objectAttributes,
  parseTpmPublic,
  TEMPLATES,
  toKeyObject,
  tpmName,
} from '@vouchsafe/tpm'
import type { ObjectAttribute, TpmPublic } from '@vouchsafe/tpm'
import { hex, text } from './workbench.ts'
import type { Pair } from './workbench.ts'

const FIXED: readonly ObjectAttribute[] = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth']
const message = text('a message for both')
const OAEP = { scheme: 'oaep', hash: 'sha256' } as const
const NONE = { algorithm: 'null' } as const

export const KEYS: readonly Pair[] = [
  {
    name: 'endorsement keys by template = createek',
    async run(bench) {
      for (const [kind, template] of [
        ['rsa', TEMPLATES.ekRsa2048],
        ['ecc', TEMPLATES.ekEccP256],
      ] as const) {
        await bench.tool('createek', '-G', kind, '-c', 'ek.ctx', '-u', 'ek.pub')
        const theirs = tpmName(bench.readSized('ek.pub'), digest)
        const ours = await bench.ours(async (tpm) => {
          await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template })
          return key.name
        })
        assert.equal(hex(ours), hex(theirs))
      }
    },
  },
  {
    name: 'EK certificate = nvread',
    async run(bench) {
      const ours = await bench.ours((tpm) => tpm.readEkCertificates())
      await bench.tool('nvread', '-C', 'o', '0x1c00002', '-o', 'cert')
      const rsa = ours.find(({ template }) => template === 'ekRsa2048')
      assert.ok(rsa !== undefined && hex(bench.read('cert')).startsWith(hex(rsa.certificate)))
    },
  },
  {
    name: 'sign → verifysignature',
    async run(bench) {
      await bench.ours(async (tpm) => {
        const template = { ...TEMPLATES.akEccP256, attributes: objectAttributes(...FIXED, 'sign') }
        await using key = await tpm.createPrimary({ hierarchy: 'owner', template })
        bench.write('m', message)
        bench.write('m.sig', encodeTpmSignature(await tpm.sign({ key, digest: digest('sha256', message) })))
        bench.writePem('k.pem', key.public)
      })
      await bench.tool('loadexternal', '-C', 'n', '-G', 'ecc', '-u', 'k.pem', '-c', 'v.ctx')
      await bench.tool('verifysignature', '-c', 'v.ctx', '-g', 'sha256', '-m', 'm', '-s', 'm.sig')
      bench.write('m', text('another'))
      await bench.toolFails('verifysignature', '-c', 'v.ctx', '-g', 'sha256', '-m', 'm', '-s', 'm.sig')
    },
  },
  {
    name: 'sign of theirs → node:crypto over our toKeyObject',
    async run(bench) {
      const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
      await bench.tool('createprimary', '-C', 'o', '-G', 'rsa:rsapss-sha256:null', '-a', attributes, '-c', 'k.ctx')
      await bench.tool('readpublic', '-c', 'k.ctx', '-o', 'k.pub')
      bench.write('m', message)
      await bench.tool('sign', '-c', 'k.ctx', '-g', 'sha256', '-s', 'rsapss', '-f', 'plain', '-o', 'm.sig', 'm')
      const key = toKeyObject(parseTpmPublic(bench.readSized('k.pub')))
      const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }
      assert.ok(verify('sha256', message, options, bench.read('m.sig')))
    },
  },
  {
    name: 'rsaencrypt → rsaDecrypt',
    async run(bench) {
      const attributes = objectAttributes(...FIXED, 'decrypt')
      const template: TpmPublic = { ...TEMPLATES.ekRsa2048, attributes, authPolicy: new Uint8Array(), symmetric: NONE }
      await bench.ours(async (tpm) => {
        await using key = await tpm.createPrimary({ hierarchy: 'owner', template })
        bench.writePem('k.pem', key.public)
      })
      bench.write('m', message)
      await bench.tool('loadexternal', '-C', 'n', '-G', 'rsa', '-u', 'k.pem', '-c', 'v.ctx')
      await bench.tool('rsaencrypt', '-c', 'v.ctx', '-s', 'oaep', '-o', 'cipher', 'm')
      await bench.ours(async (tpm) => {
        await using key = await tpm.createPrimary({ hierarchy: 'owner', template })
        assert.deepEqual(await tpm.rsaDecrypt({ key, cipherText: bench.read('cipher'), scheme: OAEP }), message)
      })
    },
  },
  {
    name: 'encrypted to our toKeyObject → rsadecrypt',
    async run(bench) {
      const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|decrypt'
      await bench.tool('createprimary', '-C', 'o', '-G', 'rsa:null:null', '-a', attributes, '-c', 'k.ctx')
      await bench.tool('readpublic', '-c', 'k.ctx', '-o', 'k.pub')
      const key = toKeyObject(parseTpmPublic(bench.readSized('k.pub')))
      bench.write('cipher', publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, message))
      await bench.tool('rsadecrypt', '-c', 'k.ctx', '-s', 'rsaes', '-o', 'out', 'cipher')
      assert.deepEqual(bench.read('out'), message)
    },
  },
  {
    name: 'ecdhkeygen → ecdhZGen',
    async run(bench) {
      const attributes = objectAttributes(...FIXED, 'decrypt')
      const template: TpmPublic = { ...TEMPLATES.ekEccP256, attributes, authPolicy: new Uint8Array(), symmetric: NONE }
      const at = 0x81000031
      await bench.ours(async (tpm) => {
        await using object = await tpm.createPrimary({ hierarchy: 'owner', template })
        await tpm.persist({ object, handle: at })
      })
      await bench.tool('ecdhkeygen', '-c', `0x${at.toString(16)}`, '-u', 'point', '-o', 'z')
      await bench.ours(async (tpm) => {
        const key = await tpm.openKey(at)
        const point = eccPoint(bench.readSized('point'))
        const shared = await tpm.ecdhZGen({ key, point })
        assert.deepEqual(shared, eccPoint(bench.readSized('z')))
        await tpm.evict({ handle: at })
      })
    },
  },
  {
    name: 'hmac = hmac, hash = hash, of one command and of many',
    async run(bench) {
      const template: TpmPublic = {
        type: 'keyedhash',
        nameAlg: 'sha256',
        attributes: objectAttributes(...FIXED, 'sign'),
        authPolicy: new Uint8Array(),
        scheme: { scheme: 'hmac', hash: 'sha256' },
        unique: new Uint8Array(),
      }
      await bench.ours(async (tpm) => {
        await using object = await tpm.createPrimary({ hierarchy: 'owner', template })
        await tpm.persist({ object, handle: 0x81000041 })
      })
      for (const length of [5, 3000]) {
        const data = new Uint8Array(length).fill(9)
        bench.write('m', data)
        await bench.tool('hmac', '-c', '0x81000041', '-o', 'mac', 'm')
        await bench.tool('hash', '-g', 'sha384', '-o', 'hash', 'm')
        await bench.ours(async (tpm) => {
          const key = await tpm.openKey(0x81000041)
          assert.deepEqual(await tpm.hmac(data, { key }), bench.read('mac'))
          assert.deepEqual((await tpm.hash(data, { hash: 'sha384' })).digest, bench.read('hash'))
        })
        assert.equal(hex(bench.read('hash')), createHash('sha384').update(data).digest('hex'))
      }
      await bench.tool('evictcontrol', '-c', '0x81000041')
    },
  },
  {
    name: 'response codes decode as rc_decode does',
    async run(bench) {
      const formatOne = [0x81, 0x82, 0x84, 0x85, 0x8b, 0x8e, 0x95, 0x98, 0x9b, 0x9d, 0x9f, 0xa0, 0xa2, 0xa4, 0xa7]
      for (const code of formatOne.map((low, at) => low | [0x1c0, 0x100, 0x900][at % 3]!)) {
        const theirs = await bench.tool('rc_decode', `0x${code.toString(16)}`)
        const { name, target } = decodeResponseCode(code)
        if (target === undefined) continue
        assert.ok(theirs.includes(`${target.kind}(${target.number})`), `${name}: ${theirs}`)
      }
    },
  },
]

function eccPoint(raw: Uint8Array) {
  const size = ((raw[0] ?? 0) << 8) | (raw[1] ?? 0)
  return { x: raw.slice(2, 2 + size), y: raw.slice(4 + size) }
}
