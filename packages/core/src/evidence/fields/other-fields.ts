import type { HclReport } from '../azure-vtpm/parse-hcl-report.ts'
import type { HclRuntimeData } from '../azure-vtpm/runtime-data.ts'
import type { CcaPlatformClaims, CcaRealmClaims } from '../cca/claims.ts'
import type { GpuReport } from '../nvidia/parse-gpu-report.ts'
import { type EvidenceField, field, flag } from './field.ts'

/** What the paravisor of Azure says of itself and of its vTPM. */
export function hclFields(hcl: HclReport, runtime: HclRuntimeData): readonly EvidenceField[] {
  const { vm } = runtime
  const told = (name: string, isSet: boolean | undefined, set: string, unset: string) =>
    isSet === undefined ? [] : [flag(name, isSet, set, unset)]
  return [
    field('report_type', hcl.kind, 'which CPU stands under the paravisor'),
    field('hash_type', hcl.hash, 'how the hardware report commits to what follows'),
    field('HCLAkPub', runtime.akSpki, 'attestation key of the vTPM (SubjectPublicKeyInfo)'),
    ...(runtime.ekSpki === undefined ? [] : [field('HCLEkPub', runtime.ekSpki, 'endorsement key of the vTPM')]),
    ...(vm.uniqueId === undefined ? [] : [field('vmUniqueId', vm.uniqueId, 'names the VM')]),
    ...told('secure-boot', vm.secureBoot, 'Secure Boot is on', 'Secure Boot is off'),
    ...told('console-enabled', vm.consoleEnabled, 'the VM has a console', 'the VM has no console'),
    ...told('tpm-enabled', vm.tpmEnabled, 'it has a vTPM', 'it has no vTPM'),
    ...told('tpm-persisted', vm.tpmPersisted, 'the vTPM’s state is kept', 'the vTPM begins anew at each boot'),
    ...(vm.rootCertThumbprint === undefined
      ? []
      : [field('root-cert-thumbprint', vm.rootCertThumbprint, 'root that the VM was given')]),
    ...(runtime.userData === undefined
      ? []
      : [field('user-data', runtime.userData, 'chosen by the guest: what the report answers to')]),
  ]
}

/** What Arm's platform and realm tokens say. */
export function ccaFields(platform: CcaPlatformClaims, realm: CcaRealmClaims): readonly EvidenceField[] {
  return [
    field('cca-platform-profile', platform.profile, 'layout of the platform token'),
    field('cca-platform-implementation-id', platform.implementationId, 'which make of hardware'),
    field('cca-platform-instance-id', platform.instanceId, 'which piece of it'),
    field('cca-platform-lifecycle', platform.lifecycle, 'only `secured` keeps its promises'),
    field('cca-platform-config', platform.config, 'how the platform was configured'),
    ...platform.softwareComponents.map((c, i) =>
      field(
        `cca-platform-sw-components[${i}]`,
        c.measurement,
        `${c.type ?? 'firmware'}${c.version === undefined ? '' : ` ${c.version}`}, part of the platform’s firmware`,
      ),
    ),
    field('cca-realm-challenge', realm.challenge, 'chosen by whoever asked: what the token answers to'),
    field('cca-realm-personalization-value', realm.personalization, 'chosen by the host when the realm was made'),
    field('cca-realm-initial-measurement', realm.initialMeasurement, 'of the realm’s initial memory'),
    ...realm.extensibleMeasurements.map((value, i) =>
      field(`cca-realm-extensible-measurements[${i}]`, value, 'measured by the running realm'),
    ),
  ]
}

/** What a GPU says of itself. */
export function gpuFields(report: GpuReport): readonly EvidenceField[] {
  return [
    field('nonce', report.nonce, 'chosen by whoever asked: what the report answers to'),
    field('FWID', report.fwid, 'of the firmware that holds the signing key'),
    field('driver version', report.driverVersion, 'driver that set the GPU up'),
    field('VBIOS version', report.vbiosVersion, 'firmware of the board'),
    ...Array.from(report.measurements, ([n, value]) =>
      field(
        `measurement ${n}`,
        value,
        /^0+$/.test(value) ? 'nothing measured' : 'to be compared with NVIDIA’s manifests',
      ),
    ),
  ]
}
