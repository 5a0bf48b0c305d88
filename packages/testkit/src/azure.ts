import { createHash } from 'node:crypto'
import * as d from './der.ts'
import type { TestKey } from './x509.ts'

/** A fake paravisor: writes the report that Azure's HCL leaves in the vTPM. */
export interface HclReportSpec {
  readonly kind: 'snp' | 'tdx'
  /** 1184 bytes of SNP report, or 1024 of TDREPORT. */
  readonly hardwareReport: Uint8Array
  readonly runtimeData: Uint8Array
  readonly signature?: string
  readonly version?: number
  readonly requestType?: number
  readonly status?: number
  readonly reportSize?: number
  readonly dataSize?: number
  readonly reportType?: number
  readonly hashType?: number
  readonly trailing?: Uint8Array
}

export function encodeHclReport(spec: HclReportSpec): Uint8Array {
  const dataSize = spec.runtimeData.length + 20
  const hardware = new Uint8Array(1184)
  hardware.set(spec.hardwareReport)
  return d.join(
    new TextEncoder().encode(spec.signature ?? 'HCLA'),
    u32(spec.version ?? 2, spec.reportSize ?? 32 + 1184 + dataSize, spec.requestType ?? 2, spec.status ?? 0),
    new Uint8Array(12),
    hardware,
    u32(spec.dataSize ?? dataSize, 1, spec.reportType ?? (spec.kind === 'snp' ? 2 : 4), spec.hashType ?? 1),
    u32(spec.runtimeData.length),
    spec.runtimeData,
    spec.trailing ?? new Uint8Array(100),
  )
}

/** JSON with the vTPM's keys, as the paravisor writes it. */
export function makeRuntimeData(ak: TestKey, members: Readonly<Record<string, unknown>> = {}): Uint8Array {
  const { n, e } = ak.publicKey.export({ format: 'jwk' })
  const key = (kid: string, use: string) => ({ kid, key_ops: [use], kty: 'RSA', e, n })
  const data = {
    keys: [key('HCLAkPub', 'sign'), key('HCLEkPub', 'encrypt')],
    'vm-configuration': { 'console-enabled': true, 'secure-boot': true, 'tpm-enabled': true, vmUniqueId: 'A-1' },
    'user-data': '00'.repeat(64),
    ...members,
  }
  return new TextEncoder().encode(JSON.stringify(data))
}

/** What the hardware report must carry: the hash of the runtime data, then zeros. */
export function runtimeDataDigest(runtimeData: Uint8Array, hash = 'sha256'): Uint8Array {
  const out = new Uint8Array(64)
  out.set(createHash(hash).update(runtimeData).digest())
  return out
}

function u32(...values: readonly number[]): Uint8Array {
  const out = new Uint8Array(values.length * 4)
  const data = new DataView(out.buffer)
  for (const [i, value] of values.entries()) data.setUint32(i * 4, value, true)
  return out
}
