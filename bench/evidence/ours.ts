import { evidence, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Inputs } from './inputs.ts'
import { type Contestant, inProcess } from './measure.ts'

export const OURS = {
  tdxNew: 'vouchsafe, TDX, a platform not seen before',
  tdxAgain: 'vouchsafe, TDX, the same platform again',
  snpNew: 'vouchsafe, SNP, a chip not seen before',
  snpAgain: 'vouchsafe, SNP, the same chip again',
} as const

/** Whole verifications, collateral and intermediates cached as a broker has them. */
export async function ours({ at, snp, tdx }: Inputs): Promise<readonly Contestant[]> {
  const anchors = [x509.parseAnchor(tdx.root, { class: 'simulated', name: 'fake Intel' })]
  const c = tdx.collateral
  const input = {
    tcbInfo: evidence.readSignedDocument(c.tcbInfo, 'tcbInfo', c.issuerChain),
    qeIdentity: evidence.readSignedDocument(c.qeIdentity, 'enclaveIdentity', c.issuerChain),
    pckCrl: c.pckCrl,
    rootCrl: c.rootCrl,
  }
  const collateral = await evidence.verifyDcapCollateral(input, { anchors, at }, nodeCrypto)
  const reportData = new Uint8Array(64)
  const verify = async (quote: Uint8Array, memo: x509.EndorsementMemo) => {
    const { rating } = await evidence.verifyTdxQuote(
      { quote },
      { anchors, collateral, at, reportData, memo },
      nodeCrypto,
    )
    if (rating === 'not-checked' || rating.status !== 'UpToDate') throw new Error('not up to date')
  }
  // a memo for eight entries forgets each of the platforms before its turn comes again
  const [forgetful, keen] = [new x509.EndorsementMemo(8), new x509.EndorsementMemo()]
  const list = [
    inProcess(OURS.tdxNew, (nth) => verify(tdx.others[nth % tdx.others.length] ?? tdx.quote, forgetful)),
    inProcess(OURS.tdxAgain, () => verify(tdx.quote, keen)),
  ]
  if (snp === undefined) return list
  const roots = evidence.amdSnpRoots()
  const expected = { roots, at, revocation: 'not-checked', reportData: 'not-checked' } as const
  // one chip only was recorded; whatever is remembered last pushes its certificate out, but not what is above it
  const [memo, oneEntry] = [new x509.EndorsementMemo(), new x509.EndorsementMemo(1)]
  const asNew = async () => {
    await oneEntry.once('other', new Uint8Array(1), () => ({}))
    return evidence.verifySnpReport(snp, { ...expected, memo: oneEntry }, nodeCrypto)
  }
  return [
    ...list,
    inProcess(OURS.snpNew, asNew),
    inProcess(OURS.snpAgain, () => evidence.verifySnpReport(snp, { ...expected, memo }, nodeCrypto)),
  ]
}
