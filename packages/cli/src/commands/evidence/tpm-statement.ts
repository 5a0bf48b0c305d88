import { fromBase64Url, fromHex, parseSchema, parseStrictJson, toHex, VouchsafeError } from '@vouchsafe/core'
import { digest, nodeVerifyCrypto } from '@vouchsafe/tpm'
import { parseTpmAttest, parseTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { verifyTpmCertify, verifyTpmQuote, spkiOfTpmPublic } from '@vouchsafe/tpm/verify'
import { z } from 'zod'
import { UsageError, withHint } from '../../output.ts'
import { parseNonce } from '../tpm/arguments.ts'
import { readPublicKeyFile } from '../tpm/public-file.ts'
import type { EvidenceFile, EvidenceFormat, Verdict, VerifyOptions } from './format.ts'
import { membersOf } from './json-members.ts'

const bytes = z.string().min(1).max(16_384)
const statement = { akPublic: bytes, attest: bytes, signature: bytes }
const quoteSchema = z.strictObject({
  ...statement,
  bank: z.enum(['sha256', 'sha384', 'sha512']),
  registers: z.record(z.string().regex(/^\d{1,2}$/), z.string().regex(/^[0-9a-f]{64,128}$/)),
})
const certifySchema = z.strictObject({ ...statement, certifiedPublic: bytes, certifiedName: z.string() })
const statementSchema = z.union([quoteSchema, certifySchema])

/** What `vouchsafe tpm quote` and `vouchsafe tpm certify` write. */
export const tpmStatement: EvidenceFormat = {
  name: 'TPM quote or certify statement',
  options: ['nonce', 'trustKey', 'certifiedKeyOnly'],
  showOptions: [],
  recognises(file) {
    const members = membersOf(file)
    return ['akPublic', 'attest', 'signature'].every((m) => members.has(m))
  },
  show(file) {
    const read = readStatement(file)
    const attest = parseTpmAttest(fromBase64Url(read.attest))
    const key = nameOf(read.akPublic)
    const kind = 'registers' in read ? 'quote' : 'certify'
    return {
      json: { verified: false, kind, key, nonce: toHex(attest.extraData) },
      text: `NOT VERIFIED (vouchsafe evidence verify does that)\n${kind} by key ${key}, over nonce ${toHex(attest.extraData)}`,
    }
  },
  async verify(file, options) {
    const read = readStatement(file)
    if (options.nonce === undefined)
      throw new UsageError('against which nonce?', 'give the one that you asked the machine to sign with --nonce HEX')
    const nonce = parseNonce(options.nonce)
    assertTrusted(read.akPublic, options)
    return 'registers' in read ? verifyQuote(read, nonce, options) : verifyCertify(read, nonce, options)
  },
}

function readStatement({ name, bytes: file }: EvidenceFile) {
  return parseSchema(statementSchema, parseStrictJson(file, { maxBytes: 65_536 }), name)
}

function assertTrusted(akPublic: string, { trustKey = [] }: VerifyOptions): void {
  if (trustKey.length === 0)
    throw new UsageError('whose key is this?', 'name the attestation key you know with --trust-key FILE')
  const spki = spkiOfTpmPublic(parseTpmPublic(fromBase64Url(akPublic)))
  if (!trustKey.some((file) => Buffer.compare(readPublicKeyFile(file), spki) === 0))
    throw withHint(
      new VouchsafeError('evidence.key', `it is signed with a key that is not in ${trustKey.join(', ')}`),
      'compare with the machine’s own: vouchsafe tpm identity',
    )
}

async function verifyQuote(
  read: z.infer<typeof quoteSchema>,
  expectedExtraData: Uint8Array,
  { certifiedKeyOnly }: VerifyOptions,
): Promise<Verdict> {
  if (certifiedKeyOnly !== undefined)
    throw new UsageError('this is a quote and certifies no key', 'leave --certified-key-only out')
  const values = new Map(
    Object.entries(read.registers).map(([n, value]) => [Number(n), fromHex(value, `register ${n}`)]),
  )
  const quote = await verifyTpmQuote(
    {
      ...signed(read),
      pcrs: { bank: read.bank, values },
      expectedExtraData,
      allowedBanks: [read.bank],
      requiredPcrs: [...values.keys()],
    },
    nodeVerifyCrypto,
  )
  const key = nameOf(read.akPublic)
  return {
    accepted: true,
    machine: key,
    json: { verified: true, kind: 'quote', key, bank: read.bank, registers: read.registers },
    text: `verified: ${quote.registers.values.size} registers of the ${read.bank} bank, by key ${key}\nwhat they mean is for the boot log: vouchsafe tpm events`,
  }
}

/** A key that is in the right TPM says nothing of what that machine runs: whoever wants it has to say so (B13). */
async function verifyCertify(
  read: z.infer<typeof certifySchema>,
  expectedExtraData: Uint8Array,
  { certifiedKeyOnly: usage }: VerifyOptions,
): Promise<Verdict> {
  if (usage === undefined)
    throw withHint(
      new VouchsafeError('evidence.unsupported', 'this certifies a key and says nothing of what the machine runs'),
      'ask for a quote: vouchsafe tpm quote. If the key alone is what you want: --certified-key-only sign|decrypt',
    )
  const certifiedPublic = fromBase64Url(read.certifiedPublic)
  const { name } = await verifyTpmCertify(
    { ...signed(read), certifiedPublic, expectedExtraData, usage, authPolicy: 'any' },
    nodeVerifyCrypto,
  )
  const key = nameOf(read.akPublic)
  return {
    accepted: true,
    machine: key,
    json: { verified: true, kind: 'certify', key, certified: toHex(name), bootState: 'not attested' },
    text: `verified: key ${toHex(name)} is in the TPM of key ${key}\nthis says nothing of what the machine runs`,
  }
}

function signed({ akPublic, attest, signature }: z.infer<typeof statementSchema>) {
  return {
    akPublic: fromBase64Url(akPublic),
    attest: fromBase64Url(attest),
    signature: fromBase64Url(signature),
  }
}

function nameOf(akPublic: string): string {
  return toHex(tpmName(parseTpmPublic(fromBase64Url(akPublic)), digest))
}
