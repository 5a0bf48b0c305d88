import { z } from 'zod'
import { ImageError } from '../errors.ts'
import { checkPrefix, readReference } from './signed-identity.ts'

const location = z.string().min(1).max(4096)
const locations = z.array(location).min(1).max(64)
const base64 = z
  .string()
  .min(1)
  .max(4 * 1024 * 1024)
  .refine((text) => Buffer.from(text, 'base64').toString('base64') === text, 'not base64')

const reference = z.string().refine((text) => {
  const read = readReference(text)
  return read !== undefined && (read.tag !== undefined || read.digest !== undefined)
}, 'not a reference with a tag or a digest')
const repository = z.string().refine((text) => {
  const read = readReference(text)
  return read !== undefined && read.tag === undefined && read.digest === undefined
}, 'not a repository name')
const prefix = z.string().superRefine((text, context) => {
  try {
    checkPrefix(text, 'prefix')
  } catch (error) {
    if (!(error instanceof ImageError)) throw error
    context.addIssue({ code: 'custom', message: error.message })
  }
})

const identitySchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('matchExact') }),
  z.strictObject({ type: z.literal('matchRepoDigestOrExact') }),
  z.strictObject({ type: z.literal('matchRepository') }),
  z.strictObject({ type: z.literal('exactReference'), dockerReference: reference }),
  z.strictObject({ type: z.literal('exactRepository'), dockerRepository: repository }),
  z.strictObject({ type: z.literal('remapIdentity'), prefix, signedPrefix: prefix }),
  z.strictObject({ type: z.literal('vouchsafeDigestOnly') }),
])
const signedIdentity = identitySchema.optional()

/** Where GPG key material is: one source, never two. */
const keyRing = { keyPath: location.optional(), keyPaths: locations.optional(), keyData: base64.optional() }
const KEY_TYPES = ['GPGKeys', 'signedByGPGKeys', 'X509Certificates', 'signedByX509CAs'] as const

/** Exactly one of these members. */
function oneOf(names: readonly string[]) {
  return (value: object, context: { addIssue(issue: { code: 'custom'; message: string }): void }) => {
    const given = names.filter((name) => Object.hasOwn(value, name))
    if (given.length !== 1)
      context.addIssue({
        code: 'custom',
        message: `exactly one of ${names.join(', ')} is wanted, ${given.length === 0 ? 'none' : given.join(' and ')} is there`,
      })
  }
}

const acceptSchema = z.strictObject({ type: z.literal('insecureAcceptAnything') })
export const rejectSchema = z.strictObject({ type: z.literal('reject') })

const signedBy = { type: z.literal('signedBy'), keyType: z.enum(KEY_TYPES), ...keyRing, signedIdentity }
const signedBySchema = z.strictObject(signedBy).superRefine(oneOf(['keyPath', 'keyPaths', 'keyData']))

/** Known to the format, implemented by nobody: it parses, and is never fulfilled. */
const signedBaseLayerSchema = z.strictObject({ type: z.literal('signedBaseLayer'), baseLayerIdentity: identitySchema })

const fulcioSchema = z
  .strictObject({
    caPath: location.optional(),
    caData: base64.optional(),
    oidcIssuer: z.string().min(1).max(1024),
    subjectEmail: z.string().min(1).max(1024),
  })
  .superRefine(oneOf(['caPath', 'caData']))

const pkiSchema = z
  .strictObject({
    caRootsPath: location.optional(),
    caRootsData: base64.optional(),
    caIntermediatesPath: location.optional(),
    caIntermediatesData: base64.optional(),
    subjectEmail: z.string().min(1).max(1024).optional(),
    subjectHostname: z.string().min(1).max(1024).optional(),
  })
  .superRefine(oneOf(['caRootsPath', 'caRootsData']))
  .refine((v) => v.caIntermediatesPath === undefined || v.caIntermediatesData === undefined, 'intermediates twice')
  .refine((v) => v.subjectEmail !== undefined || v.subjectHostname !== undefined, 'names no subject')

const REKOR = ['rekorPublicKeyPath', 'rekorPublicKeyPaths', 'rekorPublicKeyData', 'rekorPublicKeyDatas'] as const

