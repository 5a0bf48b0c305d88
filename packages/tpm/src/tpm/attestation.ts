import { DIGEST_BYTES, softwareHash } from '../codec/algorithms.ts'
import type { SoftwareHash } from '../codec/algorithms.ts'
import { parseTpmQuote } from '../codec/attest.ts'
import { TpmError } from '../codec/errors.ts'
import { encodeTpmPublic } from '../codec/public-area.ts'
import type { PcrSelection } from '../codec/pcr-selection.ts'
import { encodeTpmSignature } from '../codec/signature.ts'
import type { SigningScheme, TpmSignature } from '../codec/signature.ts'
import { digest } from '../crypto/digest.ts'
import type { Authorization, SessionUse } from '../session/authorization.ts'
import type { CreationProof, TpmEntity, TpmKey } from './entity.ts'
import type { HandleArgument } from './entity.ts'
import type { Executor } from './executor.ts'
import { authorizing } from './key-authorization.ts'
import type { KeyAuthorization } from './key-authorization.ts'
import { ALL_PCRS } from '../verify/verify-tpm-quote.ts'
import { pcrRead } from './pcr.ts'
import type { PcrBank } from './pcr-bank.ts'

/** A statement that a TPM signed, as it goes to a verifier. */
export interface SignedAttest {
  /** TPMS_ATTEST: exactly the bytes under the signature. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE */
  readonly signature: Uint8Array
  /** TPMT_PUBLIC of the key that signed. */
  readonly akPublic: Uint8Array
}

/** A quote with the register values it is over. */
export interface Quote<H extends SoftwareHash = SoftwareHash> extends SignedAttest {
  readonly pcrs: PcrBank<H>
}

export interface SignOptions {
  /** An attestation key: restricted, for signing. */
  readonly key: TpmKey
  readonly auth?: KeyAuthorization
  /** The verifier's nonce, or what commits to it; at most 32 bytes are safe on every TPM. */
  readonly extraData: Uint8Array
  /** For keys without a scheme of their own. Default: the key's. */
  readonly scheme?: SigningScheme
  readonly sessions?: readonly SessionUse[]
}

export interface QuoteOptions<H extends SoftwareHash> extends SignOptions {
  readonly bank: H
  /** Default: all 24. */
  readonly pcrs?: readonly number[]
}

const KEYS_OWN_SCHEME: SigningScheme = { scheme: 'null' }
/** Registers that change between reading and quoting are read again, so often. */
const MAX_ATTEMPTS = 8

/**
 * Quotes registers of one bank and reads their values, so that the two agree: when something extends a register in
 * between, both are done again.
 */
export async function quote<H extends SoftwareHash>(tpm: Executor, options: QuoteOptions<H>): Promise<Quote<H>> {
  const { bank } = options
  const pcrs = options.pcrs ?? ALL_PCRS
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const values = await pcrRead(tpm, bank, pcrs)
    const signed = await quoteSelections(tpm, { ...options, selections: [{ hash: bank, pcrs }] })
    const { pcrDigest } = parseTpmQuote(signed.attest)
    if (Buffer.compare(digest(digestHashOf(pcrDigest, options.key), ...values.values.values()), pcrDigest) === 0)
      return { ...signed, pcrs: values }
  }
  throw new TpmError('tpm.unavailable', `${bank} registers changed during each of ${MAX_ATTEMPTS} quotes`)
}

/** The digest in a quote is made with the hash of the signature scheme. */
function digestHashOf(pcrDigest: Uint8Array, { public: area }: TpmKey): SoftwareHash {
  const scheme = area.type === 'rsa' || area.type === 'ecc' ? area.scheme : undefined
  if (scheme !== undefined && 'hash' in scheme) return softwareHash(scheme.hash)
  const hashes = Object.keys(DIGEST_BYTES) as (keyof typeof DIGEST_BYTES)[]
  return softwareHash(hashes.find((hash) => DIGEST_BYTES[hash] === pcrDigest.length) ?? 'null')
}

