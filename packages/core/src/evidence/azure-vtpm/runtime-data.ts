import { z } from 'zod'
import { fromBase64Url, fromHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { parseSchema } from '../../base/schema.ts'
import { parseStrictJson } from '../../base/strict-json.ts'
import { spkiOfRsa } from './spki-of-rsa.ts'

/** What the paravisor says of its TPM and VM. Authentic once a hardware report commits to its hash. */
export interface HclRuntimeData {
  /** DER SubjectPublicKeyInfo of the TPM's attestation key, `HCLAkPub`. */
  readonly akSpki: Uint8Array
  /** Of its endorsement key, `HCLEkPub`; older paravisors leave it out. */
  readonly ekSpki?: Uint8Array
  readonly vm: {
    /** `vmUniqueId`, as written. */
    readonly uniqueId?: string
    /** `secure-boot` and the like. Absent where the paravisor does not say. */
    readonly secureBoot?: boolean
    readonly consoleEnabled?: boolean
    readonly tpmEnabled?: boolean
    readonly tpmPersisted?: boolean
    readonly rootCertThumbprint?: string
  }
  /** `user-data`, 64 bytes that the guest wrote to NV index 0x01400002; absent in old paravisors. */
  readonly userData?: Uint8Array
}

const base64Url = z.string().regex(/^[A-Za-z0-9_-]{1,1400}$/)
/** Microsoft adds members now and then, and the hash covers them all: unknown ones are let be. */
const schema = z.object({
  keys: z
    .array(
      z.object({ kid: z.string().max(64), kty: z.string().max(8), n: base64Url.optional(), e: base64Url.optional() }),
    )
    .min(1)
    .max(8),
  'vm-configuration': z.object({
    vmUniqueId: z.string().max(64).optional(),
    'secure-boot': z.boolean().optional(),
    'console-enabled': z.boolean().optional(),
    'tpm-enabled': z.boolean().optional(),
    'tpm-persisted': z.boolean().optional(),
    'root-cert-thumbprint': z.string().max(128).optional(),
  }),
  'user-data': z
    .string()
    .regex(/^[0-9A-F]{128}$/)
    .optional(),
})

/** @throws {VouchsafeError} `input.malformed` */
export function parseRuntimeData(raw: Uint8Array): HclRuntimeData {
  const what = 'HCL runtime data'
  const data = parseSchema(schema, parseStrictJson(raw, { maxBytes: 64 * 1024 }), what)
  const key = (kid: string) => {
    const [found, ...more] = data.keys.filter((k) => k.kid === kid)
    if (more.length > 0) throw new VouchsafeError('input.malformed', `${what}: ${kid} stands there twice`)
    if (found === undefined) return undefined
    if (found.kty !== 'RSA' || found.n === undefined || found.e === undefined)
      throw new VouchsafeError('input.malformed', `${what}: ${kid} is no RSA key`)
    return spkiOfRsa(fromBase64Url(found.n, `${kid}.n`), fromBase64Url(found.e, `${kid}.e`))
  }
  const akSpki = key('HCLAkPub')
  if (akSpki === undefined) throw new VouchsafeError('input.malformed', `${what}: has no HCLAkPub`)
  const ekSpki = key('HCLEkPub')
  const vm = data['vm-configuration']
  const userData = data['user-data']
  return {
    akSpki,
    ...(ekSpki && { ekSpki }),
    vm: {
      ...(vm.vmUniqueId !== undefined && { uniqueId: vm.vmUniqueId }),
      ...(vm['secure-boot'] !== undefined && { secureBoot: vm['secure-boot'] }),
      ...(vm['console-enabled'] !== undefined && { consoleEnabled: vm['console-enabled'] }),
      ...(vm['tpm-enabled'] !== undefined && { tpmEnabled: vm['tpm-enabled'] }),
      ...(vm['tpm-persisted'] !== undefined && { tpmPersisted: vm['tpm-persisted'] }),
      ...(vm['root-cert-thumbprint'] !== undefined && { rootCertThumbprint: vm['root-cert-thumbprint'] }),
    },
    ...(userData !== undefined && { userData: fromHex(userData.toLowerCase(), 'user-data', 64) }),
  }
}
