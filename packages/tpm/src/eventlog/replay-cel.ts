import { TpmError } from '../codec/errors.ts'
import type { HashName, VerifyCrypto } from '../verify/crypto.ts'
import type { CelLog, CelRecord } from './cel-record.ts'
import { encodeCelContent } from './write-cel.ts'
import { replayExtensions } from './replay.ts'
import type { Extension, Replay } from './replay.ts'

/**
 * Replays a canonical event log in one bank, after checking that each record's digest is the digest of its content.
 *
 * @throws {TpmError} `evidence.log` naming the record whose content is not what was measured, when the log has no such
 *   bank, and when it is empty.
 */
export function replayCel(log: CelLog, bank: HashName, crypto: Pick<VerifyCrypto, 'digest'>): Replay {
  const space = log[0]?.space ?? 'pcr'
  const extensions = log.map((record, i): Extension => {
    if (record.space !== space) throw refused(i, `writes a ${record.space}, record 0 a ${space}`)
    return { register: record.register, digest: contentDigest(record, i, bank, crypto) }
  })
  return replayExtensions(space, bank, extensions, (data) => crypto.digest(bank, data))
}

/** The digest that record number `i` holds, which must be that of its content. */
export function contentDigest(
  record: CelRecord,
  i: number,
  bank: HashName,
  crypto: Pick<VerifyCrypto, 'digest'>,
): Uint8Array {
  const digest = record.digests.get(bank)
  if (digest === undefined) throw refused(i, `has no ${bank} digest, only ${[...record.digests.keys()].join(', ')}`)
  const measured = crypto.digest(bank, encodeCelContent(record.content))
  if (digest.length !== measured.length || digest.some((byte, at) => byte !== measured[at]))
    throw refused(i, `has a content that is not the one measured`)
  return digest
}

function refused(i: number, why: string): TpmError {
  return new TpmError('evidence.log', `canonical event log: record ${i} ${why}`)
}
