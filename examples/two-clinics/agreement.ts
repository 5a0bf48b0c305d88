import { type Agreement, type AgreementBody, type P256Jwk, parseAgreement, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Clinic } from './clinic.ts'

export interface Terms {
  readonly clinics: readonly Clinic[]
  /** Each clinic's resources, by its id. */
  readonly resources: Readonly<Record<string, string>>
  readonly image: string
  readonly args: readonly string[]
  readonly registers: AgreementBody['environment']['registers']
  readonly recipient: { readonly id: string; readonly key: P256Jwk }
}

/** What both clinics sign: which code, launched how, on what kind of machine, may have which keys, and who reads the result. */
export function writeAgreement({ clinics, resources, image, args, registers, recipient }: Terms): Agreement {
  const now = Date.now()
  const body: AgreementBody = {
    vouchsafe: 'agreement/v1',
    name: 'treatment',
    purpose: 'of those treated and those not, count who recovered',
    previous: null,
    notBefore: new Date(now - 60_000).toISOString(),
    expires: new Date(now + 86_400_000).toISOString(),
    owners: clinics.map(({ id, key, pin }) => ({ id, keys: [key.key], broker: pin })),
    quorum: clinics.length,
    workload: { image },
    launch: {
      args: [...args],
      env: {},
      debug: false,
      network: 'none',
      output: 'closed',
      restart: 'never',
      isolation: ['runc', 'runc-rootless'],
      capabilities: [],
      mounts: [],
    },
    environment: { leastClass: 'simulated', hostExcluded: false, registers, dangerouslyUnpinnedRegisters: [] },
    grants: clinics.map(({ id }) => ({
      id: `${id}-key`,
      owner: id,
      resources: [resources[id] ?? ''],
      when: [{ op: 'at-least-class' as const, value: 'simulated' as const }],
    })),
    result: { recipients: [recipient], minimumCount: 50 },
    leaseSeconds: 120,
  }
  return parseAgreement(utf8(JSON.stringify(body, null, 2)), nodeCrypto)
}
