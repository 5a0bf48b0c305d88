import { generateKeyPairSync } from 'node:crypto'
import { type InstanceFacts, appraiseInstance, digestOf, fromBase64, parseSchema } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { gceAuditEntry, gceRecording, missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { factsOfGce, logEntrySchema, recordedInstanceSchema } from './document.ts'

const AT = new Date('2026-01-02T11:00:00Z')
const facts = (spec: Partial<Parameters<typeof gceRecording>[0]> = {}): InstanceFacts =>
  factsOfGce(parseSchema(recordedInstanceSchema, gceRecording({ id: '1', ...spec }), 'recording'), 'recorded', AT)

const launchOf = (f: InstanceFacts, images: readonly string[]) => ({
  userData: digestOf(fromBase64(f.launch.userData ?? ''), nodeCrypto),
  fingerprint: f.launch.fingerprint,
  metadataKeys: [],
  images: [...images],
  dangerouslyAllowManagementAgent: false,
})
const complaints = (
  f: InstanceFacts,
  images: readonly string[] = ['projects/cos-cloud/global/images/cos-stable-121'],
) =>
  appraiseInstance(f, launchOf(f, images), nodeCrypto)
    .filter((x) => x.tier !== 'affirming')
    .map((x) => `${x.check}: ${x.actual}`)

describe('an instance as Compute Engine tells of it', () => {
  test('becomes facts in our words', () => {
    expect(facts({ address: '34.1.2.3', confidential: 'SEV_SNP' })).toMatchObject({
      instance: '1',
      zone: 'us-central1-a',
      created: '2026-01-02T10:04:05.000Z',
      memoryEncryption: 'SEV_SNP',
      addresses: ['34.1.2.3', '10.0.0.2'],
      sharedAddress: false,
      disks: [{ name: 'boot', boot: true, image: 'projects/cos-cloud/global/images/cos-stable-121' }],
    })
    expect(complaints(facts())).toEqual([])
  })

  test('DEF-22 keys are compared as keys: another spelling of the same PEM is the same key', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString()
    const lines = pem.trim().split('\n')
    const unwrapped = [lines[0], lines.slice(1, -1).join(''), lines.at(-1)].join('\r\n')
    expect(unwrapped).not.toBe(pem)
    const spki = (endorsementKey: string) => facts({ endorsementKey }).tpm.endorsementKey
    expect(spki(unwrapped)).toBe(spki(pem))
    expect(() => facts({ endorsementKey: 'not a key' })).toThrow(expect.objectContaining({ code: 'input.malformed' }))
  })

  test('TD-44 without an address of its own it leaves through a shared one', () => {
    expect(facts().sharedAddress).toBe(true)
  })

  test.each([
    ['instance metadata', { metadata: { 'enable-osconfig': 'TRUE' } }],
    ['project metadata', { projectMetadata: { 'enable-osconfig': 'true' } }],
  ])('TD-39 a management agent turned on by %s is seen', (_where, spec) => {
    expect(facts(spec).managementAgent).toBe(true)
  })
})

