import { TpmError } from '../codec/errors.ts'
import { EV } from './event-types.ts'
import { STARTUP_LOCALITY, startsWith } from './tcg-log.ts'
import type { TcgEvent, TcgLog } from './tcg-log.ts'

/** The locality that TPM2_Startup came from. It is the last byte of what PCR 0 starts with. */
export type StartupLocality = 0 | 3 | 4

/**
 * Where the log says that TPM2_Startup came from: 0 unless it says otherwise.
 *
 * @throws {TpmError} `evidence.log` when the statement is not exactly one, has another value than 0, 3 or 4, stands in
 *   another register, or comes after PCR 0 was extended.
 * @source TCG PC Client Platform Firmware Profile 1.06: Startup Locality Event
 */
export function startupLocality(log: TcgLog): StartupLocality {
  let found: StartupLocality | undefined
  let extended = false
  for (const event of log.events) {
    if (event.type !== EV.NO_ACTION) {
      if (event.register === 0) extended = true
      continue
    }
    if (!startsWith(event.data, STARTUP_LOCALITY)) continue
    if (log.space !== 'pcr' || event.register !== 0) throw refused(event, 'does not stand in PCR 0')
    if (found !== undefined) throw refused(event, 'is repeated')
    if (extended) throw refused(event, 'comes after PCR 0 was extended')
    found = localityOf(event)
  }
  return found ?? 0
}

/** The event that states it. Its digests are zero: it extends nothing. */
export function startupLocalityData(locality: StartupLocality): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(...STARTUP_LOCALITY, locality)
}

function localityOf(event: TcgEvent): StartupLocality {
  const value = event.data[STARTUP_LOCALITY.length]
  if (event.data.length !== STARTUP_LOCALITY.length + 1)
    throw refused(event, `has ${event.data.length} bytes, wanted ${STARTUP_LOCALITY.length + 1}`)
  if (value !== 0 && value !== 3 && value !== 4) throw refused(event, `is ${value}, wanted 0, 3 or 4`)
  return value
}

function refused(event: TcgEvent, why: string): TpmError {
  return new TpmError('evidence.log', `event ${event.position}: the startup locality ${why}`)
}
