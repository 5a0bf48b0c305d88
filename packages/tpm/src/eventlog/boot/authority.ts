import { readGuid, VENDOR } from '../efi/guid.ts'
import { parseEfiVariableWithExcess } from '../efi/variable.ts'
import type { EfiVariable } from '../efi/variable.ts'
import { ByteReader } from '../../codec/byte-reader.ts'
import type { TcgEvent } from '../tcg-log.ts'
import type { EventMeaning } from './event-meaning.ts'
import { measures, measuresData } from './measured-part.ts'
import type { ProofContext } from './measured-part.ts'

/** Recorded among authorities by shim, but no signatures. */
const SETTINGS = ['SbatLevel', 'MokListTrusted']

/**
 * Reads the entry of a signature database that an image was checked with: EFI_SIGNATURE_DATA, an owner and a
 * certificate.
 *
 * Shim before version 15 recorded the bare certificate, a few bytes too many, and a digest that lacks the last of them.
 * That is accepted in exactly this form.
 */
export function readAuthority(event: TcgEvent, context: ProofContext): EventMeaning {
  const { variable, excess } = parseEfiVariableWithExcess(event.data)
  const whole = measuresData(event, context)
  const old = excess > 0 && measures(event, event.data.subarray(0, -1), context)
  if (!whole && !old) return contradiction('the digest is not that of the data')
  if (variable.vendor === VENDOR.shim && SETTINGS.includes(variable.name)) {
    if (excess > 0) return contradiction(`${excess} bytes left over`)
    return { kind: 'authority-setting', variable }
  }
  return readCertificate(variable, excess)
}

function readCertificate({ vendor, name, data }: EfiVariable, excess: number): EventMeaning {
  if (isDer(data)) return { kind: 'authority', authority: { vendor, name, certificate: data } }
  if (excess > 0) return contradiction(`${excess} bytes left over`)
  const r = new ByteReader('EFI_SIGNATURE_DATA', data, 'little')
  const owner = readGuid(r, 'owner')
  const certificate = r.rest()
  if (!isDer(certificate)) return contradiction(`${name} holds neither a certificate nor an owner and a certificate`)
  return { kind: 'authority', authority: { vendor, name, certificate, owner } }
}

/** One DER SEQUENCE that fills `bytes` exactly. */
function isDer(bytes: Uint8Array): boolean {
  const [tag, form, high, low] = bytes
  return tag === 0x30 && form === 0x82 && 4 + (high ?? 0) * 256 + (low ?? 0) === bytes.length
}

function contradiction(why: string): EventMeaning {
  return { kind: 'contradiction', reason: `EV_EFI_VARIABLE_AUTHORITY: ${why}` }
}
