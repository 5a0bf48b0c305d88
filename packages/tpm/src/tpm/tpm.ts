import type { SoftwareHash } from '../codec/algorithms.ts'
import type { TpmTicket } from '../codec/creation.ts'
import type { EccPoint } from '../codec/public-area.ts'
import type { TpmSignature } from '../codec/signature.ts'
import { openTransport } from '../transport/open-transport.ts'
import { activateCredential } from './activate-credential.ts'
import type { ActivateCredentialOptions } from './activate-credential.ts'
import { attestTime, certify, certifyCreation, certifyNv, quote, quoteSelections } from './attestation.ts'
import type { Quote, QuoteOptions, SignedAttest } from './attestation.ts'
import { TpmConnection } from './connection.ts'
import type { TpmOptions } from './connection.ts'
import { duplicate } from './duplicate.ts'
import type { Duplicate } from './duplicate.ts'
import { readEkCertificateChain, readEkCertificates } from './ek-certificates.ts'
import type { EkCertificate } from './ek-certificates.ts'
import type { PersistentKey, TpmObject } from './entity.ts'
import type { Executor } from './executor.ts'
import { hash, hmac } from './hashing.ts'
import type { TpmDigest } from './hashing.ts'
import { create, createPrimary, evict, importObject, load, openKey, persist } from './keys.ts'
import type { CreateChildOptions, CreatedObject, CreatePrimaryOptions, ImportOptions, LoadOptions } from './keys.ts'
import { loadExternal } from './load-external.ts'
import { nvDefine, nvExtend, nvIncrement, nvRead, nvUndefine, nvWrite, openNv } from './nv.ts'
import type { NvAccess, NvIndex } from './nv.ts'
import { loadContext, saveContext } from './saved-context.ts'
import { seal, unseal, unsealImported } from './seal.ts'
import type { SealOptions, UnsealOptions } from './seal.ts'
import { changeAuth, ecdhZGen, rsaDecrypt, sign, verifySignature } from './use-key.ts'

type Rest<F> = F extends (tpm: Executor, ...rest: infer R) => unknown ? R : never

/**
 * One TPM 2.0.
 *
 * Calls may be made at any time and run one after the other. Objects and sessions are moved in and out of the TPM as
 * needed. What a TPM says is believed only where its structure, name or session HMAC can be checked; whether it is a
 * genuine TPM is a verifier's question, not one that this class answers.
 */
export class Tpm extends TpmConnection {
  /** Opens the TPM at `address` (default: this machine's), in the form that `openTransport` describes. */
  static async open(address = 'device', options: TpmOptions = {}): Promise<Tpm> {
    return new Tpm(await openTransport(address), options)
  }

  createPrimary(options: CreatePrimaryOptions): Promise<TpmObject> {
    return createPrimary(this.executor, options)
  }

  create(options: CreateChildOptions): Promise<CreatedObject> {
    return create(this.executor, options)
  }

  load(options: LoadOptions): Promise<TpmObject> {
    return load(this.executor, options)
  }

  loadExternal(options: Rest<typeof loadExternal>[0]): Promise<TpmObject> {
    return loadExternal(this.executor, options)
  }

  /** Takes a duplicate in; the result is what `load` needs as `private`. */
  import(options: ImportOptions): Promise<Uint8Array> {
    return importObject(this.executor, options)
  }

  /** A persistent key by its handle. */
  openKey(handle: number, authValue?: Uint8Array): Promise<PersistentKey> {
    return openKey(this.executor, handle, authValue)
  }

  /** Keeps a loaded object under a persistent handle. */
  persist(options: Rest<typeof persist>[0]): Promise<PersistentKey> {
    return persist(this.executor, options)
  }

  /** Removes a persistent object. */
  evict(options: Rest<typeof evict>[0]): Promise<void> {
    return evict(this.executor, options)
  }

  /** Quotes registers of one bank together with their values. */
  quote<H extends SoftwareHash>(options: QuoteOptions<H>): Promise<Quote<H>> {
    return quote(this.executor, options)
  }

  /** Quotes any selection, without values. */
  quoteSelections(options: Rest<typeof quoteSelections>[0]): Promise<SignedAttest> {
    return quoteSelections(this.executor, options)
  }

  certify(options: Rest<typeof certify>[0]): Promise<SignedAttest> {
    return certify(this.executor, options)
  }

  certifyCreation(options: Rest<typeof certifyCreation>[0]): Promise<SignedAttest> {
    return certifyCreation(this.executor, options)
  }

