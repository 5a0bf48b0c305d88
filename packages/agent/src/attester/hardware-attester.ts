import { readFile } from 'node:fs/promises'
import { evidence, toBase64Url, transcript } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type Launch, launchEvents, launchRecord, writeCel } from '@vouchsafe/tpm/eventlog'
import { readTsmReport, type TsmInterface, type TsmReport } from '../devices/configfs-tsm.ts'
import { AgentError } from '../errors.ts'

/**
 * This machine's CPU, as far as attestation needs it. It has no register that a launch could be measured into: the agent,
 * which the CPU measured, states the launch, and each report commits to its words.
 */
export class HardwareAttester {
  readonly #tsm: TsmInterface
  readonly #bootLog: string | null

  /** @param bootLog - The file of a TD's boot log (CCEL), sent where it is there; null for none. */
  constructor(tsm: TsmInterface, bootLog: string | null = null) {
    this.#tsm = tsm
    this.#bootLog = bootLog
  }

  /** The name under which brokers will know this guest. */
  async machine(): Promise<string> {
    // of no request: a report over this tag answers nobody
    const data = new Uint8Array(64)
    data.set(transcript('vouchsafe/identity/v1', [], nodeCrypto))
    return evidence.hardwareMachineId(shownBy(await readTsmReport(this.#tsm, data)), nodeCrypto)
  }

  /** The launch in the words that reports will commit to. */
  launchLog(launch: Launch): Uint8Array {
    return writeCel(launchEvents(launch).map((event) => launchRecord(event, 'pcr', ['sha256'], nodeCrypto)))
  }

  /**
   * Evidence for one request of one broker.
   *
   * @param binding - 32 bytes of `evidenceBinding`: nothing else may ever be reported on here (A16).
   */
  async collect(binding: Uint8Array, launchLog: Uint8Array): Promise<evidence.HardwareEvidence> {
    const report = await readTsmReport(this.#tsm, evidence.hardwareReportData(binding, launchLog, nodeCrypto))
    const shown = shownBy(report)
    if (shown.format === 'snp') return { ...shown, launchLog: toBase64Url(launchLog) }
    const bootLog = await readBootLog(this.#bootLog)
    return { ...shown, ...(bootLog !== null && { bootLog }), launchLog: toBase64Url(launchLog) }
  }
}

/** Firmware that keeps no log is no reason to refuse: what a broker makes of registers without one is its own to say. */
export async function readBootLog(file: string | null): Promise<string | null> {
  if (file === null) return null
  try {
    return toBase64Url(new Uint8Array(await readFile(file)))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new AgentError('config.malformed', `boot log ${file}: ${(cause as Error).message}`, { cause })
  }
}

/** A report as brokers take it. */
export function shownBy({ provider, outblob, auxblob }: TsmReport) {
  if (provider === 'tdx_guest') return { format: 'tdx', quote: toBase64Url(outblob) } as const
  const report = { format: 'snp', report: toBase64Url(outblob) } as const
  if (auxblob.length === 0) return report
  const table = evidence.parseSnpCertificateTable(auxblob)
  const vek = table.get(evidence.SNP_TABLE_ENTRIES.vcek) ?? table.get(evidence.SNP_TABLE_ENTRIES.vlek)
  return vek === undefined ? report : { ...report, vek: toBase64Url(vek) }
}

/** Enrolment is for keys that no maker vouches for as a whole. */
export function refuseEnrolment(evidence: 'cpu' | 'azure' | 'gce'): never {
  throw new AgentError(
    'config.malformed',
    evidence === 'cpu'
      ? 'evidence is "cpu": its maker vouches for a CPU, so there is nothing to enrol; name chips in the agreement'
      : `evidence is "${evidence}": the cloud vouches for its vTPM, so there is nothing to enrol; name it under environment.platforms`,
  )
}
