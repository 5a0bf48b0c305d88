import { TEMPLATES, toKeyObject } from '@vouchsafe/tpm'
import type { Tpm } from '@vouchsafe/tpm'
import { nvAttributes } from '@vouchsafe/tpm/codec'
import type { SimulatorManufacturer } from './manufacturer.ts'

/**
 * The endorsement keys that a manufacturer certifies, and where it leaves each certificate.
 *
 * @source TCG EK Credential Profile for TPM Family 2.0, version 2.5, section 2.2.1.4
 */
const ENDORSEMENT_KEYS = [
  { template: TEMPLATES.ekRsa2048, nvIndex: 0x01c00002 },
  { template: TEMPLATES.ekEccP256, nvIndex: 0x01c0000a },
] as const

/** Does what a manufacturer does before a TPM leaves the factory: certifies its endorsement keys and stores that. */
export async function endorse(tpm: Tpm, manufacturer: SimulatorManufacturer): Promise<void> {
  for (const { template, nvIndex } of ENDORSEMENT_KEYS) {
    await using key = await tpm.createPrimary({ template, hierarchy: 'endorsement' })
    const certificate = manufacturer.endorse(toKeyObject(key.public))
    await tpm.nvDefine({
      hierarchy: 'platform',
      public: {
        nvIndex,
        nameAlg: 'sha256',
        attributes: nvAttributes(['platformCreate', 'ppWrite', 'ppRead', 'ownerRead', 'authRead', 'noDA']),
        authPolicy: new Uint8Array(),
        dataSize: certificate.length,
      },
    })
    await tpm.nvWrite(nvIndex, certificate, { authority: 'platform' })
  }
}
