import { setTimeout as sleep } from 'node:timers/promises'
import { evidence, toBase64Url, transcript } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type Tpm, TpmError, firstDer, spkiOfTpmPublic } from '@vouchsafe/tpm'
import { nvAttributes, parseTpmPublic } from '@vouchsafe/tpm/codec'
import { readTsmReport, type TsmInterface } from '../devices/configfs-tsm.ts'
import { tdQuoteOf } from '../devices/td-quote-service.ts'
import { AgentError } from '../errors.ts'
import { Attester, type AttesterOptions, type KeyInUse } from './attester.ts'
import { readIndex } from './endorsement.ts'
import { readBootLog, shownBy } from './hardware-attester.ts'

export interface PlatformOptions extends AttesterOptions {
  /** A TD's boot log, sent where it is there. */
  readonly ccel: string
  readonly tdQuoteService: string
}

/** Which cloud, and its CPU's reports. */
export interface Platform {
  readonly cloud: 'azure' | 'gce'
  readonly tsm: TsmInterface
  /** Between two looks at what the paravisor has made. Left out, the time passes. */
  readonly pause?: (ms: number) => Promise<unknown>
}

/** How often the paravisor is looked at for a new report, and how long apart. */
const ATTEMPTS = 20
const PAUSE_MS = 250

const { AZURE_VTPM, GCE_VTPM } = evidence

/**
 * The vTPM of this machine's cloud, and the CPU beside it. The cloud made the attestation key and left what vouches for it in
 * the vTPM: on Azure the paravisor's report, on Google's machines a certificate.
 */
