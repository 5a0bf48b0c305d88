import { readFile } from 'node:fs/promises'
import { type TpmEvidence, machineId, toBase64Url, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { TEMPLATES, Tpm, TpmError, type TpmObject, encodeTpmPublic } from '@vouchsafe/tpm'
import type { CredentialChallenge, Quote, TpmKey } from '@vouchsafe/tpm'
import { IMA_REGISTER, parseImaLog, replayIma } from '@vouchsafe/tpm/eventlog'
import { AgentError } from '../errors.ts'
import { loadEndorsementKey } from './endorsement.ts'

const UNTOUCHED = '0'.repeat(64)
/** How often a quote and the kernel's list are taken anew when the kernel measured something in between. */
const MAX_ATTEMPTS = 10

/** What an operator says about the machine's TPM. */
export interface AttesterOptions {
  /** As `Tpm.open` takes it: `device`, `device:/dev/tpmrm0`, `swtpm:path=…`. */
  readonly tpm: string
  /** The boot log's file. */
  readonly bootLog: string
  /** The file of what the kernel measured since: read only where it measured anything. */
  readonly imaLog: string
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

/** What a TPM says of a boot, whoever vouches for its key. */
export type MeasuredBoot = Omit<TpmEvidence, 'format' | 'akPublic'>

/** An attestation key while it is in use. */
export type KeyInUse = TpmKey & AsyncDisposable

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
  readonly #openKey: (tpm: Tpm) => Promise<KeyInUse>
  #last: Promise<unknown> = Promise.resolve()

  /** @param openKey - The attestation key, where it is not the one that every TPM makes. */
  constructor(options: AttesterOptions, openKey: (tpm: Tpm) => Promise<KeyInUse> = makeAttestationKey) {
    this.#options = options
    this.#openKey = openKey
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
      await using key = await this.#openKey(tpm)
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
    const { akPublic, boot } = await this.measuredBoot(binding, launchLog)
    return { format: 'tpm', akPublic: toBase64Url(akPublic), ...boot }
  }

  /** The same without a name for the key: for whoever else vouches for it. */
  async measuredBoot(
    binding: Uint8Array,
    launchLog: Uint8Array,
  ): Promise<{ readonly akPublic: Uint8Array; readonly boot: MeasuredBoot }> {
    const { quote, registers, imaLog } = await this.#quoteWithImaLog(binding)
    const boot = {
      quote: { attest: toBase64Url(quote.attest), signature: toBase64Url(quote.signature) },
      registers,
      bootLog: toBase64Url(await readLog('boot log', this.#options.bootLog)),
      launchLog: toBase64Url(launchLog),
      ...(imaLog === null ? {} : { imaLog: toBase64Url(imaLog) }),
    }
    return { akPublic: quote.akPublic, boot }
  }

  /**
   * The kernel goes on measuring between a quote and a reading of its list, so both are taken again until they agree. A
   * list that never does is sent as it is: what to make of it is the broker's to say.
   */
  async #quoteWithImaLog(binding: Uint8Array) {
    for (let attempt = 1; ; attempt++) {
      const quoted = await this.quote(binding)
      const register = quoted.registers[String(IMA_REGISTER)]
      if (register === UNTOUCHED) return { ...quoted, imaLog: null }
      const imaLog = await readLog('IMA log', this.#options.imaLog)
      if (attempt === MAX_ATTEMPTS || imaRegister(imaLog) === register) return { ...quoted, imaLog }
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
}

/** What a list makes of its register; null for one that cannot be replayed. */
function imaRegister(imaLog: Uint8Array): string | null {
  try {
    const value = replayIma(parseImaLog(imaLog), 'sha256', nodeCrypto).registers.get(IMA_REGISTER)
    return value === undefined ? null : toHex(value)
  } catch (error) {
    if (error instanceof TpmError) return null
    throw error
  }
}

async function readLog(what: string, file: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(file))
  } catch (cause) {
    throw new AgentError('config.malformed', `${what} ${file}: ${(cause as Error).message}`, { cause })
  }
}

function makeAttestationKey(tpm: Tpm): Promise<TpmObject> {
  return tpm.createPrimary({ template: TEMPLATES.akEccP256, hierarchy: 'endorsement' })
}
