import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { createPublicKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../core/node/crypto.ts'
import { TpmError } from '../codec/errors.ts'
import { encodeTpmPublic, objectAttributes } from '../codec/public-area.ts'
import type { TpmPublic } from '../codec/public-area.ts'
import { encodeTpmSignature } from '../codec/signature.ts'
import { parseTcgLog } from '../eventlog/parse-tcg-log.ts'
import { replayTcgLog } from '../eventlog/replay.ts'
import { verifyReplays } from '../eventlog/verify-replays.ts'
import { verifyTpmCertify } from './verify-tpm-certify.ts'
import { ALL_PCRS, verifyTpmQuote } from './verify-tpm-quote.ts'
import type { TpmQuoteToVerify } from './verify-tpm-quote.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const base64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
const utf8 = (text: string) => new TextEncoder().encode(text)
const refused = (code: string) => expect.objectContaining({ code })
const banks = { allowedBanks: ['sha256', 'sha384', 'sha512'] } as const
const verify = (quote: TpmQuoteToVerify) => verifyTpmQuote(quote, nodeCrypto)

describe.skipIf(missingVectors())('the quote of our own measured boot', () => {
  /** `tpm2_quote -o`: TPML_PCR_SELECTION padded to 16 banks, then lists of at most eight values in slots of 66 bytes. */
  function pcrsOfTpm2Tools(raw: Uint8Array): Map<number, Uint8Array> {
    const view = new DataView(raw.buffer)
    const values = new Map<number, Uint8Array>()
    const SELECTIONS = 4 + 16 * 8
    let at = SELECTIONS + 4
    for (let list = 0; list < view.getUint32(SELECTIONS, true); list++, at += 4 + 8 * 66)
      for (let i = 0; i < view.getUint32(at, true); i++) {
        const slot = at + 4 + i * 66
        values.set(values.size, raw.slice(slot + 2, slot + 2 + view.getUint16(slot, true)))
      }
    return values
  }
  const spki = () =>
    new Uint8Array(createPublicKey(readVectorText('vm-boot/ak.pub')).export({ format: 'der', type: 'spki' }))
  const quote = (): TpmQuoteToVerify => ({
    attest: readVector('vm-boot/q.msg'),
    signature: readVector('vm-boot/q.sig'),
    akPublic: { endorsedSpki: spki() },
    pcrs: { bank: 'sha256', values: pcrsOfTpm2Tools(readVector('vm-boot/q.pcrs')) },
    expectedExtraData: hex('deadbeef'),
    requiredPcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    ...banks,
  })

  test('verifies, and its log replays to PCR 0 to 7 and 9', async () => {
    const { registers } = await verify(quote())
    const replay = replayTcgLog(parseTcgLog(readVector('vm-boot/evlog.bin')), 'sha256', nodeCrypto)
    expect(verifyReplays([replay], registers, { mayBeUnexplained: [10] })).toEqual({
      replayed: [0, 1, 2, 3, 4, 5, 6, 7, 9],
      untouched: [8],
      unexplained: [10],
    })
    const strict = () => verifyReplays([replay], registers, { mayBeUnexplained: [] })
    expect(strict).toThrow(
      expect.objectContaining({ code: 'evidence.log', message: expect.stringContaining('pcr 10') }),
    )
  })

  test('B05 is refused when a register is required that it does not quote', async () => {
    await expect(verify({ ...quote(), requiredPcrs: ALL_PCRS })).rejects.toThrow(refused('evidence.pcr-selection'))
  })
})

describe.skipIf(missingVectors())('the exchange of a token distributor client', () => {
  const flow = () => JSON.parse(readVectorText('seed-systems/tpm/td-2021-attest-flow.json'))
  const rsassa = (signature: string) =>
    encodeTpmSignature({ scheme: 'rsassa', hash: 'sha256', signature: hex(signature) })
  const quote = (i: number): TpmQuoteToVerify => {
    const { ak, quotes, pcr0 } = flow()
    return {
      attest: hex(quotes[i].attest),
      signature: rsassa(quotes[i].signature),
      akPublic: hex(ak.tpmtPublic),
      pcrs: { bank: 'sha256', values: new Map([[0, hex(pcr0)]]) },
      expectedExtraData: utf8(quotes[i].nonceUtf8),
      requiredPcrs: [0],
      ...banks,
    }
  }
  const certify = () => ({
    attest: hex(flow().certify.attest),
    signature: rsassa(flow().certify.signature),
    akPublic: hex(flow().ak.tpmtPublic),
    certifiedPublic: hex(flow().certify.certifiedTpmtPublic),
    expectedExtraData: new Uint8Array(),
    dangerouslyAllowEmptyExtraData: true,
    usage: 'sign' as const,
    authPolicy: 'any' as const,
  })

  test.each([0, 1])('TD quote %i verifies with its recorded counters', async (i) => {
    const verified = await verify(quote(i))
    const { parsed } = flow().quotes[i]
    expect(verified).toMatchObject({ resetCount: parsed.resetCount, restartCount: parsed.restartCount, safe: true })
    expect(verified.clock).toBe(BigInt(parsed.clock))
    expect(verified.firmwareVersion).toBe(BigInt(`0x${parsed.firmwareVersion}`))
    expect(Buffer.from(verified.akName!).toString('hex')).toBe(flow().ak.name)
  })

  test('A03 one quote is refused for the nonce of the other', async () => {
    await expect(verify({ ...quote(0), expectedExtraData: quote(1).expectedExtraData })).rejects.toThrow(
      refused('evidence.stale'),
    )
  })

  test('TD its certified key is told by name and public key', async () => {
    const verified = await verifyTpmCertify(certify(), nodeCrypto)
    expect(Buffer.from(verified.name).toString('hex')).toBe(flow().certify.certifiedName)
    const pem = createPublicKey(flow().certify.certifiedPem)
    expect(Buffer.from(verified.certifiedSpki)).toEqual(pem.export({ format: 'der', type: 'spki' }))
  })

  test('a statement without nonce is refused when freshness is asked for', async () => {
    await expect(verifyTpmCertify({ ...certify(), expectedExtraData: utf8('nonce') }, nodeCrypto)).rejects.toThrow(
      refused('evidence.stale'),
    )
    await expect(verifyTpmCertify({ ...certify(), dangerouslyAllowEmptyExtraData: false }, nodeCrypto)).rejects.toThrow(
      refused('input.malformed'),
    )
  })

  test('B01 quote and certificate do not stand in for each other', async () => {
    const { attest, signature } = certify()
    await expect(verify({ ...quote(0), attest, signature })).rejects.toThrow(refused('input.malformed'))
    const swapped = { ...certify(), attest: quote(0).attest, signature: quote(0).signature }
    await expect(verifyTpmCertify(swapped, nodeCrypto)).rejects.toThrow(refused('input.malformed'))
  })

  test('the public area of another key is refused', async () => {
    const other = { ...certify(), certifiedPublic: hex(flow().ak.tpmtPublic) }
    await expect(verifyTpmCertify(other, nodeCrypto)).rejects.toThrow(refused('evidence.mismatch'))
  })

  test('B02 a quote by the certified key, which is not restricted, would be refused', async () => {
    await expect(verify({ ...quote(0), akPublic: certify().certifiedPublic })).rejects.toThrow(refused('evidence.key'))
  })

  test('with any byte of quote or certificate flipped, only with an error of ours', async () => {
    for (const [good, run] of [
      [quote(0), (q: never) => verify(q)],
      [certify(), (c: never) => verifyTpmCertify(c, nodeCrypto)],
    ] as const)
      for (const field of ['attest', 'signature'] as const)
        for (let at = 0; at < good[field].length; at++) {
          const flipped = { ...good, [field]: good[field].with(at, good[field][at]! ^ 0xff) }
          await expect(run(flipped as never)).rejects.toThrow(TpmError)
        }
  })
})

describe.skipIf(missingVectors())('other recorded statements', () => {
  test('a key certified by the AK of a cloud VM', async () => {
    const { ak, certify } = JSON.parse(readVectorText('seed-systems/tpm/rta-2023-certify.json'))
    const certifiedKey = createPublicKey(certify.certifiedPem)
    // recorded as PEM: its attributes are those with which its name comes out as attested
    const area: TpmPublic = {
      type: 'rsa',
      nameAlg: 'sha256',
      attributes: objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign'),
      authPolicy: new Uint8Array(),
      symmetric: { algorithm: 'null' },
      scheme: { scheme: 'rsassa', hash: 'sha256' },
      keyBits: 2048,
      exponent: 0,
      modulus: new Uint8Array(Buffer.from(certifiedKey.export({ format: 'jwk' }).n!, 'base64url')),
    }
    const statement = {
      attest: hex(certify.attest),
      signature: encodeTpmSignature({ scheme: 'rsassa', hash: 'sha256', signature: hex(certify.signature) }),
      akPublic: hex(ak.tpmtPublic),
      certifiedPublic: encodeTpmPublic(area),
      expectedExtraData: new Uint8Array(),
      usage: 'sign',
      authPolicy: 'any',
    } as const
    const verified = await verifyTpmCertify({ ...statement, dangerouslyAllowEmptyExtraData: true }, nodeCrypto)
    expect(Buffer.from(verified.name).toString('hex')).toBe(certify.parsed.name)
    expect(Buffer.from(verified.akName!).toString('hex')).toBe(ak.name)
    expect(Buffer.from(verified.certifiedSpki)).toEqual(certifiedKey.export({ format: 'der', type: 'spki' }))
    await expect(verifyTpmCertify(statement, nodeCrypto)).rejects.toThrow(refused('input.malformed'))
  })

  test('evidence of a confidential container: all 24 registers, endorsed key', async () => {
    const { ak_public, tpm_quote } = JSON.parse(readVectorText('coco/tpm/tpm_evidence.json'))
    const values = new Map<number, Uint8Array>(tpm_quote.pcrs.map((value: string, i: number) => [i, hex(value)]))
    const attest = base64(tpm_quote.message)
    const quote = {
      attest,
      signature: base64(tpm_quote.signature),
      akPublic: { endorsedSpki: base64(ak_public) },
      pcrs: { bank: 'sha256', values },
      requiredPcrs: ALL_PCRS,
      ...banks,
    } as const
    const sized = 6 + 2 + 34
    const expectedExtraData = attest.slice(sized + 2, sized + 2 + 64)
    const { registers } = await verify({ ...quote, expectedExtraData })
    expect(registers.values.size).toBe(24)
    // today's clients send 32 bytes; the recording has 48 and zeros after them
    await expect(verify({ ...quote, expectedExtraData: expectedExtraData.subarray(0, 32) })).rejects.toThrow(
      refused('evidence.stale'),
    )
  })

  test.each([
    ['evidence-v1.json', utf8('challenge')],
    [
      'evidence-v2.json',
      hex('982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f819ef'),
    ],
  ])('Azure SNP %s, under the key that its HCL report names', async (name, expectedExtraData) => {
    const { hcl_report, tpm_quote } = JSON.parse(readVectorText(`coco/az-snp-vtpm/${name}`))
    const report = Buffer.from(hcl_report, 'base64url')
    const variables = report.subarray(report.indexOf('{"keys"'))
    const { keys } = JSON.parse(variables.toString('latin1', 0, variables.lastIndexOf('}') + 1))
    const jwk = keys.find((key: { kid: string }) => key.kid === 'HCLAkPub')
    const spki = createPublicKey({ key: { kty: 'RSA', n: jwk.n, e: jwk.e }, format: 'jwk' }).export({
      format: 'der',
      type: 'spki',
    })
    const quote: TpmQuoteToVerify = {
      attest: hex(tpm_quote.message),
      signature: encodeTpmSignature({ scheme: 'rsassa', hash: 'sha256', signature: hex(tpm_quote.signature) }),
      akPublic: { endorsedSpki: new Uint8Array(spki) },
      pcrs: { bank: 'sha256', values: new Map(tpm_quote.pcrs.map((value: string, i: number) => [i, hex(value)])) },
      expectedExtraData,
      requiredPcrs: ALL_PCRS,
      ...banks,
    }
    const { registers } = await verify(quote)
    expect(Buffer.from(registers.values.get(0)!).toString('hex')).toBe(tpm_quote.pcrs[0])
    await expect(verify({ ...quote, expectedExtraData: utf8('other') })).rejects.toThrow(refused('evidence.stale'))
    const zeroed = new Map([...quote.pcrs.values, [0, new Uint8Array(32)]])
    await expect(verify({ ...quote, pcrs: { bank: 'sha256', values: zeroed } })).rejects.toThrow(
      refused('evidence.mismatch'),
    )
  })

  test('B06 a Windows guest that quotes the SHA-1 bank with a SHA-1 signature is refused', async () => {
    const { AK, Quote, Log } = JSON.parse(readVectorText('gce/tpm/eventlogs-legacy/windows_gcp_shielded_vm.json'))
    const values = new Map<number, Uint8Array>(
      Log.PCRs.map((pcr: { Index: number; Digest: string }) => [pcr.Index, base64(pcr.Digest)]),
    )
    const quote: TpmQuoteToVerify = {
      attest: base64(Quote.Quote),
      signature: base64(Quote.Signature),
      akPublic: base64(AK.Public),
      pcrs: { bank: 'sha1', values },
      expectedExtraData: base64(Quote.Nonce),
      dangerouslyAllowEmptyExtraData: true,
      requiredPcrs: ALL_PCRS,
      ...banks,
    }
    await expect(verify(quote)).rejects.toThrow(refused('evidence.algorithm'))
    await expect(verify({ ...quote, pcrs: { bank: 'sha256', values } })).rejects.toThrow(refused('evidence.algorithm'))
  })
})
