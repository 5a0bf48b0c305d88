import { type TcgLog, readPlatform, readSecureBoot, proofIn } from '@vouchsafe/tpm/eventlog'
import { TpmError } from '@vouchsafe/tpm/codec'
import type { CryptoPort } from '../base/crypto.ts'
import type { VerifiedClientTpm } from '../evidence/instance/client-tpm.ts'
import type { InstanceIdentity } from '../evidence/instance/identity-document.ts'
import type { InstanceFacts } from '../evidence/instance/instance-facts.ts'
import { assertVerified } from '../evidence/verified.ts'
import type { AssuranceClass } from './claims.ts'

/** The connection in which a client asked, as the broker saw it. */
export interface ClientChannel {
  readonly transport: 'mtls' | 'tls' | 'platform'
  readonly address: string
  /** SHA-256 of the client's verified certificate. */
  readonly certificate: string | null
  /** The account that the transport itself proves. */
  readonly account: string | null
}

/** What is known of a client of the distributor: signed identity, the platform's facts, connection, TPM. */
export interface ClientClaims {
  /** `unattested` when no TPM was verified. */
  readonly class: AssuranceClass | 'unattested'
  readonly simulated: boolean
  readonly identity: InstanceIdentity
  readonly facts: InstanceFacts
  readonly channel: ClientChannel
  readonly tpm: ClientTpmClaims | null
}

export interface ClientTpmClaims {
  readonly akName: string
  /** What vouches for the endorsement key beside the owner's pin. */
  readonly anchor: string | null
  readonly registers: Readonly<Record<string, string>>
  /** From a log that replays to the registers; null where none was shown, or where it does not say. */
  readonly secureBoot: boolean | null
  readonly technology: string | null
  readonly hasBootLog: boolean
  readonly hasSealKey: boolean
}

/**
 * The class follows from what vouches for the endorsement key (decision 9): an anchor, else the platform asked at this
 * moment, else the owner's pin alone. A simulated store has nothing but simulated clients.
 */
export function toClientClaims(
  parts: {
    readonly identity: InstanceIdentity
    readonly facts: InstanceFacts
    readonly channel: ClientChannel
    readonly tpm: VerifiedClientTpm | null
    readonly profile: 'production' | 'simulated'
  },
  crypto: CryptoPort,
): ClientClaims {
  const { identity, facts, channel, tpm, profile } = parts
  if (tpm !== null) assertVerified(tpm)
  return {
    class: tpm === null ? 'unattested' : classOf(tpm, facts, profile),
    simulated: profile === 'simulated',
    identity,
    facts,
    channel,
    tpm: tpm === null ? null : tpmClaims(tpm, crypto),
  }
}

function classOf(tpm: VerifiedClientTpm, facts: InstanceFacts, profile: 'production' | 'simulated'): AssuranceClass {
  if (profile === 'simulated') return 'simulated'
  if (tpm.anchor !== null) return tpm.anchor.class
  return facts.source === 'live' ? 'platform-vtpm' : 'tpm'
}

function tpmClaims(tpm: VerifiedClientTpm, crypto: CryptoPort): ClientTpmClaims {
  const log = tpm.bootLog
  return {
    akName: tpm.akName,
    anchor: tpm.anchor?.name ?? null,
    registers: tpm.registers,
    secureBoot: log === null ? null : said(() => readSecureBoot(log, proof(crypto)).enabled),
    technology: log === null ? null : said(() => technologyOf(log, crypto)),
    hasBootLog: log !== null,
    hasSealKey: tpm.sealKey !== null,
  }
}

function proof(crypto: CryptoPort) {
  return proofIn('sha256', crypto)
}

function technologyOf(log: TcgLog, crypto: CryptoPort): string | null {
  return readPlatform(log, proof(crypto)).gceTechnology ?? null
}

/** What a log does not prove it does not say: that is for the appraisal to hold against what was asked. */
function said<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof TpmError && error.code === 'evidence.log') return null
    throw error
  }
}
