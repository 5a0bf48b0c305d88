import type { CryptoPort } from '../../base/crypto.ts'
import { fromHex, fromUtf8, utf8 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { parseSchema } from '../../base/schema.ts'
import { type Json, parseStrictJson } from '../../base/strict-json.ts'
import {
  type Anchor,
  attribute,
  OID,
  parseCertificate,
  parsePem,
  parseRevocationList,
  type RevocationList,
  type EndorsementMemo,
  verifyChain,
} from '../../x509/index.ts'
import { assertWholeChain } from './pck.ts'
import { markVerified, type Verified } from '../verified.ts'
import { type QeIdentity, qeIdentitySchema, type TcbInfo, tcbInfoSchema } from './collateral-schema.ts'

/** A document as Intel's service answers it: the signature covers the exact bytes of the value. */
export interface SignedDocument {
  /** The JSON value that was signed, byte for byte. */
  readonly body: Uint8Array
  /** r ‖ s, P-256 over SHA-256. */
  readonly signature: Uint8Array
  /** PEM, signer first. From a response header. */
  readonly issuerChain: string
}

/** Everything beside a quote that judging it takes, as fetched. */
export interface DcapCollateralInput {
  readonly tcbInfo: SignedDocument
  readonly qeIdentity: SignedDocument
  /** DER: of the CA that issued the platform's certificate, and of the root. */
  readonly pckCrl: Uint8Array
  readonly rootCrl: Uint8Array
}

/** Collateral whose signatures were checked, and which holds from `from` until before `until`. */
export interface DcapCollateralContent {
  readonly tcbInfo: TcbInfo
  readonly qeIdentity: QeIdentity
  readonly lists: readonly [pck: RevocationList, root: RevocationList]
  readonly from: Date
  readonly until: Date
  /** As it was given, for whoever records what a judgement rested on. */
  readonly input: DcapCollateralInput
}
export type VerifiedDcapCollateral = Verified<DcapCollateralContent>

export interface CollateralTrust {
  /** Intel's SGX root, or a fake of it in tests. */
  readonly anchors: readonly Anchor[]
  readonly at: Date
  readonly memo?: EndorsementMemo
}

const MAX_BYTES = 512 * 1024

/**
 * Takes a response apart: `{"tcbInfo":…,"signature":"…"}` or `{"enclaveIdentity":…,"signature":"…"}`. What was signed is
 * cut out of the text, never re-serialised (decision 3).
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 */
export function readSignedDocument(
  response: Uint8Array,
  member: 'tcbInfo' | 'enclaveIdentity',
  issuerChain: string,
): SignedDocument {
  if (response.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `${member}: over ${MAX_BYTES} bytes`)
  const match = /^\{"([A-Za-z]+)":(\{.*\}),"signature":"([0-9a-f]{128})"\}\s*$/s.exec(fromUtf8(response, member))
  const [, found, body, signature] = match ?? []
  // strict reading of the body follows, and refuses it if it is more than one value
  if (found !== member || body === undefined || signature === undefined)
    throw new VouchsafeError('endorsement.malformed', `${member}: response is not {"${member}":{…},"signature":"…"}`)
  return { body: utf8(body), signature: fromHex(signature, `${member}.signature`, 64), issuerChain }
}

/**
 * Checks collateral once, for any number of quotes: signatures by Intel's TCB signing key, chain and revocation of that
 * key, both revocation lists, and that all of it holds at `at` (D09).
 *
 * @throws {VouchsafeError} `endorsement.malformed`, `endorsement.untrusted`, `endorsement.expired`, `endorsement.revoked`
 */
export async function verifyDcapCollateral(
  input: DcapCollateralInput,
  trust: CollateralTrust,
  crypto: CryptoPort,
): Promise<VerifiedDcapCollateral> {
  const lists = [parseRevocationList(input.pckCrl), parseRevocationList(input.rootCrl)] as const
  const context = { ...trust, lists, crypto }
  const info = await verifyDocument('tcbInfo', input.tcbInfo, context)
  const identity = await verifyDocument('enclaveIdentity', input.qeIdentity, context)
  const tcbInfo = fits(() => parseSchema(tcbInfoSchema, info.json, 'tcbInfo'))
  const qeIdentity = fits(() => parseSchema(qeIdentitySchema, identity.json, 'enclaveIdentity'))
  if ((tcbInfo.id === 'TDX') !== (qeIdentity.id === 'TD_QE'))
    throw new VouchsafeError('endorsement.mismatch', `tcbInfo is of ${tcbInfo.id}, enclaveIdentity of ${qeIdentity.id}`)
  for (const [what, document] of [
    ['tcbInfo', tcbInfo],
    ['enclaveIdentity', qeIdentity],
  ] as const)
    assertWithin(what, document.issueDate, document.nextUpdate, trust.at)
  const starts = [tcbInfo.issueDate, qeIdentity.issueDate, ...lists.map((list) => list.thisUpdate)]
  const ends = [
    tcbInfo.nextUpdate,
    qeIdentity.nextUpdate,
    ...lists.map((list) => list.nextUpdate),
    info.until,
    identity.until,
  ]
  const [from, until] = [Math.max(...starts.map(Number)), Math.min(...ends.map(Number))]
  return markVerified({ tcbInfo, qeIdentity, lists, from: new Date(from), until: new Date(until), input })
}

async function verifyDocument(
  what: 'tcbInfo' | 'enclaveIdentity',
  document: SignedDocument,
  { anchors, at, memo, lists, crypto }: CollateralTrust & { lists: readonly RevocationList[]; crypto: CryptoPort },
): Promise<{ json: Json; until: Date }> {
  const [signer, ...others] = parsePem(document.issuerChain, 'CERTIFICATE').map((der) => parseCertificate(der))
  if (signer === undefined) throw new VouchsafeError('endorsement.malformed', `${what}: no issuer chain`)
  const chain = await verifyChain({
    leaf: signer,
    intermediates: others,
    anchors,
    at,
    crypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: 'any',
    revocation: { lists, require: 'every' },
    ...(memo && { memo }),
  })
  assertWholeChain(others, chain)
  const { path, validUntil } = chain
  // everything under the root has a signing key: only this one may speak of TCBs, and only when the root itself made it
  const name = attribute(signer.subject, OID.commonName)
  if (name !== 'Intel SGX TCB Signing' || path.length !== 1)
    throw new VouchsafeError(
      'endorsement.untrusted',
      `${what}: signed by ${signer.label}, not by Intel SGX TCB Signing`,
    )
  const key = await crypto.importPublicKey(signer.spki)
  const scheme = { kind: 'ecdsa', hash: 'sha256', encoding: 'raw' } as const
  if (!(await crypto.verify(key, scheme, document.body, document.signature)))
    throw new VouchsafeError('endorsement.untrusted', `${what}: signature does not verify under ${signer.label}`)
  return { json: fits(() => parseStrictJson(document.body, { maxBytes: MAX_BYTES })), until: validUntil }
}

/** Refuses what is not issued yet, or was due to be replaced. */
export function assertWithin(what: string, from: Date, until: Date, at: Date): void {
  const now = at.getTime()
  if (now < from.getTime())
    throw new VouchsafeError('endorsement.expired', `${what}: issued ${from.toISOString()}, after ${at.toISOString()}`)
  if (now >= until.getTime())
    throw new VouchsafeError(
      'endorsement.expired',
      `${what}: held until ${until.toISOString()}, now it is ${at.toISOString()}`,
    )
}

/** Intel's documents are endorsements: a defect in them is one of an endorsement. */
function fits<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof VouchsafeError) || cause.code === 'internal') throw cause
    throw new VouchsafeError('endorsement.malformed', cause.message, { cause })
  }
}
