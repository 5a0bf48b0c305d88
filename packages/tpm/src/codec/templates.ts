import type { CurveName } from './algorithms.ts'
import { objectAttributes } from './public-area.ts'
import type { ObjectAttribute, TpmEccPublic, TpmPublic, TpmRsaPublic } from './public-area.ts'

/** PolicySecret(TPM_RH_ENDORSEMENT) from zero, SHA-256: the policy of the low-range EK templates ("Policy A"). */
export const EK_POLICY_A_SHA256 = hex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa')
/** PolicyOR of "Policy A" and an NV-authorized policy, the policy of the high-range templates ("Policy B"). */
const EK_POLICY_B = {
  sha256: hex('ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0'),
  sha384: hex('b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12'),
  sha512: hex(
    'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
  ),
} as const

const EK_LOW: readonly ObjectAttribute[] = [
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
]
const EK_HIGH: readonly ObjectAttribute[] = [...EK_LOW, 'userWithAuth']
const STORAGE: readonly ObjectAttribute[] = [
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'noDA',
  'restricted',
  'decrypt',
]
const ATTESTATION: readonly ObjectAttribute[] = [
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'restricted',
  'sign',
]

const NO_POLICY = new Uint8Array()
const AES_128 = { algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const
const AES_256 = { algorithm: 'aes', keyBits: 256, mode: 'cfb' } as const
const NULL_SCHEME = { scheme: 'null' } as const

type Shared = Pick<TpmPublic, 'nameAlg' | 'attributes' | 'authPolicy'>

function rsa(
  shared: Shared,
  symmetric: TpmRsaPublic['symmetric'],
  scheme: TpmRsaPublic['scheme'],
  keyBits: number,
  uniqueBytes: number,
): TpmRsaPublic {
  return { type: 'rsa', ...shared, symmetric, scheme, keyBits, exponent: 0, modulus: new Uint8Array(uniqueBytes) }
}

function ecc(
  shared: Shared,
  symmetric: TpmEccPublic['symmetric'],
  scheme: TpmEccPublic['scheme'],
  curve: CurveName,
  uniqueBytes: number,
): TpmEccPublic {
  const unique = { x: new Uint8Array(uniqueBytes), y: new Uint8Array(uniqueBytes) }
  return { type: 'ecc', ...shared, symmetric, scheme, curve, kdf: NULL_SCHEME, ...unique }
}

const ekLow: Shared = {
  nameAlg: 'sha256',
  attributes: objectAttributes(...EK_LOW),
  authPolicy: EK_POLICY_A_SHA256,
}

function ekHigh(nameAlg: keyof typeof EK_POLICY_B): Shared {
  return { nameAlg, attributes: objectAttributes(...EK_HIGH), authPolicy: EK_POLICY_B[nameAlg] }
}

const storage: Shared = { nameAlg: 'sha256', attributes: objectAttributes(...STORAGE), authPolicy: NO_POLICY }
const attestation: Shared = { nameAlg: 'sha256', attributes: objectAttributes(...ATTESTATION), authPolicy: NO_POLICY }

/**
 * Public areas from which CreatePrimary makes well-known keys. The same template in the same hierarchy gives the same key
 * until that hierarchy's seed changes.
 *
 * `ek…` are the TCG's default endorsement key templates: without suffix those of the low range (L-1, L-2), which allow
 * use by PolicySecret(endorsement) only; with `H` those of the high range, which also allow the key's empty password.
 * `ak…` are restricted signing keys: they sign only what the TPM itself says.
 *
 * @source TCG EK Credential Profile for TPM Family 2.0, Annex B; TCG TPM v2.0 Provisioning Guidance
 */
export const TEMPLATES = {
  /** L-1 */
  ekRsa2048: rsa(ekLow, AES_128, NULL_SCHEME, 2048, 256),
  /** L-2 */
  ekEccP256: ecc(ekLow, AES_128, NULL_SCHEME, 'P-256', 32),
  /** H-1 */
  ekRsa2048H: rsa(ekHigh('sha256'), AES_128, NULL_SCHEME, 2048, 0),
  /** H-2 */
  ekEccP256H: ecc(ekHigh('sha256'), AES_128, NULL_SCHEME, 'P-256', 0),
  /** H-3 */
  ekEccP384H: ecc(ekHigh('sha384'), AES_256, NULL_SCHEME, 'P-384', 0),
  /** H-4 */
  ekEccP521H: ecc(ekHigh('sha512'), AES_256, NULL_SCHEME, 'P-521', 0),
  /** H-6 */
  ekRsa3072H: rsa(ekHigh('sha384'), AES_256, NULL_SCHEME, 3072, 0),

  srkRsa2048: rsa(storage, AES_128, NULL_SCHEME, 2048, 256),
  srkEccP256: ecc(storage, AES_128, NULL_SCHEME, 'P-256', 32),

  akRsa2048: rsa(attestation, { algorithm: 'null' }, { scheme: 'rsassa', hash: 'sha256' }, 2048, 0),
  akEccP256: ecc(attestation, { algorithm: 'null' }, { scheme: 'ecdsa', hash: 'sha256' }, 'P-256', 0),
  akEccP384: ecc(
    { ...attestation, nameAlg: 'sha384' },
    { algorithm: 'null' },
    { scheme: 'ecdsa', hash: 'sha384' },
    'P-384',
    0,
  ),
} as const satisfies Record<string, TpmPublic>
export type TemplateName = keyof typeof TEMPLATES

/** Handles at which these keys are kept by convention. */
export const WELL_KNOWN_HANDLES = {
  srkRsa2048: 0x81000001,
  srkEccP256: 0x81000002,
  ekRsa2048: 0x81010001,
  ekEccP256: 0x81010002,
} as const

/** A sealed data object: no key, only data that its policy or password protects. */
export function sealedDataTemplate(options: {
  readonly attributes: readonly ObjectAttribute[]
  readonly authPolicy?: Uint8Array
}): TpmPublic {
  return {
    type: 'keyedhash',
    nameAlg: 'sha256',
    attributes: objectAttributes(...options.attributes),
    authPolicy: options.authPolicy ?? NO_POLICY,
    scheme: NULL_SCHEME,
    unique: new Uint8Array(),
  }
}

function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (octet) => Number.parseInt(octet, 16))
}
