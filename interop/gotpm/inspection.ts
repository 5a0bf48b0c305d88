import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { TEMPLATES, toKeyObject } from '@vouchsafe/tpm'
import { hex, text } from '../tpm2-tools/workbench.ts'
import type { Pair } from '../tpm2-tools/workbench.ts'
import type { GoPrograms } from './go-programs.ts'

const KEYS = {
  endorsement: { rsa: TEMPLATES.ekRsa2048, ecc: TEMPLATES.ekEccP256 },
  owner: { rsa: TEMPLATES.srkRsa2048, ecc: TEMPLATES.srkEccP256 },
} as const

/** What `gotpm` only reads. */
export const inspection = (go: GoPrograms): readonly Pair[] => [
  {
    name: 'gotpm read pcr = pcrRead, in every bank',
    async run(bench) {
      await bench.ours((tpm) => tpm.pcrEvent(9, text('event')))
      for (const bank of ['sha1', 'sha256', 'sha384', 'sha512'] as const) {
        const printed = Buffer.from(go.gotpm(bench, ['read', 'pcr', '--hash-algo', bank])).toString()
        const { values } = await bench.ours((tpm) => tpm.pcrRead(bank))
        for (const [pcr, value] of values)
          assert.match(printed, new RegExp(`^ *${pcr}: 0x${hex(value).toUpperCase()}$`, 'm'))
      }
    },
  },
  ...(['endorsement', 'owner'] as const).flatMap((hierarchy) =>
    (['rsa', 'ecc'] as const).map((kind) => ({
      name: `gotpm pubkey ${hierarchy} (${kind}) = the key of our template`,
      async run(bench: Parameters<Pair['run']>[0]) {
        const pem = Buffer.from(go.gotpm(bench, ['pubkey', hierarchy, '--algo', kind]))
        const area = await bench.ours(async (tpm) => {
          await using key = await tpm.createPrimary({ hierarchy, template: KEYS[hierarchy][kind] })
          return key.public
        })
        assert.ok(createPublicKey(pem).equals(toKeyObject(area)))
      },
    })),
  ),
  {
    name: 'gotpm flush transient: nothing of ours was left to flush',
    async run(bench) {
      await bench.ours(async (tpm) => {
        await using key = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
        const sealed = await tpm.seal({ parent: key, data: text('x') })
        await tpm.unseal({ parent: key, sealed })
      })
      assert.match(Buffer.from(go.gotpm(bench, ['flush', 'all'])).toString(), /^0 handles flushed/m)
    },
  },
]
