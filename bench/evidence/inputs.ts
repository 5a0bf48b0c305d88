import { evidence, x509 } from '@vouchsafe/core'
import * as kit from '@vouchsafe/testkit'

/** What every contestant gets, byte for byte the same. */
export interface Inputs {
  readonly at: Date
  readonly snp: { readonly report: Uint8Array; readonly vek: Uint8Array } | undefined
  readonly tdx: {
    readonly root: Uint8Array
    readonly quote: Uint8Array
    /** Quotes of other platforms under the same authorities, for measuring what a new platform costs. */
    readonly others: readonly Uint8Array[]
    readonly platformChain: string
    readonly collateral: kit.TestCollateral
  }
}

/** A genuine Genoa report, where recorded vectors are at hand, and a TDX quote of the fake Intel with whole collateral. */
export function makeInputs(platforms: number): Inputs {
  const authorities = kit.makeIntelAuthorities()
  const attestationKey = kit.makeKey('P-256')
  const quoteOf = () => kit.makeQuote({ authorities, attestationKey, pck: kit.makePck({ authorities }) })
  return {
    at: new Date('2026-06-01T00:00:00Z'),
    snp: kit.haveVectors ? genoa() : undefined,
    tdx: {
      root: authorities.root.der,
      quote: quoteOf(),
      others: Array.from({ length: platforms }, quoteOf),
      platformChain: kit.toPem(authorities.platformCa, authorities.root),
      collateral: kit.makeIntelCollateral({ authorities }),
    },
  }
}

/** The report of a Genoa machine at Azure, inside what its paravisor wrote around it. */
function genoa(): { report: Uint8Array; vek: Uint8Array } {
  const recorded = JSON.parse(kit.readVectorText('coco/az-snp-vtpm/evidence-genoa.json')) as {
    readonly report: readonly number[]
    readonly vcek: string
  }
  const [vek] = x509.parsePem(recorded.vcek, 'CERTIFICATE')
  if (vek === undefined) throw new Error('the recorded evidence has no certificate')
  return { report: evidence.parseHclReport(Uint8Array.from(recorded.report)).hardwareReport, vek }
}
