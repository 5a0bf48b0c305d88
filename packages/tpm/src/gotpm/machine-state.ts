import { create, toJson } from '@bufbuild/protobuf'
import type { JsonValue, MessageInitShape } from '@bufbuild/protobuf'
import type { BootPart } from '../eventlog/boot/boot-report.ts'
import type { EfiImage } from '../eventlog/boot/efi-boot.ts'
import { GCE_TECHNOLOGIES } from '../eventlog/boot/event-meaning.ts'
import { measuresData } from '../eventlog/boot/measured-part.ts'
import type { ProofContext } from '../eventlog/boot/measured-part.ts'
import type { PlatformFacts } from '../eventlog/boot/platform.ts'
import type { SecureBootFacts } from '../eventlog/boot/secure-boot.ts'
import type { ConfidentialSpaceLaunch } from '../eventlog/confidential-space.ts'
import type { SignatureDatabase } from '../eventlog/efi/signature-list.ts'
import { encodeUtf16 } from '../eventlog/efi/text.ts'
import { EV } from '../eventlog/event-types.ts'
import { toHex } from '../eventlog/hex.ts'
import type { TcgEvent } from '../eventlog/tcg-log.ts'
import type { HashName, VerifyCrypto } from '../verify/crypto.ts'
import { hashAlgo } from './attestation.ts'
import type {
  AttestedCosStateSchema,
  CertificateSchema,
  DatabaseSchema,
  EfiStateSchema,
  GrubStateSchema,
  MachineState,
  PlatformStateSchema,
  SecureBootStateSchema,
} from './gen/attest_pb.js'
import {
  EventSchema,
  GPUDeviceCCMode,
  MachineStateSchema,
  RestartPolicy,
  WellKnownCertificate,
} from './gen/attest_pb.js'
import type { VerifiedBoot, VerifiedGotpmAttestation } from './verify-attestation.ts'

/** A cloud machine as the certificate of its attestation key names it. */
export interface GceInstance {
  readonly zone: string
  readonly projectId: string
  readonly projectNumber: bigint
  readonly instanceName: string
  readonly instanceId: bigint
}

/** Certificates that gotpm writes by name: the SHA-256 of their DER, by its length, so that few need hashing. */
const WELL_KNOWN = new Map<number, readonly [sha256: string, name: WellKnownCertificate]>([
  [
    1499,
    ['e8e95f0733a55e8bad7be0a1413ee23c51fcea64b3c8fa6a786935fddcc71961', WellKnownCertificate.MS_WINDOWS_PROD_PCA_2011],
  ],
  [
    1556,
    [
      '48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507',
      WellKnownCertificate.MS_THIRD_PARTY_UEFI_CA_2011,
    ],
  ],
  [
    1516,
    [
      'a1117f516a32cefcba3f2d1ace10a87972fd6bbe8fe0d0b996e09e65d802a503',
      WellKnownCertificate.MS_THIRD_PARTY_KEK_CA_2011,
    ],
  ],
  [762, ['d1d217acf60ba4e4a890210322d006d673c0b82de9d65ad7f2d55897635429e2', WellKnownCertificate.GCE_DEFAULT_PK]],
])

type Digest = Pick<VerifyCrypto, 'digest'>

/**
 * The machine state that gotpm shows for an attestation. It holds what was read without complaint, in gotpm's words, and
 * has no place for doubt: what was refused is missing, and whether the key is trusted is not in it. Show `keyTrusted` and
 * the report beside it.
 *
 * @param instance - From the verified certificate of the key; what the attestation says of its machine is not used.
 */
export function machineState(verified: VerifiedGotpmAttestation, crypto: Digest, instance?: GceInstance): MachineState {
  const { bank } = verified.quote.registers
  const { boot, launch } = verified
  return create(MachineStateSchema, {
    hash: hashAlgo(bank),
    ...(boot !== undefined && bootState(boot, crypto, instance)),
    ...(launch?.kind === 'confidential-space' && { cos: cosState(launch.launch) }),
  })
}

function bootState({ log, report, proof }: VerifiedBoot, crypto: Digest, instance?: GceInstance) {
  const events = log.events.filter((event) => event.register !== 'none' && event.type !== EV.NO_ACTION)
  const commandLine = factsOf(report.kernel)?.commandLine
  const parts = {
    platform: mapped(report.platform, (facts) => platformState(facts, instance)),
    secureBoot: mapped(report.secureBoot, (facts) => secureBootState(facts, crypto)),
    grub: mapped(report.grub, () => grubState(events, proof.bank)),
    linuxKernel: commandLine && { commandLine: `${commandLine.text}\0` },
    efi: mapped(report.efi, (facts) => ({
      apps: apps(facts.applications),
      bootServicesDrivers: apps(facts.bootDrivers),
      runtimeServicesDrivers: apps(facts.runtimeDrivers),
    })) satisfies MessageInitShape<typeof EfiStateSchema> | undefined,
  }
  const given = Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as typeof parts
  return { ...given, rawEvents: rawEvents(events, proof) }
}