describe('DEF-23 the audit trail', () => {
  test.each([
    'v1.compute.instances.setMetadata',
    'beta.compute.instances.setMetadata',
    'alpha.compute.instances.setMetadata',
    'compute.instances.setMetadata',
    'v1.compute.projects.setCommonInstanceMetadata',
    'v1.compute.instances.attachDisk',
    'v1.compute.instances.setServiceAccount',
    'v1.compute.instances.addAccessConfig',
    'v1.compute.instances.someMethodOfNextYear',
  ])('%s after the making refuses, however long ago', (method) => {
    const changed = facts({ audit: [gceAuditEntry(method, '2026-01-02T10:05:00Z')] })
    expect(complaints(changed)).toEqual([expect.stringContaining(`1 change, the newest ${method} by bob@example.com`)])
  })

  test.each(['v1.compute.instances.start', 'v1.compute.instances.stop', 'v1.compute.instances.get'])(
    '%s changes nothing',
    (method) => {
      expect(complaints(facts({ audit: [gceAuditEntry(method, '2026-01-02T10:05:00Z')] }))).toEqual([])
    },
  )

  test('an edit beyond the first 200 entries counts as well', () => {
    const quiet = Array.from({ length: 300 }, () => gceAuditEntry('v1.compute.instances.get', '2026-01-02T10:05:00Z'))
    const edit = gceAuditEntry('v1.compute.instances.setMetadata', '2026-01-02T10:04:30Z')
    expect(complaints(facts({ audit: [...quiet, edit] }))).toHaveLength(1)
  })

  test('a trail that was cut, or without record of the making, says nothing good', () => {
    expect(complaints(facts({ auditComplete: false }))).toEqual([expect.stringContaining('that was cut')])
    expect(complaints(facts({ madeOnRecord: false }))).toEqual([expect.stringContaining('no record of its making')])
  })

  test('project-wide keys, SSH keys and start-up scripts are launch data that nobody hashed', () => {
    for (const spec of [
      { projectMetadata: { 'ssh-keys': 'mallory:ssh-rsa A' } },
      { metadata: { 'startup-script-url': 'gs://x' } },
    ])
      expect(complaints(facts(spec))[0]).toMatch(/^appraisal\.launch-data: also (?:ssh-keys|startup-script-url)$/)
    const setAtCreation = gceAuditEntry('v1.compute.instances.insert', '2026-01-02T10:04:05Z', {
      metadata: { items: [{ key: 'startup-script', value: 'echo hi' }] },
    })
    expect(complaints(facts({ audit: [setAtCreation] }))).toEqual(['appraisal.launch-data: also startup-script'])
  })
})

interface AuditCases {
  readonly allowedSourceImages: readonly string[]
  readonly cases: readonly {
    readonly name: string
    readonly want: string
    readonly entries: readonly {
      readonly timestamp: string
      readonly methodName: string
      readonly principalEmail: string
      readonly request?: Readonly<Record<string, unknown>>
    }[]
  }[]
}

describe.skipIf(missingVectors())('recorded launches', () => {
  const { allowedSourceImages, cases } = missingVectors()
    ? ({ allowedSourceImages: [], cases: [] } as AuditCases)
    : (JSON.parse(readVectorText('seed-systems/audit/vm-audit-cases.json')) as AuditCases)

  test.each(cases)('DEF-23 DEF-24 TD-09 TD-10 $name: $want', ({ entries, want }) => {
    const insert = entries.find((e) => e.methodName.endsWith('.insert'))
    const disks = (insert?.request?.['disks'] ?? []) as { initializeParams?: { sourceImage?: string } }[]
    const audit = entries.map((e) => gceAuditEntry(e.methodName, e.timestamp, e.request))
    for (const entry of audit) parseSchema(logEntrySchema, entry, 'entry')
    const image = disks[0]?.initializeParams?.sourceImage ?? allowedSourceImages[0] ?? ''
    const found = complaints(facts({ audit, madeOnRecord: false, image }), allowedSourceImages)
    if (want === 'accept') expect(found).toEqual([])
    else {
      const code = {
        'deny: boot image': 'appraisal.boot-image',
        'deny: unmeasured launch metadata': 'appraisal.launch-data',
      }[want]
      expect(found.some((f) => f.startsWith(code ?? 'appraisal.audit-trail'))).toBe(true)
    }
  })

  test('TD-07 the launch measurement is SHA-256 over the exact user-data, to the last newline', () => {
    const file = readVector('seed-systems/cloud-init/td-user-data.yaml')
    const userData = new TextDecoder().decode(file)
    const measured = (text: string) => launchOf(facts({ userData: text }), []).userData
    const expected = Buffer.from('v7SftwlRj75WRXCq0Q/buov8D7t+Sg08fRqaylohfiI=', 'base64').toString('hex')
    expect(measured(userData)).toBe(`sha256:${expected}`)
    expect(measured(userData.trimEnd())).not.toBe(`sha256:${expected}`)
    const tampered = Buffer.from('hR75M893Tg/Kr4vLG5HlP2GQiy6N/e1DH1BMeAtMSzg=', 'base64').toString('hex')
    expect(measured(userData.replace('50051', '50052'))).toBe(`sha256:${tampered}`)
  })
})
