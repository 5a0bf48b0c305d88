import { createPublicKey, constants, verify, type KeyObject } from 'node:crypto'
import { evidence, x509 } from '@vouchsafe/core'
import type { Inputs } from './inputs.ts'
import { type Contestant, inProcess } from './measure.ts'

export const LIMIT = {
  tdxNew: 'limit, TDX, a platform not seen before',
  tdxAgain: 'limit, TDX, the same platform again',
  snpNew: 'limit, SNP, a chip not seen before',
  snpAgain: 'limit, SNP, the same chip again',
} as const

/**
 * What OpenSSL needs for the signatures alone, when everything else costs nothing: the keys that are new are imported,
 * the signatures that are new are checked.
 */
export async function limits({ snp, tdx }: Inputs): Promise<readonly Contestant[]> {
  const platforms = await Promise.all(tdx.others.map(tdxParts))
  const again = await tdxParts(tdx.quote)
  const key = imported(again.attestationKey)
  const list = [
    inProcess(LIMIT.tdxNew, (nth) => {
      const p = platforms[nth % platforms.length] ?? again
      const { leaf, quote } = p
      p256(p.caKey, leaf.tbs, leaf.signature, 'der')
      p256(imported(leaf.spki), quote.qe.report, quote.qe.signature, 'ieee-p1363')
      p256(imported(p.attestationKey), quote.signed, quote.signature, 'ieee-p1363')
    }),
    inProcess(LIMIT.tdxAgain, () => p256(key, again.quote.signed, again.quote.signature, 'ieee-p1363')),
  ]
  if (snp === undefined) return list
  const report = evidence.parseSnpReport(snp.report)
  const vek = x509.parseCertificate(snp.vek)
  const root = evidence.amdSnpRoots().find((r) => r.product === 'Genoa')
  const [ask] = root?.intermediates ?? []
  if (ask === undefined) throw new Error('no Genoa root')
  const [askKey, vekKey] = [imported(ask.spki), imported(vek.spki)]
  const pss = (by: KeyObject, { tbs, signature }: x509.Certificate) =>
    good(verify('sha384', tbs, { key: by, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }, signature))
  const p384 = (by: KeyObject) =>
    good(verify('sha384', report.signed, { key: by, dsaEncoding: 'ieee-p1363' }, report.signature))
  return [
    ...list,
    inProcess(LIMIT.snpNew, () => {
      pss(askKey, vek)
      p384(imported(vek.spki))
    }),
    inProcess(LIMIT.snpAgain, () => p384(vekKey)),
  ]
}

async function tdxParts(raw: Uint8Array) {
  const quote = evidence.parseDcapQuote(raw)
  const { leaf, intermediates } = await evidence.readPckChain(quote.pckChain)
  const [ca] = intermediates
  if (ca === undefined) throw new Error('no PCK CA')
  const prefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')
  return { quote, leaf, caKey: imported(ca.spki), attestationKey: Buffer.concat([prefix, quote.attestationKey]) }
}

function imported(spki: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
}

function p256(key: KeyObject, data: Uint8Array, signature: Uint8Array, dsaEncoding: 'der' | 'ieee-p1363'): void {
  good(verify('sha256', data, { key, dsaEncoding }, signature))
}

function good(result: boolean): void {
  if (!result) throw new Error('the limit’s own signature check fails')
}
