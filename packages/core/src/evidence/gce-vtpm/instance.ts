import { VouchsafeError } from '../../base/errors.ts'
import { type Certificate, contextTag, DerReader, TAG } from '../../x509/index.ts'

/** Which Google Compute Engine instance a vTPM belongs to. */
export interface GceInstance {
  readonly zone: string
  readonly projectNumber: bigint
  readonly projectId: string
  readonly instanceId: bigint
  readonly instanceName: string
  readonly securityVersion?: bigint
}

const GCE_INSTANCE = '1.3.6.1.4.1.11129.2.1.21'

/**
 * Reads the instance extension of an EK or AK certificate.
 *
 * @returns undefined where the certificate carries none, and where it does not say that it is for production: such a
 *   certificate speaks for no instance.
 * @throws {VouchsafeError} `endorsement.malformed`
 * @source go-tpm-tools: GCE instance information in AK and EK certificates
 */
export function readGceInstance(certificate: Certificate): GceInstance | undefined {
  const extension = certificate.extensions.get(GCE_INSTANCE)
  if (extension === undefined) return undefined
  const outer = new DerReader(`certificate ${certificate.label}: GCE instance`, extension.value)
  const r = outer.sequence('GceInstanceInfo')
  outer.end()
  const text = (field: string) => decode(r, field, r.take(field, TAG.utf8String).content)
  const zone = text('zone')
  const projectNumber = r.bigInteger('project_number')
  const projectId = text('project_id')
  const instanceId = r.bigInteger('instance_id')
  const instanceName = text('instance_name')
  const security = r.optionalInside('security_properties', contextTag(0, 'constructed'))
  r.end()
  const { isProduction, securityVersion } = security ? readSecurity(security) : {}
  if (isProduction !== true) return undefined
  const instance = { zone, projectNumber, projectId, instanceId, instanceName }
  return securityVersion === undefined ? instance : { ...instance, securityVersion }
}

function readSecurity(outer: DerReader): { isProduction?: boolean; securityVersion?: bigint } {
  const r = outer.sequence('SecurityProperties')
  outer.end()
  const version = r.optionalInside('security_version', contextTag(0, 'constructed'))
  const securityVersion = version?.bigInteger('security_version')
  version?.end()
  const production = r.optionalInside('is_production', contextTag(1, 'constructed'))
  const isProduction = production?.boolean('is_production')
  production?.end()
  while (!r.done) {
    // more flags follow in certificates of today; what they mean is not published
    const { tag } = r.any('property')
    if (tag <= contextTag(1, 'constructed') || tag >= 0xc0) throw r.malformed('property', `tag 0x${tag.toString(16)}`)
  }
  return {
    ...(isProduction !== undefined && { isProduction }),
    ...(securityVersion !== undefined && { securityVersion }),
  }
}

function decode(r: DerReader, field: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new VouchsafeError('endorsement.malformed', r.malformed(field, 'not UTF-8').message, { cause })
  }
}
