import type { PlatformIdentity, VerifiedPlatformEvidence } from '../evidence/platform/verify-platform-evidence.ts'
import { assertVerified } from '../evidence/verified.ts'
import { type Claims, isAtLeast } from './claims.ts'
import { platformOfCpu } from './from-hardware.ts'
import { NO_PLATFORM, registersOf } from './from-tpm.ts'

/**
 * Verified evidence of a cloud's vTPM in our words: what was booted by the vTPM, what runs it by the CPU. The class is that
 * of the weakest anchor. On Azure vTPM and launch are the CPU's to keep; Google's vTPM is the host's own, and so what it says
 * of the launch, however well the CPU may keep its memory (decision 10).
 */
export function claimsFromPlatform(evidence: VerifiedPlatformEvidence): Claims {
  assertVerified(evidence)
  const { anchors, platform, cpu, quote, registers } = evidence
  const weakest = anchors.reduce((least, anchor) => (isAtLeast(least.class, anchor.class) ? anchor : least))
  const ofCpu = cpu === null ? NO_PLATFORM : platformOfCpu(cpu)
  return {
    format: platform.cloud === 'azure' ? 'azure-vtpm' : 'gce-vtpm',
    class: weakest.class,
    simulated: weakest.class === 'simulated',
    hostExcluded: platform.cloud === 'azure' && !ofCpu.hostMayInspect,
    machine: evidence.machine,
    anchor: weakest.name,
    anchors: anchors.map(({ name }) => name),
    boot: {
      registers: registersOf(registers),
      resetCount: quote.resetCount,
      restartCount: quote.restartCount,
    },
    platform: { ...ofCpu, fields: { ...ofCpu.fields, ...fieldsOf(platform) } },
    launch: evidence.launch,
  }
}

/** What the cloud says of the VM, in its own words. */
function fieldsOf(platform: PlatformIdentity): Readonly<Record<string, string>> {
  const said =
    platform.cloud === 'azure'
      ? {
          vmUniqueId: platform.runtime.vm.uniqueId,
          'secure-boot': platform.runtime.vm.secureBoot,
          'console-enabled': platform.runtime.vm.consoleEnabled,
          'tpm-persisted': platform.runtime.vm.tpmPersisted,
        }
      : {
          project_id: platform.instance?.projectId,
          zone: platform.instance?.zone,
          instance_id: platform.instance?.instanceId,
          instance_name: platform.instance?.instanceName,
        }
  return Object.fromEntries(Object.entries(said).flatMap(([name, v]) => (v === undefined ? [] : [[name, String(v)]])))
}
