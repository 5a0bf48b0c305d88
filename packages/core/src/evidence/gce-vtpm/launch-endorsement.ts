import type { CryptoPort } from '../../base/crypto.ts'
import { fromUtf8, toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import {
  type Anchor,
  parseCertificate,
  parsePem,
  type Revocation,
  type VerifiedChain,
  verifyChain,
} from '../../x509/index.ts'
import { markVerified, type Verified } from '../verified.ts'
import { bytesField, numberField, type ProtobufField, readProtobuf } from './protobuf.ts'

/** What Google says of one build of its firmware. Measurements are in lower-case hexadecimal. */
export interface GceLaunchEndorsementContent {
  readonly chain: VerifiedChain
  /** SHA-384 of the UEFI image. */
  readonly uefiDigest: string
  /** Which sources it was built from: a change list number, a commit, or both. */
  readonly changeList: bigint
  readonly commit: string
  readonly snp?: {
    readonly svn: bigint
    /** Launch measurement by number of vCPUs. */
    readonly measurements: ReadonlyMap<bigint, string>
    readonly svsmMeasurement?: string
  }
  readonly tdx?: {
    readonly svn: bigint
    readonly measurements: readonly { readonly ramGib: bigint; readonly earlyAccept: boolean; readonly mrTd: string }[]
  }
}

export type VerifiedGceLaunchEndorsement = Verified<GceLaunchEndorsementContent>

const MAX_BYTES = 1024 * 1024

/**
 * Verifies a launch endorsement of Google's confidential-VM firmware. It turns an unknown measurement into one that
 * Google signed for: look the report's measurement up in the result.
 *
 * @throws {VouchsafeError} `endorsement.malformed`, `endorsement.untrusted`, other `endorsement.*` for the signer's chain
 * @source gce-tcb-verifier: VMLaunchEndorsement
 */
export async function verifyGceLaunchEndorsement(
  raw: Uint8Array,
  trust: { readonly anchors: readonly Anchor[]; readonly revocation: Revocation; readonly at: Date },
  crypto: CryptoPort,
): Promise<VerifiedGceLaunchEndorsement> {
  if (raw.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `launch endorsement: over ${MAX_BYTES} bytes`)
  const what = 'launch endorsement'
  const outer = readProtobuf(what, new Uint8Array(raw))
  const golden = need(what, 'serialized_uefi_golden', bytesField(what, outer, 1))
  const signature = need(what, 'signature', bytesField(what, outer, 2))
  const fields = readProtobuf(`${what}: golden`, golden)
  const leaf = parseCertificate(need(what, 'cert', bytesField(what, fields, 4)))
  const bundle = bytesField(what, fields, 6)
  const chain = await verifyChain({
    leaf,
    intermediates: bundle
      ? parsePem(fromUtf8(bundle, 'ca_bundle'), 'CERTIFICATE').map((der) => parseCertificate(der))
      : [],
    ...trust,
    crypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: 'any',
  })
  const key = await crypto.importPublicKey(leaf.spki)
  if (!(await crypto.verify(key, { kind: 'rsa-pss', hash: 'sha256', saltBytes: 32 }, golden, signature)))
    throw new VouchsafeError('endorsement.untrusted', `${what}: signature does not verify under ${leaf.label}`)
  const changeList = numberField(what, fields, 2)
  const commit = toHex(bytesField(what, fields, 3) ?? new Uint8Array(0))
  if (changeList === 0n && commit === '')
    throw new VouchsafeError('endorsement.malformed', `${what}: names neither change list nor commit`)
  const snp = bytesField(what, fields, 7)
  const tdx = bytesField(what, fields, 8)
  return markVerified({
    chain,
    uefiDigest: measurement('digest', need(what, 'digest', bytesField(what, fields, 5))),
    changeList,
    commit,
    ...(snp && { snp: readSnp(readProtobuf(`${what}: sev_snp`, snp)) }),
    ...(tdx && { tdx: readTdx(readProtobuf(`${what}: tdx`, tdx)) }),
  })
}

function readSnp(fields: readonly ProtobufField[]): NonNullable<GceLaunchEndorsementContent['snp']> {
  const what = 'launch endorsement: sev_snp'
  const measurements = new Map<bigint, string>()
  for (const entry of messages(what, fields, 2)) {
    const vcpus = numberField(what, entry, 1)
    if (measurements.has(vcpus)) throw new VouchsafeError('endorsement.malformed', `${what}: ${vcpus} vCPUs twice`)
    measurements.set(vcpus, measurement('measurement', need(what, 'measurement', bytesField(what, entry, 2))))
  }
  const svsm = bytesField(what, fields, 7)
  const svn = numberField(what, fields, 1)
  return { svn, measurements, ...(svsm && { svsmMeasurement: measurement('svsm_measurement', svsm) }) }
}

function readTdx(fields: readonly ProtobufField[]): NonNullable<GceLaunchEndorsementContent['tdx']> {
  const what = 'launch endorsement: tdx'
  const measurements = messages(what, fields, 2).map((entry) => ({
    ramGib: numberField(what, entry, 1),
    earlyAccept: numberField(what, entry, 2) !== 0n,
    mrTd: measurement('mrtd', need(what, 'mrtd', bytesField(what, entry, 3))),
  }))
  return { svn: numberField(what, fields, 1), measurements }
}

function messages(what: string, fields: readonly ProtobufField[], number: number): (readonly ProtobufField[])[] {
  return fields
    .filter((f) => f.number === number)
    .map((f) => readProtobuf(what, need(what, String(number), f.kind === 'bytes' ? f.value : undefined)))
}

function measurement(field: string, bytes: Uint8Array): string {
  if (bytes.length !== 48)
    throw new VouchsafeError(
      'endorsement.malformed',
      `launch endorsement: ${field} of ${bytes.length} bytes, wanted 48`,
    )
  return toHex(bytes)
}

function need<T>(what: string, field: string, value: T | undefined): T {
  if (value === undefined) throw new VouchsafeError('endorsement.malformed', `${what}: ${field} is missing`)
  return value
}