/** Quotes any selection, also over several banks, without reading values. */
export function quoteSelections(
  tpm: Executor,
  options: SignOptions & { readonly selections: readonly PcrSelection[] },
): Promise<SignedAttest> {
  return signed(tpm, options, async (signHandle, common) => {
    const args = { ...common, signHandle: options.key, pcrSelect: options.selections }
    const { quoted, signature } = await tpm.run('Quote', args, { auth: { signHandle }, ...sessionsOf(options) })
    return { attest: quoted, signature }
  })
}

/** Has `key` state that `object` is loaded in the same TPM, and its name. */
export function certify(
  tpm: Executor,
  options: SignOptions & { readonly object: TpmKey; readonly objectAuth?: KeyAuthorization },
): Promise<SignedAttest> {
  return signed(tpm, options, (signHandle, common) =>
    authorizing(tpm, options.object, options.objectAuth, async (objectHandle) => {
      const args = { ...common, signHandle: options.key, objectHandle: options.object }
      const auth = { signHandle, objectHandle }
      const { certifyInfo, signature } = await tpm.run('Certify', args, { auth, ...sessionsOf(options) })
      return { attest: certifyInfo, signature }
    }),
  )
}

/** Has `key` state how `object` was created: the state of the registers at that time, its parent, the caller's data. */
export function certifyCreation(
  tpm: Executor,
  options: SignOptions & { readonly object: TpmKey; readonly creation: Pick<CreationProof, 'hash' | 'ticket'> },
): Promise<SignedAttest> {
  return signed(tpm, options, async (signHandle, common) => {
    const { hash: creationHash, ticket: creationTicket } = options.creation
    const args = { ...common, signHandle: options.key, objectHandle: options.object, creationHash, creationTicket }
    const { certifyInfo, signature } = await tpm.run('CertifyCreation', args, {
      auth: { signHandle },
      ...sessionsOf(options),
    })
    return { attest: certifyInfo, signature }
  })
}

/** Has `key` state the TPM's clock, reset and restart counts. */
export function attestTime(
  tpm: Executor,
  options: SignOptions & {
    /** With its password. Default: without. */
    readonly endorsement?: TpmEntity
  },
): Promise<SignedAttest> {
  return signed(tpm, options, async (signHandle, common) => {
    const privacyAdminHandle: HandleArgument = options.endorsement ?? 'endorsement'
    const args = { ...common, signHandle: options.key, privacyAdminHandle }
    const { timeInfo, signature } = await tpm.run('GetTime', args, { auth: { signHandle }, ...sessionsOf(options) })
    return { attest: timeInfo, signature }
  })
}

/** Has `key` state the contents of an NV index. */
export function certifyNv(
  tpm: Executor,
  options: SignOptions & {
    readonly index: TpmEntity
    readonly offset?: number
    readonly size: number
    /** Who authorizes the reading. Default: the index itself. */
    readonly authority?: HandleArgument
  },
): Promise<SignedAttest> {
  return signed(tpm, options, async (signHandle, common) => {
    const { index, size, offset = 0 } = options
    const args = {
      ...common,
      signHandle: options.key,
      authHandle: options.authority ?? index,
      nvIndex: index,
      size,
      offset,
    }
    const { certifyInfo, signature } = await tpm.run('NV_Certify', args, {
      auth: { signHandle },
      ...sessionsOf(options),
    })
    return { attest: certifyInfo, signature }
  })
}

/** What all statements have in common: the key's authorization, the caller's data, the scheme, the form of the result. */
async function signed(
  tpm: Executor,
  options: SignOptions,
  run: (
    signHandle: Authorization | undefined,
    common: { readonly qualifyingData: Uint8Array; readonly inScheme: SigningScheme },
  ) => Promise<{ readonly attest: Uint8Array; readonly signature: TpmSignature }>,
): Promise<SignedAttest> {
  const { key, extraData: qualifyingData, scheme: inScheme = KEYS_OWN_SCHEME } = options
  const { attest, signature } = await authorizing(tpm, key, options.auth, (signHandle) =>
    run(signHandle, { qualifyingData, inScheme }),
  )
  return { attest, signature: encodeTpmSignature(signature), akPublic: encodeTpmPublic(key.public) }
}

function sessionsOf({ sessions = [] }: SignOptions) {
  return { sessions }
}
