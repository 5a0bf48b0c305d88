import { nounOf } from '../verbs.ts'

/** `vouchsafe image …`: from sources to an unpacked image, each step checked by digest. */
export const imageCommand = nounOf(
  'image',
  'build, compare, copy, sign, verify, encrypt, decrypt and pull OCI images',
  {
    build: async () => (await import('./build.ts')).buildVerb,
    tags: async () => (await import('./tags.ts')).tagsVerb,
    show: async () => (await import('./show.ts')).showVerb,
    diff: async () => (await import('./diff.ts')).diffVerb,
    copy: async () => (await import('./copy.ts')).copyVerb,
    key: async () => (await import('./sign.ts')).keyVerb,
    sign: async () => (await import('./sign.ts')).signVerb,
    attach: async () => (await import('./attach.ts')).attachVerb,
    verify: async () => (await import('./verify.ts')).verifyVerb,
    sbom: async () => (await import('./sbom.ts')).sbomVerb,
    provenance: async () => (await import('./provenance.ts')).provenanceVerb,
    record: async () => (await import('./record.ts')).recordVerb,
    proof: async () => (await import('./proof.ts')).proofVerb,
    approvals: async () => (await import('./approvals.ts')).approvalsVerb,
    encrypt: async () => (await import('./encrypt.ts')).encryptVerb,
    decrypt: async () => (await import('./decrypt.ts')).decryptVerb,
    pull: async () => (await import('./pull.ts')).pullVerb,
    list: async () => (await import('./store.ts')).listVerb,
    remove: async () => (await import('./store.ts')).removeVerb,
    keyprovider: async () => (await import('./key-provider.ts')).keyProviderVerb,
  },
  { push: 'copy', inspect: 'show' },
)
