import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../node/crypto.ts'
import { digestOf } from '../base/digest.ts'
import { fromBase64, toBase64, utf8 } from '../base/encoding.ts'
import type { InstanceFacts } from '../evidence/instance/instance-facts.ts'
import { parseCertificate } from '../x509/index.ts'
import { appraiseInstance } from './client.ts'

const USER_DATA = toBase64(utf8('#cloud-config\n'))
const FACTS: InstanceFacts = {
  source: 'recorded',
  at: '2026-01-02T11:00:00Z',
  instance: '218557372616137117',
  name: 'cs-debug-pca',
  project: 'google.com:wuale-gcp-testing',
  zone: 'us-central1-a',
  created: '2026-01-02T10:00:00Z',
  status: 'RUNNING',
  memoryEncryption: 'none',
  secureBoot: true,
  launch: { userData: USER_DATA, fingerprint: 'f', metadataKeys: ['user-data'] },
  disks: [{ name: 'boot', boot: true, image: 'projects/cos-cloud/global/images/a' }],
  accounts: ['a@p'],
  addresses: [],
  sharedAddress: true,
  managementAgent: false,
  tpm: { endorsementKey: null, endorsementCertificate: null, attestationKey: null },
  audit: {
    complete: true,
    entries: [{ at: '2026-01-02T10:00:00Z', method: 'v1.compute.instances.insert', principal: '', metadataKeys: [] }],
  },
}
const LAUNCH = {
  userData: digestOf(fromBase64(USER_DATA), nodeCrypto),
  fingerprint: 'f',
  metadataKeys: [],
  images: ['projects/cos-cloud/global/images/a'],
  dangerouslyAllowManagementAgent: false,
}
const complaints = (changes: Partial<InstanceFacts>, launch: Partial<typeof LAUNCH> = {}) =>
  appraiseInstance({ ...FACTS, ...changes }, { ...LAUNCH, ...launch }, nodeCrypto)
    .filter((f) => f.tier !== 'affirming')
    .map((f) => `${f.check}: ${f.actual}`)

describe('an instance before it ever connects', () => {
  test('is content when everything is as approved', () => {
    expect(complaints({})).toEqual([])
  })
  test('DEF-24 an empty list of images accepts none', () => {
    expect(complaints({}, { images: [] })).toEqual([
      'appraisal.boot-image: boot image projects/cos-cloud/global/images/a',
    ])
  })
  test.each<[string, Partial<InstanceFacts>, string]>([
    ['without user-data', { launch: { ...FACTS.launch, userData: null } }, 'appraisal.launch-data'],
    ['with empty user-data', { launch: { ...FACTS.launch, userData: '' } }, 'appraisal.launch-data'],
    ['without boot disk', { disks: [] }, 'appraisal.boot-image'],
    ['with two boot disks', { disks: [...FACTS.disks, ...FACTS.disks] }, 'appraisal.boot-image'],
    ['from an unknown source', { disks: [{ name: 'b', boot: true, image: null }] }, 'appraisal.boot-image'],
  ])('%s it is refused', (_what, changes, code) => {
    expect(complaints(changes)[0]).toContain(code)
  })
  test('a secret named in metadata keys is not what was hashed', () => {
    const launch = { ...FACTS.launch, metadataKeys: ['user-data', 'google-logging-enabled'] }
    expect(complaints({ launch })).toEqual(['appraisal.launch-data: also google-logging-enabled'])
    expect(complaints({ launch }, { metadataKeys: ['google-logging-enabled'] as never })).toEqual([])
  })
})

describe.skipIf(missingVectors())('an endorsement certificate of a real instance', () => {
  const der = (file: string) => {
    const text = readVectorText(`gce/tpm/certs/${file}`)
    return text.replaceAll(/-----[A-Z ]+-----/g, '').replaceAll(/\s/g, '')
  }
  const published = (file: string): InstanceFacts['tpm'] => ({
    endorsementKey: toBase64(parseCertificate(fromBase64(der(file))).spki),
    endorsementCertificate: der(file),
    attestationKey: null,
  })

  test('TD-38 names zone, project, instance id and name, and agrees with its record', () => {
    expect(complaints({ tpm: published('pca_tpm_rsa_enc_cert.pem') })).toEqual([])
  })
  test('TD-38 of another instance refuses', () => {
    expect(complaints({ tpm: published('uca_tpm_rsa_enc_cert.pem') })).toEqual([
      'appraisal.instance: instance 5780156274199835632, cs-debug in google.com:wuale-gcp-testing, us-central1-a',
    ])
  })
  test('of another key than the published one refuses', () => {
    const tpm = { ...published('pca_tpm_rsa_enc_cert.pem'), endorsementCertificate: der('pca_tpm_ecc_enc_cert.pem') }
    expect(complaints({ tpm })).toEqual(['endorsement.mismatch: of another key'])
  })
  test('that cannot be read is no certificate', () => {
    const tpm = { ...published('pca_tpm_rsa_enc_cert.pem'), endorsementCertificate: 'AAAA' }
    expect(() => complaints({ tpm })).toThrow(expect.objectContaining({ code: 'endorsement.malformed' }))
  })
})
