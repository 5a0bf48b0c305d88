import assert from 'node:assert/strict'
import { ALL_PCRS, nodeVerifyCrypto, TEMPLATES, verifyTpmQuote } from '@vouchsafe/tpm'
import { parseTpmPublic, encodeTpmPublic } from '@vouchsafe/tpm'
import { hex } from './workbench.ts'
import type { Pair, Workbench } from './workbench.ts'

const nonce = new Uint8Array(32).fill(0xa5)
const other = new Uint8Array(32).fill(0x5a)
const ALL = Array.from({ length: 24 }, (_, pcr) => pcr).join(',')
const KINDS = {
  ecc: { template: TEMPLATES.akEccP256, create: ['-G', 'ecc', '-s', 'ecdsa'] },
  rsa: { template: TEMPLATES.akRsa2048, create: ['-G', 'rsa', '-s', 'rsassa'] },
} as const
type Kind = keyof typeof KINDS

/** Our quote, their check. */
function oursChecked(kind: Kind, bank: 'sha256' | 'sha384'): Pair {
  return {
    name: `quote (${kind}, ${bank}) → checkquote`,
    async run(bench) {
      await bench.ours(async (tpm) => {
        await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: KINDS[kind].template })
        const quote = await tpm.quote({ key, bank, extraData: nonce })
        bench.write('q.msg', quote.attest)
        bench.write('q.sig', quote.signature)
        bench.writePem('ak.pem', key.public)
      })
      const check = ['-u', 'ak.pem', '-m', 'q.msg', '-s', 'q.sig', '-g', 'sha256']
      await bench.tool('checkquote', ...check, '-q', hex(nonce))
      await bench.toolFails('checkquote', ...check, '-q', hex(other))
    },
  }
}

/** Their attestation key and quote, our check. */
function theirsVerified(kind: Kind, bank: 'sha256' | 'sha384'): Pair {
  return {
    name: `quote (${kind}, ${bank}) → verifyTpmQuote`,
    async run(bench) {
      await createAk(bench, kind)
      const quote = ['-c', 'ak.ctx', '-l', `${bank}:${ALL}`, '-m', 'q.msg', '-s', 'q.sig', '-o', 'q.pcrs']
      await bench.tool('quote', ...quote, '-q', hex(nonce), '-g', 'sha256')
      const values = await bench.ours(async (tpm) => tpm.pcrRead(bank))
      const given = {
        attest: bench.read('q.msg'),
        signature: bench.read('q.sig'),
        akPublic: bench.readSized('ak.pub'),
        pcrs: values,
        allowedBanks: [bank],
        requiredPcrs: ALL_PCRS,
      }
      await verifyTpmQuote({ ...given, expectedExtraData: nonce }, nodeVerifyCrypto)
      await assert.rejects(verifyTpmQuote({ ...given, expectedExtraData: other }, nodeVerifyCrypto), {
        code: 'evidence.stale',
      })
    },
  }
}

export async function createAk(bench: Workbench, kind: Kind): Promise<void> {
  await bench.tool('createek', '-G', 'rsa', '-c', 'ek.ctx', '-u', 'ek.pub')
  const create = [...KINDS[kind].create, '-g', 'sha256']
  await bench.tool(
    'createak',
    '-C',
    'ek.ctx',
    '-c',
    'ak.ctx',
    ...create,
    '-u',
    'ak.pub',
    '-n',
    'ak.name',
    '-r',
    'ak.prv',
  )
}

const publicAreas: Pair = {
  name: 'their TPM2B_PUBLIC ↔ ours, byte for byte',
  async run(bench) {
    for (const kind of ['ecc', 'rsa'] as const) {
      await createAk(bench, kind)
      const raw = bench.readSized('ak.pub')
      assert.deepEqual(encodeTpmPublic(parseTpmPublic(raw)), raw)
    }
  },
}

export const QUOTES: readonly Pair[] = [
  oursChecked('ecc', 'sha256'),
  oursChecked('rsa', 'sha256'),
  oursChecked('ecc', 'sha384'),
  theirsVerified('ecc', 'sha256'),
  theirsVerified('rsa', 'sha256'),
  theirsVerified('rsa', 'sha384'),
  publicAreas,
]
