import { existsSync, readFileSync } from 'node:fs'
import type { ClientTpm } from '@vouchsafe/client/distributor'
import { nodeCrypto } from '@vouchsafe/core/node'
import { TEMPLATES, Tpm, type TpmObject } from '@vouchsafe/tpm'
import { encodeTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { openSealed } from './sealed-secret.ts'

/** Where Linux puts the log of the boot firmware. */
const KERNEL_BOOT_LOG = '/sys/kernel/security/tpm0/binary_bios_measurements'

const KEYS = {
  rsa: { ek: 'ekRsa2048', ak: 'akRsa2048' },
  ecc: { ek: 'ekEccP256', ak: 'akEccP256' },
} as const
export type ClientKeyKind = keyof typeof KEYS

/**
 * This machine's TPM as a client of the distributor shows it: the endorsement key of the TCG's template, which platforms
 * publish, and an attestation key that is made anew from its template in the same hierarchy.
 */
export class LocalTpm implements ClientTpm {
  readonly ekPublic: Uint8Array
  readonly akPublic: Uint8Array
  readonly akName: Uint8Array
  readonly ekCertificate: Uint8Array | null
  readonly #tpm: Tpm
  readonly #ek: TpmObject
  readonly #ak: TpmObject
  readonly #bootLog: string | null

  private constructor(
    tpm: Tpm,
    keys: { readonly ek: TpmObject; readonly ak: TpmObject },
    parts: { readonly ekCertificate: Uint8Array | null; readonly bootLog: string | null },
  ) {
    this.#tpm = tpm
    this.#ek = keys.ek
    this.#ak = keys.ak
    this.#bootLog = parts.bootLog
    this.ekPublic = encodeTpmPublic(keys.ek.public)
    this.akPublic = encodeTpmPublic(keys.ak.public)
    this.akName = tpmName(keys.ak.public, nodeCrypto.digest)
    this.ekCertificate = parts.ekCertificate
  }

  /** @param options.bootLog - Left out: the kernel's, where it can be read. */
  static async open(options: {
    readonly address?: string
    readonly keys?: ClientKeyKind
    readonly bootLog?: string
  }): Promise<LocalTpm> {
    const { ek: ekTemplate, ak: akTemplate } = KEYS[options.keys ?? 'rsa']
    const tpm = await Tpm.open(options.address)
    try {
      const ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[ekTemplate] })
      const ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[akTemplate] })
      const certificates = await tpm.readEkCertificates()
      const ekCertificate = certificates.find((c) => c.template === ekTemplate)?.certificate ?? null
      const bootLog = options.bootLog ?? (existsSync(KERNEL_BOOT_LOG) ? KERNEL_BOOT_LOG : null)
      return new LocalTpm(tpm, { ek, ak }, { ekCertificate, bootLog })
    } catch (error) {
      await tpm.close()
      throw error
    }
  }

  activate(challenge: { readonly credentialBlob: Uint8Array; readonly encryptedSecret: Uint8Array }) {
    return this.#tpm.activateCredential({ endorsementKey: this.#ek, object: this.#ak, challenge })
  }

  async quote(extraData: Uint8Array) {
    const { attest, signature, pcrs } = await this.#tpm.quote({ key: this.#ak, bank: 'sha256', extraData })
    const bootLog = this.#bootLog === null ? null : new Uint8Array(readFileSync(this.#bootLog))
    return { attest, signature, registers: pcrs.values, bootLog }
  }

  unseal(blob: Uint8Array, layout: 'direct' | 'indirect'): Promise<Uint8Array> {
    return openSealed(this.#tpm, this.#ek, blob, layout)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tpm.close()
  }
}
