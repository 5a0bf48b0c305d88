import { DIGEST_BYTES } from '../../codec/algorithms.ts'
import { TpmError } from '../../codec/errors.ts'
import type { HashName, VerifyCrypto } from '../../verify/crypto.ts'
import { replayExtensions } from '../replay.ts'
import type { Extension, Replay } from '../replay.ts'
import type { ImaEvent, ImaLog } from './ima-event.ts'

/**
 * Replays runtime measurements in one bank, after checking that each record's template hash is that of its data. Since
 * Linux 5.8 every bank is extended with its own hash of the data; what older kernels put into banks other than SHA-1, a
 * padded SHA-1 digest, is not accepted.
 *
 * @throws {TpmError} `evidence.log` naming the record whose data is not what was hashed, and for an empty list.
 */
export function replayIma(log: ImaLog, bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>): Replay {
  const extensions = log.map((event, i): Extension => {
    if (!event.violation) assertTemplateHash(event, i, crypto)
    return { register: event.register, digest: extendedDigest(event, bank, crypto) }
  })
  return replayExtensions('pcr', bank, extensions, (data) => crypto.digest(bank, data))
}

/** A violation extends all ones: no later measurement can undo it. */
function extendedDigest(event: ImaEvent, bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>): Uint8Array {
  return event.violation ? new Uint8Array(DIGEST_BYTES[bank]).fill(0xff) : crypto.digest(bank, event.templateData)
}

function assertTemplateHash(
  { templateData, templateHash }: ImaEvent,
  i: number,
  crypto: Pick<VerifyCrypto, 'digest'>,
): void {
  const digest = crypto.digest('sha1', templateData)
  if (digest.some((byte, at) => byte !== templateHash[at]))
    throw new TpmError('evidence.log', `IMA log: the template hash of record ${i} is not that of its data`)
}

/**
 * The digest that ties runtime measurements to the boot before them: what the first record, `boot_aggregate`, must hold.
 *
 * @param registers - PCR 0 to 9 of one bank. The SHA-1 form, over PCR 0 to 7, is of no use for trust.
 */
export function bootAggregate(
  bank: Exclude<HashName, 'sha1'>,
  registers: ReadonlyMap<number, Uint8Array>,
  crypto: Pick<VerifyCrypto, 'digest'>,
): Uint8Array {
  const values = Array.from({ length: 10 }, (_, pcr) => {
    const value = registers.get(pcr)
    if (value === undefined) throw new TpmError('evidence.pcr-selection', `boot_aggregate: PCR ${pcr} is missing`)
    return value
  })
  return crypto.digest(bank, ...values)
}