function factsOf<T>(part: BootPart<T>): T | undefined {
  return part.kind === 'facts' ? part.facts : undefined
}

function mapped<T, U>(part: BootPart<T>, map: (facts: T) => U): U | undefined {
  return part.kind === 'facts' ? map(part.facts) : undefined
}

function apps(images: readonly EfiImage[]) {
  return images.map(({ digest }) => ({ digest }))
}

function rawEvents(events: readonly TcgEvent[], proof: ProofContext) {
  return events.map((event) =>
    create(EventSchema, {
      pcrIndex: event.register === 'none' ? 0 : event.register,
      untrustedType: event.type,
      data: event.data,
      digest: event.digests.get(proof.bank) ?? new Uint8Array(),
      digestVerified: measuresData(event, proof),
    }),
  )
}

function platformState(
  { firmwareVersion, gceVersion, gceTechnology }: PlatformFacts,
  instance: GceInstance | undefined,
): MessageInitShape<typeof PlatformStateSchema> {
  const versionId = typeof firmwareVersion === 'string' ? encodeUtf16(`${firmwareVersion}\0`) : firmwareVersion
  return {
    firmware:
      gceVersion === undefined
        ? { case: 'scrtmVersionId', value: versionId }
        : { case: 'gceVersion', value: gceVersion },
    technology: GCE_TECHNOLOGIES.indexOf(gceTechnology ?? 'none'),
    ...(instance !== undefined && { instanceInfo: instance }),
  }
}

/** gotpm's form has no place for entries that are neither certificates nor SHA-256 hashes. */
function secureBootState(facts: SecureBootFacts, crypto: Digest): MessageInitShape<typeof SecureBootStateSchema> {
  const database = ({ certificates, hashes }: SignatureDatabase): MessageInitShape<typeof DatabaseSchema> => ({
    certs: certificates.map(({ der }) => certificate(der, crypto)),
    hashes: hashes.map(({ sha256 }) => sha256),
  })
  const { enabled, pk, kek, db, dbx, authorities } = facts
  return {
    enabled,
    pk: database(pk),
    kek: database(kek),
    db: database(db),
    dbx: database(dbx),
    // gotpm leaves it out where nothing was checked
    ...(authorities.length > 0 && {
      authority: { certs: authorities.map((authority) => certificate(authority.certificate, crypto)) },
    }),
  }
}

function certificate(der: Uint8Array, crypto: Digest): MessageInitShape<typeof CertificateSchema> {
  const [sha256, name] = WELL_KNOWN.get(der.length) ?? []
  const isWellKnown = name !== undefined && toHex(crypto.digest('sha256', der)) === sha256
  return { representation: isWellKnown ? { case: 'wellKnown', value: name } : { case: 'der', value: der } }
}

/** gotpm gives GRUB's texts as the log has them, with prefix and NUL. */
function grubState(events: readonly TcgEvent[], bank: HashName): MessageInitShape<typeof GrubStateSchema> {
  const decoder = new TextDecoder()
  const ipl = (register: number) => events.filter((event) => event.register === register && event.type === EV.IPL)
  return {
    commands: ipl(8).map(({ data }) => decoder.decode(data)),
    files: ipl(9).map(({ data, digests }) => ({
      digest: digests.get(bank) ?? new Uint8Array(),
      untrustedFilename: data,
    })),
  }
}

function cosState(launch: ConfidentialSpaceLaunch): MessageInitShape<typeof AttestedCosStateSchema> {
  const { imageReference, imageDigest, imageId, restartPolicy, args, env, overriddenArgs, overriddenEnv } = launch
  const { memoryMonitoring, gpuCcMode } = launch
  return {
    container: {
      imageReference,
      imageDigest,
      restartPolicy: RestartPolicy[restartPolicy],
      ...(imageId !== undefined && { imageId }),
      args: [...args],
      envVars: { ...env },
      overriddenArgs: [...overriddenArgs],
      overriddenEnvVars: { ...overriddenEnv },
    },
    ...(memoryMonitoring !== undefined && { healthMonitoring: { memoryEnabled: memoryMonitoring } }),
    ...(gpuCcMode !== undefined && { gpuDeviceState: { ccMode: GPUDeviceCCMode[gpuCcMode] } }),
  }
}

/** A machine state in protobuf's JSON form: bytes in base64, enum members by name. */
export function machineStateJson(state: MachineState): JsonValue {
  return toJson(MachineStateSchema, state)
}
