import { evidence, VouchsafeError } from '@vouchsafe/core'
import type { Answer, EvidenceFile, EvidenceFormat } from './format.ts'
import { verifyHardware } from './verify-hardware.ts'

const [NAMES, VALUES, SHORT] = [41, 12, 24]

/** Reports and quotes of CPUs, paravisors and GPUs: raw, in hexadecimal or base64, or in a message of Trustee’s attesters. */
export const hardwareEvidence: EvidenceFormat = {
  name: 'hardware report or quote (SEV-SNP, TDX, SGX, Azure, Arm CCA, NVIDIA)',
  options: [
    'nonce',
    'withoutNonce',
    'teeNonce',
    'certificate',
    'collateral',
    'withoutCollateral',
    'trustRoot',
    'trustKey',
    'trustAnchors',
    'eventLog',
    'unexplained',
    'at',
  ],
  recognises(bytes) {
    return detected(bytes) !== undefined
  },
  async show(file) {
    const presented = present(file)
    return showParts(presented.format, await evidence.evidenceFields(presented))
  },
  verify: (file, options) => verifyHardware(present(file), options),
}

/** Every field with its meaning, part by part. */
export function showParts(format: string, parts: readonly evidence.EvidencePart[]): Answer {
  return {
    json: { verified: false, format, parts },
    text: [
      'NOT VERIFIED (vouchsafe evidence verify does that)',
      ...parts.flatMap(({ title, fields }) => ['', title, ...fields.map(lineOf)]),
    ].join('\n'),
  }
}

/** What is long stands below its meaning. */
function lineOf({ name, value, meaning }: evidence.EvidenceField): string {
  return value.length > SHORT
    ? `  ${name.padEnd(NAMES)} ${meaning}\n  ${' '.repeat(NAMES)} ${value}`
    : `  ${name.padEnd(NAMES)} ${value.padEnd(VALUES)} ${meaning}`
}

function present({ bytes }: EvidenceFile): evidence.PresentedEvidence {
  return evidence.readPresented(evidence.detectEvidence(bytes))
}

function detected(bytes: Uint8Array): evidence.EvidenceFormat | undefined {
  try {
    const { format, container } = evidence.detectEvidence(bytes)
    return container === 'gotpm' ? undefined : format
  } catch (error) {
    if (error instanceof VouchsafeError) return undefined
    throw error
  }
}