export class PlatformAttester {
  readonly #options: PlatformOptions
  readonly #platform: Platform
  readonly #vtpm: Attester
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: PlatformOptions, platform: Platform) {
    this.#options = options
    this.#platform = platform
    this.#vtpm = new Attester(options, platform.cloud === 'azure' ? openAzureKey : openGceKey)
  }

  /** Opens the vTPM for `use` alone, and closes it. */
  withTpm<T>(use: (tpm: Tpm) => Promise<T>): Promise<T> {
    return this.#vtpm.withTpm(use)
  }

  /** The name under which brokers will know this guest until the machine is reset. */
  async machine(): Promise<string> {
    // of no request: a quote over this tag answers nobody
    const tag = transcript('vouchsafe/identity/v1', [], nodeCrypto)
    const shown =
      this.#platform.cloud === 'azure'
        ? await this.#shownOnAzure(await this.#report(), tag, new Uint8Array())
        : await this.#onGce(tag, new Uint8Array())
    return evidence.platformMachineId(shown, nodeCrypto)
  }

  /**
   * Evidence for one request of one broker.
   *
   * @param binding - 32 bytes of `evidenceBinding`: nothing else may ever be quoted or reported on here (A16).
   * @param launchLog - The canonical event log of the launch.
   * @throws {AgentError} `platform.missing`, `platform.no-quote`, `tsm.*`
   */
  async collect(binding: Uint8Array, launchLog: Uint8Array): Promise<evidence.PlatformEvidence> {
    // one after the other: the paravisor makes one report at a time, over what was written last
    const result = this.#last.then(async () =>
      this.#platform.cloud === 'azure'
        ? this.#shownOnAzure(await this.#reportOver(binding), binding, launchLog)
        : this.#onGce(binding, launchLog),
    )
    this.#last = result.catch(() => undefined)
    return result
  }

  #report(): Promise<Uint8Array> {
    return this.withTpm((tpm) => found(tpm, AZURE_VTPM.report, 'report of Azure’s paravisor'))
  }

  /**
   * A report that the paravisor made for this request. One that makes none in time, or cannot, is sent as it stands: what to
   * make of it is the broker's to say.
   */
  async #reportOver(binding: Uint8Array): Promise<Uint8Array> {
    const userData = evidence.azureUserData(binding)
    const { pause = sleep } = this.#platform
    let report = await this.#report()
    if (userDataIn(report) === undefined) return report
    await this.withTpm((tpm) => writeUserData(tpm, userData))
    for (let attempt = 1; ; attempt++) {
      report = await this.#report()
      const made = userDataIn(report)
      if (attempt === ATTEMPTS || (made !== undefined && nodeCrypto.equal(made, userData))) return report
      await pause(PAUSE_MS)
    }
  }

  async #shownOnAzure(
    report: Uint8Array,
    binding: Uint8Array,
    launchLog: Uint8Array,
  ): Promise<evidence.AzureVtpmEvidence> {
    const { kind, hardwareReport } = evidence.parseHclReport(report)
    const { boot } = await this.#vtpm.measuredBoot(binding, launchLog)
    return {
      format: 'azure-vtpm',
      ...boot,
      hclReport: toBase64Url(report),
      endorsement:
        kind === 'snp'
          ? { format: 'snp' }
          : { format: 'tdx', quote: toBase64Url(await tdQuoteOf(hardwareReport, this.#options.tdQuoteService)) },
    }
  }

  async #onGce(binding: Uint8Array, launchLog: Uint8Array): Promise<evidence.GceVtpmEvidence> {
    const { akPublic, boot } = await this.#vtpm.measuredBoot(binding, launchLog)
    const akSpki = spkiOfTpmPublic(parseTpmPublic(akPublic))
    const certificate = await this.withTpm(async (tpm) => found(tpm, (await placeOf(tpm)).certificate, 'certificate'))
    const cpu = await this.#cpuOver(evidence.gceReportData(binding, akSpki, nodeCrypto))
    return {
      format: 'gce-vtpm',
      ...boot,
      akCertificate: toBase64Url(firstDer(certificate)),
      intermediates: [],
      ...(cpu !== null && { cpu }),
    }
  }

  /** Machines that are no confidential VMs have no such report, and what a broker makes of that is its own to say. */
  async #cpuOver(reportData: Uint8Array): Promise<NonNullable<evidence.GceVtpmEvidence['cpu']> | null> {
    try {
      const shown = shownBy(await readTsmReport(this.#platform.tsm, reportData))
      if (shown.format === 'snp') return shown
      const bootLog = await readBootLog(this.#options.ccel)
      return { ...shown, ...(bootLog !== null && { bootLog }) }
    } catch (error) {
      if (error instanceof AgentError && error.code === 'tsm.unavailable') return null
      throw error
    }
  }
}

function userDataIn(report: Uint8Array): Uint8Array | undefined {
  return evidence.parseRuntimeData(evidence.parseHclReport(report).runtimeData).userData
}

async function writeUserData(tpm: Tpm, userData: Uint8Array): Promise<void> {
  try {
    await tpm.openNv(AZURE_VTPM.userData)
  } catch (error) {
    if (!(error instanceof TpmError && error.code === 'tpm.response')) throw error
    const attributes = nvAttributes(['ownerRead', 'ownerWrite', 'authRead', 'authWrite'], 'ordinary')
    const area = { nvIndex: AZURE_VTPM.userData, nameAlg: 'sha256', attributes, authPolicy: new Uint8Array() } as const
    await tpm.nvDefine({ public: { ...area, dataSize: userData.length } })
  }
  await tpm.nvWrite(AZURE_VTPM.userData, userData)
}

/** Azure keeps its key in the vTPM; there is nothing to flush. */
async function openAzureKey(tpm: Tpm): Promise<KeyInUse> {
  try {
    return Object.assign(await tpm.openKey(AZURE_VTPM.key), { [Symbol.asyncDispose]: async () => undefined })
  } catch (error) {
    throw error instanceof TpmError && error.code === 'tpm.response'
      ? missing(tpm, 'attestation key of Azure’s')
      : error
  }
}

/** Google's keys are made from templates that it leaves beside their certificates. */
async function openGceKey(tpm: Tpm): Promise<KeyInUse> {
  const { template } = await placeOf(tpm)
  return tpm.createPrimary({
    template: parseTpmPublic(await found(tpm, template, 'template of Google’s attestation key')),
    hierarchy: 'endorsement',
  })
}

/** Curves first: making an RSA key can take a TPM many seconds. */
async function placeOf(tpm: Tpm): Promise<{ readonly template: number; readonly certificate: number }> {
  for (const place of [GCE_VTPM.ecc, GCE_VTPM.rsa])
    if ((await readIndex(tpm, place.template)) !== null && (await readIndex(tpm, place.certificate)) !== null)
      return place
  throw missing(tpm, 'attestation key that Google certifies')
}

async function found(tpm: Tpm, nvIndex: number, what: string): Promise<Uint8Array> {
  const content = await readIndex(tpm, nvIndex)
  if (content === null) throw missing(tpm, what)
  return content
}

function missing(tpm: Tpm, what: string): AgentError {
  return new AgentError('platform.missing', `${tpm.address} holds no ${what}: is this machine of that cloud?`)
}
