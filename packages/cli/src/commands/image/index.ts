import { Command } from 'commander'
import type { Done } from '../options.ts'
import { approvalsVerb } from './approvals.ts'
import { attachVerb } from './attach.ts'
import { buildVerb } from './build.ts'
import { copyVerb } from './copy.ts'
import { decryptVerb } from './decrypt.ts'
import { diffVerb } from './diff.ts'
import { encryptVerb } from './encrypt.ts'
import { keyProviderVerb } from './key-provider.ts'
import { proofVerb } from './proof.ts'
import { provenanceVerb } from './provenance.ts'
import { pullVerb } from './pull.ts'
import { recordVerb } from './record.ts'
import { sbomVerb } from './sbom.ts'
import { showVerb } from './show.ts'
import { keyVerb, signVerb } from './sign.ts'
import { listVerb, removeVerb } from './store.ts'
import { verifyVerb } from './verify.ts'

const VERBS = [
  buildVerb,
  showVerb,
  diffVerb,
  copyVerb,
  keyVerb,
  signVerb,
  attachVerb,
  verifyVerb,
  sbomVerb,
  provenanceVerb,
  recordVerb,
  proofVerb,
  approvalsVerb,
  encryptVerb,
  decryptVerb,
  pullVerb,
  listVerb,
  removeVerb,
  keyProviderVerb,
]

/** `vouchsafe image …`: from sources to an unpacked image, each step checked by digest. */
export function imageCommand(done: Done): Command {
  const image = new Command('image').description(
    'build, compare, copy, sign, verify, encrypt, decrypt and pull OCI images',
  )
  for (const verb of VERBS) image.addCommand(verb(done))
  return image
}
