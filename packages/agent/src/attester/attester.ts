import { readFile } from 'node:fs/promises'
import { type TpmEvidence, machineId, toBase64Url, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { TEMPLATES, Tpm, encodeTpmPublic } from '@vouchsafe/tpm'
import type { CredentialChallenge, Quote } from '@vouchsafe/tpm'
import { AgentError } from '../errors.ts'
import { loadEndorsementKey } from './endorsement.ts'

/** What an operator says about the machine's TPM. */
export interface AttesterOptions {
  /** As `Tpm.open` takes it: `device`, `device:/dev/tpmrm0`, `swtpm:path=…`. */
  readonly tpm: string
  /** The boot log's file. */
  readonly bootLog: string
}

/** What a broker has to know of this machine to enrol it. */
export interface Identity {
  /** The id under which brokers know it: derived from both keys. */
  readonly machine: string
  /** DER. */
  readonly ekCertificate: Uint8Array
  /** TPMT_PUBLIC, both. */
  readonly ekPublic: Uint8Array
  readonly akPublic: Uint8Array
  readonly akName: Uint8Array
}

/** Register values as they go over the wire: by number, lower-case hexadecimal. */
export type Registers = Readonly<Record<string, string>>

/**
 * This machine's TPM, as far as attestation needs it. The attestation key is a primary key in the endorsement hierarchy,
 * made anew from a fixed template for each use: the same key every time, and nothing to store (decision 8).
 *
 * The TPM is opened for each operation and closed after it, and operations run one after the other: a software TPM serves
 * one connection at a time, and two leases may fall due together.
 */
export class Attester {
  readonly #options: AttesterOptions
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: AttesterOptions) {
    this.#options = options
  }

  /** @throws {AgentError} `tpm.no-endorsement` */
  identity(): Promise<Identity> {
    return this.withTpm(async (tpm) => {
      const { endorsement, key, ekPublic } = await loadEndorsementKey(tpm)
      await key.flush()
      await using ak = await makeAttestationKey(tpm)
      return {
        machine: machineId(endorsement.spki, ak.name, nodeCrypto),
        ekCertificate: endorsement.certificate,
        ekPublic,
        akPublic: encodeTpmPublic(ak.public),
        akName: ak.name,
      }
    })
  }

  /** Answers an enrolment's challenge: proves that endorsement and attestation key are in this one TPM. */
  activate(challenge: CredentialChallenge): Promise<Uint8Array> {
    return this.withTpm(async (tpm) => {
      const { key } = await loadEndorsementKey(tpm)
      await using endorsementKey = key
      await using object = await makeAttestationKey(tpm)
      // awaited here: a promise that is returned would be waited for only after the keys are flushed
      return await tpm.activateCredential({ endorsementKey, object, challenge })
    })
  }

  /** A quote over all registers of the SHA-256 bank that commits to `extraData`. */
  quote(extraData: Uint8Array): Promise<{ quote: Quote<'sha256'>; registers: Registers }> {
    return this.withTpm(async (tpm) => {
      await using key = await makeAttestationKey(tpm)
      const quote = await tpm.quote({ key, extraData, bank: 'sha256' })
      const registers = Array.from(quote.pcrs.values, ([n, value]) => [String(n), toHex(value)] as const)
      return { quote, registers: Object.fromEntries(registers) }
    })
  }

  /**
   * Evidence for one request of one broker.
   *
   * @param binding - 32 bytes of `evidenceBinding`: nothing else may ever be quoted here, so that no process in the guest
   *   can obtain evidence in the agent's name (A16).
   * @param launchLog - The canonical event log of the launch.
   */
  async collect(binding: Uint8Array, launchLog: Uint8Array): Promise<TpmEvidence> {
    const { quote, registers } = await this.quote(binding)
    return {
      format: 'tpm',
      akPublic: toBase64Url(quote.akPublic),
      quote: { attest: toBase64Url(quote.attest), signature: toBase64Url(quote.signature) },
      registers,
      bootLog: toBase64Url(await this.#readBootLog()),
      launchLog: toBase64Url(launchLog),
    }
  }

  /** Opens the TPM for `use` alone, and closes it. */
  withTpm<T>(use: (tpm: Tpm) => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      await using tpm = await Tpm.open(this.#options.tpm)
      return await use(tpm)
    })
    this.#last = result.catch(() => undefined)
    return result
  }

  async #readBootLog(): Promise<Uint8Array> {
    try {
      return new Uint8Array(await readFile(this.#options.bootLog))
    } catch (cause) {
      throw new AgentError('config.malformed', `boot log ${this.#options.bootLog}: ${(cause as Error).message}`, {
        cause,
      })
    }
  }
}

function makeAttestationKey(tpm: Tpm) {
  return tpm.createPrimary({ template: TEMPLATES.akEccP256, hierarchy: 'endorsement' })
}