  attestTime(options: Rest<typeof attestTime>[0]): Promise<SignedAttest> {
    return attestTime(this.executor, options)
  }

  certifyNv(options: Rest<typeof certifyNv>[0]): Promise<SignedAttest> {
    return certifyNv(this.executor, options)
  }

  /** Answers a credential challenge. */
  activateCredential(options: ActivateCredentialOptions): Promise<Uint8Array> {
    return activateCredential(this.executor, options)
  }

  /** Seals at most 128 bytes to this TPM and a policy. */
  seal(options: SealOptions): Promise<CreatedObject> {
    return seal(this.executor, options)
  }

  unseal(options: UnsealOptions): Promise<Uint8Array> {
    return unseal(this.executor, options)
  }

  /** Opens what `sealToKey` sealed to a key of this TPM. */
  unsealImported(options: Rest<typeof unsealImported>[0]): Promise<Uint8Array> {
    return unsealImported(this.executor, options)
  }

  /** An NV index with its public area. */
  openNv(index: number, authValue?: Uint8Array): Promise<NvIndex> {
    return openNv(this.executor, index, authValue)
  }

  nvDefine(options: Rest<typeof nvDefine>[0]): Promise<NvIndex> {
    return nvDefine(this.executor, options)
  }

  nvUndefine(options: Rest<typeof nvUndefine>[0]): Promise<void> {
    return nvUndefine(this.executor, options)
  }

  nvRead(index: number, options: Rest<typeof nvRead>[1] = {}): Promise<Uint8Array> {
    return nvRead(this.executor, index, options)
  }

  nvWrite(index: number, data: Uint8Array, options: Rest<typeof nvWrite>[2] = {}): Promise<void> {
    return nvWrite(this.executor, index, data, options)
  }

  nvIncrement(index: number, options: NvAccess = {}): Promise<void> {
    return nvIncrement(this.executor, index, options)
  }

  nvExtend(index: number, data: Uint8Array, options: NvAccess = {}): Promise<void> {
    return nvExtend(this.executor, index, data, options)
  }

  /** Signs a digest. A restricted key signs only digests that the TPM made itself: give the ticket of `hash`. */
  sign(options: Rest<typeof sign>[0]): Promise<TpmSignature> {
    return sign(this.executor, options)
  }

  /** Throws unless the signature is good. Here that is slow; it is for the ticket that PolicyAuthorize takes. */
  verifySignature(options: Rest<typeof verifySignature>[0]): Promise<TpmTicket> {
    return verifySignature(this.executor, options)
  }

  rsaDecrypt(options: Rest<typeof rsaDecrypt>[0]): Promise<Uint8Array> {
    return rsaDecrypt(this.executor, options)
  }

  ecdhZGen(options: Rest<typeof ecdhZGen>[0]): Promise<EccPoint> {
    return ecdhZGen(this.executor, options)
  }

  /** Hashes data of any length in the TPM, for the ticket. */
  hash(data: Uint8Array, options: Rest<typeof hash>[1]): Promise<TpmDigest> {
    return hash(this.executor, data, options)
  }

  hmac(data: Uint8Array, options: Rest<typeof hmac>[1]): Promise<Uint8Array> {
    return hmac(this.executor, data, options)
  }

  /** Gives an object another password; the result is its new private part. */
  changeAuth(options: Rest<typeof changeAuth>[0]): Promise<Uint8Array> {
    return changeAuth(this.executor, options)
  }

  /** Exports an object to another parent. */
  duplicate(options: Rest<typeof duplicate>[0]): Promise<Duplicate> {
    return duplicate(this.executor, options)
  }

  /** Saves a loaded object as bytes, good in this TPM until its next reset. */
  saveContext(object: TpmObject): Promise<Uint8Array> {
    return saveContext(this.executor, object)
  }

  loadContext(saved: Uint8Array, options: Rest<typeof loadContext>[1] = {}): Promise<TpmObject> {
    return loadContext(this.executor, saved, options)
  }

  /** The endorsement key certificates that this TPM carries; unchecked. */
  readEkCertificates(): Promise<readonly EkCertificate[]> {
    return readEkCertificates(this.executor)
  }

  /** Certificates of issuing authorities that this TPM carries; unchecked. */
  readEkCertificateChain(): Promise<readonly Uint8Array[]> {
    return readEkCertificateChain(this.executor)
  }
}
