import { evidence, type PublicKey, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Inputs } from './inputs.ts'
import { type Contestant, inProcess } from './measure.ts'

export const LIMIT = {
  tdxNew: 'limit, TDX, a platform not seen before',
  tdxAgain: 'limit, TDX, the same platform again',
  snpNew: 'limit, SNP, a chip not seen before',
  snpAgain: 'limit, SNP, the same chip again',
} as const

/**
 * What OpenSSL needs for the signatures alone, called in the fastest way that we know, when everything else costs nothing:
 * the keys that are new are imported, the signatures that are new are checked.
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
      p256(imported(leaf.spki), quote.qe.report, quote.qe.signature, 'raw')
      p256(imported(p.attestationKey), quote.signed, quote.signature, 'raw')
    }),
    inProcess(LIMIT.tdxAgain, () => p256(key, again.quote.signed, again.quote.signature, 'raw')),
  ]
  if (snp === undefined) return list
  const report = evidence.parseSnpReport(snp.report)
  const vek = x509.parseCertificate(snp.vek)
  const root = evidence.amdSnpRoots().find((r) => r.product === 'Genoa')
  const [ask] = root?.intermediates ?? []
  if (ask === undefined) throw new Error('no Genoa root')
  const [askKey, vekKey] = [imported(ask.spki), imported(vek.spki)]
  const pss = (by: PublicKey, { tbs, signature }: x509.Certificate) =>
    good(nodeCrypto.verify(by, { kind: 'rsa-pss', hash: 'sha384', saltBytes: 48 }, tbs, signature))
  const p384 = (by: PublicKey) =>
    good(nodeCrypto.verify(by, { kind: 'ecdsa', hash: 'sha384', encoding: 'raw' }, report.signed, report.signature))
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

function imported(spki: Uint8Array): PublicKey {
  return nodeCrypto.importPublicKey(spki)
}

function p256(key: PublicKey, data: Uint8Array, signature: Uint8Array, encoding: 'der' | 'raw'): void {
  good(nodeCrypto.verify(key, { kind: 'ecdsa', hash: 'sha256', encoding }, data, signature))
}

function good(result: boolean): void {
  if (!result) throw new Error('the limit’s own signature check fails')
}
