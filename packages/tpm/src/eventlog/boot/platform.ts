import { eventTypeName } from '../event-types.ts'
import type { TcgLog } from '../tcg-log.ts'
import { GCE_TECHNOLOGIES, logRefused } from './event-meaning.ts'
import type { GceTechnology } from './event-meaning.ts'
import { hasDigest } from './measured-part.ts'
import type { ProofContext } from './measured-part.ts'
import { Once, readRegisters } from './register-events.ts'

export interface PlatformFacts {
  /** S-CRTM version: text, or bytes where the vendor uses some other form, often a GUID. */
  readonly firmwareVersion: string | Uint8Array
  /** Version of Google's virtual firmware. */
  readonly gceVersion?: number
  /** Only Google's firmware measures it; absent says nothing. */
  readonly gceTechnology?: GceTechnology
}

const GCE_VERSION = /^GCE Virtual Firmware v([0-9]{1,9})$/

/**
 * What PCR 0 proves of the firmware, up to its separator: what comes later is the operating system's.
 *
 * @throws {TpmError} `evidence.log` unless there is exactly one version, at most one technology and one separator. So also
 *   for a guest without TPM, whose log has no PCR 0.
 */
export function readPlatform(log: TcgLog, context: ProofContext): PlatformFacts {
  const once = new Once()
  let firmwareVersion: string | Uint8Array | undefined
  let gceTechnology: GceTechnology | undefined
  let technologies: readonly Uint8Array[] | undefined
  for (const { event, meaning } of readRegisters(log, log.space === 'pcr' ? [0] : [], context)) {
    if (meaning.kind === 'separator') {
      if (meaning.error) throw logRefused(event.position, 'firmware reports an error in its separator')
      once.see('separator', event)
      break
    }
    switch (meaning.kind) {
      case 'firmware-version':
        once.see('firmware version', event)
        firmwareVersion = meaning.version
        break
      case 'gce-technology':
        once.see('GCE technology', event)
        gceTechnology = meaning.technology
        break
      case 'action':
      case 'data':
      case 'digest-only':
        // known by what was measured, so that relabelling cannot hide it
        technologies ??= GCE_TECHNOLOGIES.map((_, i) => context.digest(gceNonHostInfo(i)))
        if (technologies.some((digest) => hasDigest(event, digest, context)))
          throw logRefused(event.position, `measured as GCE NonHostInfo, but called ${eventTypeName(event.type)}`)
        break
      default:
        throw logRefused(event.position, `${eventTypeName(event.type)} is unexpected in PCR 0`)
    }
  }
  if (firmwareVersion === undefined) throw logRefused(undefined, 'PCR 0: there is no firmware version')
  once.require('separator')
  const version = typeof firmwareVersion === 'string' ? GCE_VERSION.exec(firmwareVersion)?.[1] : undefined
  return {
    firmwareVersion,
    ...(version !== undefined && { gceVersion: Number(version) }),
    ...(gceTechnology !== undefined && { gceTechnology }),
  }
}

/** What Google's firmware measures of the technology that keeps the host out: 32 bytes. */
export function gceNonHostInfo(technology: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(32)
  data.set(Uint8Array.from('GCE NonHostInfo\0', (c) => c.charCodeAt(0)))
  data[16] = technology
  return data
}
