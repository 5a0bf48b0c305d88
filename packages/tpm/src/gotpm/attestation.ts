import { create } from '@bufbuild/protobuf'
import { TpmError } from '../codec/errors.ts'
import type { HashName } from '../verify/crypto.ts'
import type { PcrValues } from '../verify/verify-tpm-quote.ts'
import { AttestationSchema } from './gen/attest_pb.js'
import type { Attestation } from './gen/attest_pb.js'
import { HashAlgo } from './gen/tpm_pb.js'
import type { PCRs } from './gen/tpm_pb.js'
import { teeAttestation } from './tee-report.ts'
import type { TeeReport } from './tee-report.ts'

const BANKS = {
  sha1: HashAlgo.SHA1,
  sha256: HashAlgo.SHA256,
  sha384: HashAlgo.SHA384,
  sha512: HashAlgo.SHA512,
} as const

/** What a machine collects for its verifier. */
export interface CollectedAttestation {
  /** TPMT_PUBLIC */
  readonly akPublic: Uint8Array
  /** One for each bank that the TPM has, all over the same nonce. */
  readonly quotes: readonly { readonly attest: Uint8Array; readonly signature: Uint8Array; readonly pcrs: PcrValues }[]
  /** Boot log, as the kernel gives it; empty when there is none. */
  readonly eventLog: Uint8Array
  readonly canonicalEventLog?: Uint8Array
  /** DER */
  readonly akCertificate?: Uint8Array
  /** DER */
  readonly intermediates?: readonly Uint8Array[]
  readonly tee?: TeeReport
}

/** An attestation as `gotpm attest` writes it and `gotpm verify debug` reads it; see `writeGotpm`. */
export function gotpmAttestation(collected: CollectedAttestation): Attestation {
  return create(AttestationSchema, {
    akPub: collected.akPublic,
    quotes: collected.quotes.map(({ attest, signature, pcrs }) => ({
      quote: attest,
      rawSig: signature,
      pcrs: { hash: hashAlgo(pcrs.bank), pcrs: Object.fromEntries(pcrs.values) },
    })),
    eventLog: collected.eventLog,
    canonicalEventLog: collected.canonicalEventLog ?? new Uint8Array(),
    akCert: collected.akCertificate ?? new Uint8Array(),
    intermediateCerts: [...(collected.intermediates ?? [])],
    ...(collected.tee !== undefined && { teeAttestation: teeAttestation(collected.tee) }),
  })
}

/** The enum member of a bank. */
export function hashAlgo(bank: HashName): HashAlgo {
  return BANKS[bank]
}

/**
 * Registers of one bank, as a message has them.
 *
 * @throws {TpmError} `input.malformed`
 */
export function pcrValues(pcrs: PCRs | undefined): PcrValues {
  const bank = (Object.keys(BANKS) as HashName[]).find((name) => BANKS[name] === pcrs?.hash)
  if (pcrs === undefined || bank === undefined) throw new TpmError('input.malformed', 'PCRs: no bank')
  return { bank, values: new Map(Object.entries(pcrs.pcrs).map(([pcr, value]) => [Number(pcr), value])) }
}
