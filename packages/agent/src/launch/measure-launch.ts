import { nodeCrypto } from '@vouchsafe/core/node'
import type { Tpm } from '@vouchsafe/tpm'
import { LAUNCH_REGISTER, launchEvents, launchRecord, writeCel } from '@vouchsafe/tpm/eventlog'
import type { CelRecord, Launch } from '@vouchsafe/tpm/eventlog'
import type { HashName } from '@vouchsafe/tpm/verify'
import { AgentError } from '../errors.ts'

const REGISTER = LAUNCH_REGISTER.pcr

/**
 * Measures a launch into its register, every fact once and a separator last, before anything of the workload runs
 * (decision 8). After that nothing else can be launched under an attested name until the machine is reset (H18).
 *
 * All banks of the TPM are extended: a bank left pristine could be given another launch.
 *
 * @returns The canonical event log: what a verifier replays.
 * @throws {AgentError} `launch.measured-before` when the register is not pristine; nothing was extended then.
 */
export async function measureLaunch(tpm: Tpm, launch: Launch): Promise<Uint8Array> {
  const allocated = await tpm.pcrBanks()
  const banks = allocated.filter(isComputable)
  for (const bank of banks) {
    const value = (await tpm.pcrRead(bank, [REGISTER])).values.get(REGISTER)
    if (value === undefined || value.some((byte) => byte !== 0))
      throw new AgentError(
        'launch.measured-before',
        `register ${REGISTER} (${bank}) is not zero: something was launched since the last reset. Reset the machine, then launch again`,
      )
  }
  const log: CelRecord[] = []
  for (const event of launchEvents(launch)) {
    const record = launchRecord(event, 'pcr', banks, nodeCrypto)
    await tpm.pcrExtend(
      REGISTER,
      Array.from(record.digests, ([hash, digest]) => ({ hash, digest })),
    )
    log.push(record)
  }
  return writeCel(log)
}

/** Others, such as SM3, cannot be computed here; no verifier of ours reads them either. */
function isComputable(bank: string): bank is HashName {
  return ['sha1', 'sha256', 'sha384', 'sha512'].includes(bank)
}