const sigstoreSchema = z
  .strictObject({
    type: z.literal('sigstoreSigned'),
    ...keyRing,
    keyDatas: z.array(base64).min(1).max(64).optional(),
    fulcio: fulcioSchema.optional(),
    pki: pkiSchema.optional(),
    rekorPublicKeyPath: location.optional(),
    rekorPublicKeyPaths: locations.optional(),
    rekorPublicKeyData: base64.optional(),
    rekorPublicKeyDatas: z.array(base64).min(1).max(64).optional(),
    signedIdentity,
  })
  .superRefine(oneOf(['keyPath', 'keyPaths', 'keyData', 'keyDatas', 'fulcio', 'pki']))
  .superRefine((value, context) => {
    const rekor = REKOR.filter((name) => Object.hasOwn(value, name))
    const say = (message: string) => context.addIssue({ code: 'custom', message })
    if (rekor.length > 1) say(`at most one of ${REKOR.join(', ')}`)
    if (value.fulcio !== undefined && rekor.length === 0) say('fulcio needs the key of a transparency log')
    if (value.pki !== undefined && rekor.length > 0) say('pki and a transparency log exclude each other')
  })

/**
 * Ours (CS-11): so many of these signers, each by a key of its own. `signed` states what must carry the signature
 * where an index leads to the image (H02): the index, or the manifest of the platform. Left out: either will do.
 */
const signersSchema = z
  .strictObject({
    type: z.literal('vouchsafeSigners'),
    threshold: z.number().int().min(1).max(64),
    signers: z
      .array(
        z
          .strictObject({
            name: z.string().min(1).max(200),
            keyPath: location.optional(),
            keyData: base64.optional(),
          })
          .superRefine(oneOf(['keyPath', 'keyData'])),
      )
      .min(1)
      .max(64),
    signed: z.enum(['index', 'manifest']).optional(),
    signedIdentity,
  })
  .refine((v) => v.threshold <= v.signers.length, 'threshold: more than there are signers')
  .refine((v) => new Set(v.signers.map(({ name }) => name)).size === v.signers.length, 'signers: a name twice')

/** Ours (GU-28): a signature of a scheme that a module brings. What the module does not know of, it refuses. */
const schemeSchema = z.strictObject({
  type: z.literal('vouchsafeScheme'),
  scheme: z.string().regex(/^[a-z][a-z0-9.-]{0,63}$/),
  parameters: z.record(z.string().min(1).max(200), z.unknown()),
  signedIdentity,
})

/** By `type`, as containers-policy.json(5) has them, and our own. */
export const requirementSchemas = {
  insecureAcceptAnything: acceptSchema,
  reject: rejectSchema,
  signedBy: signedBySchema,
  signedBaseLayer: signedBaseLayerSchema,
  sigstoreSigned: sigstoreSchema,
  vouchsafeSigners: signersSchema,
  vouchsafeScheme: schemeSchema,
} as const

const schemeKeys = { keyPath: location.optional(), keyData: base64.optional() }
/** `signedBy` of the older layout. */
export const signedBySimpleSchema = z
  .strictObject({
    type: z.literal('signedBy'),
    scheme: z.literal('simple'),
    keyType: z.enum(KEY_TYPES),
    ...schemeKeys,
    signedIdentity,
  })
  .superRefine(oneOf(['keyPath', 'keyData']))
export const signedByCosignSchema = z
  .strictObject({ type: z.literal('signedBy'), scheme: z.literal('cosign'), ...schemeKeys, signedIdentity })
  .superRefine(oneOf(['keyPath', 'keyData']))

export type SignedBy = z.infer<typeof signedBySchema>
export type SigstoreSigned = z.infer<typeof sigstoreSchema>
export type Signers = z.infer<typeof signersSchema>
export type OfScheme = z.infer<typeof schemeSchema>

/** One condition; all of a scope's list must hold. */
export type Requirement =
  | z.infer<typeof acceptSchema>
  | z.infer<typeof rejectSchema>
  | SignedBy
  | z.infer<typeof signedBaseLayerSchema>
  | SigstoreSigned
  | Signers
  | OfScheme
