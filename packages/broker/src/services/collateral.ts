import { readFileSync } from 'node:fs'
import { AmdKds, CollateralKeeper, DiskCollateralStore, httpUpstream, IntelPcs } from '@vouchsafe/client'
import { evidence, fromBase64Url, fromUtf8, toBase64, VouchsafeError, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { BrokerConfig } from '../config.ts'
import type { Services } from './context.ts'

/** What a CPU's vendor says of the evidence in hand; null where it cannot be had now. */
export type FindCollateral = (
  tenant: string,
  shown: evidence.CpuEvidence,
  anchors: readonly x509.Anchor[],
) => Promise<evidence.HardwareCollateral | null>

/**
 * Fetches and keeps the vendors' collateral, verified under the tenant's own anchors; what a decision rests on is verified
 * once more where it is decided. A vendor that cannot be reached makes a refusal that says to come again, never a yes (D11).
 */
export function collateralFinder(
  config: NonNullable<BrokerConfig['collateral']>,
  { clock, log }: Pick<Services, 'clock' | 'log'>,
): FindCollateral {
  const store = new DiskCollateralStore(config.folder)
  const upstream = config.offline === true ? ('offline' as const) : httpUpstream()
  const intermediates = (config.intermediates ?? []).flatMap((file) =>
    x509.parsePem(fromUtf8(readFileSync(file), file), 'CERTIFICATE'),
  )
  // one a tenant: what one tenant's anchors vouch for is nothing to another
  const keepers = new Map<string, CollateralKeeper>()
  const keeperOf = (tenant: string) => {
    const known = keepers.get(tenant)
    if (known !== undefined) return known
    const onEvent = (event: string, fields: Readonly<Record<string, string>>) => log(event, { tenant, ...fields })
    const keeper = new CollateralKeeper({ store, upstream, timing: { clock }, onEvent })
    keepers.set(tenant, keeper)
    return keeper
  }
  return async (tenant, shown, anchors) => {
    const keeper = keeperOf(tenant)
    try {
      return shown.format === 'snp'
        ? await ofAmd(shown, keeper, { config, anchors, intermediates })
        : await ofIntel(shown, keeper, { config, anchors })
    } catch (error) {
      if (!(error instanceof VouchsafeError) || error.code === 'internal') throw error
      log('collateral.missing', { tenant, code: error.code })
      return null
    }
  }
}

interface From {
  readonly config: NonNullable<BrokerConfig['collateral']>
  readonly anchors: readonly x509.Anchor[]
}

async function ofAmd(
  shown: Extract<evidence.CpuEvidence, { format: 'snp' }>,
  keeper: CollateralKeeper,
  { config, anchors, intermediates }: From & { readonly intermediates: readonly Uint8Array[] },
): Promise<evidence.HardwareCollateral> {
  const own = evidence.amdSnpRoots().flatMap((root) => root.intermediates)
  const issuers = [...intermediates.map((der) => x509.parseCertificate(der)), ...own]
  const kds = new AmdKds({
    keeper,
    roots: evidence.snpRootsOf(anchors, issuers),
    crypto: nodeCrypto,
    ...(config.amdUrl !== undefined && { baseUrl: config.amdUrl }),
  })
  const kept = { vendor: 'amd', intermediates: intermediates.map(toBase64) } as const
  if (shown.vek === undefined) {
    const { vek, revocation } = await kds.forReport(fromBase64Url(shown.report, 'report'))
    const lists = revocation === 'not-checked' ? [] : revocation.lists
    return { ...kept, vek: toBase64(vek), revocationLists: lists.map(({ der }) => toBase64(der)) }
  }
  const { product } = evidence.readVek(x509.parseCertificate(fromBase64Url(shown.vek, 'vek')))
  return { ...kept, vek: null, revocationLists: [toBase64((await kds.revocationList(product)).der)] }
}

async function ofIntel(
  shown: Extract<evidence.CpuEvidence, { format: 'tdx' }>,
  keeper: CollateralKeeper,
  { config, anchors }: From,
): Promise<evidence.HardwareCollateral> {
  const pcs = new IntelPcs({
    keeper,
    anchors,
    crypto: nodeCrypto,
    ...(config.intelUrl !== undefined && { baseUrl: config.intelUrl }),
    ...(config.intelRootCrlUrl !== undefined && { rootCrlUrl: config.intelRootCrlUrl }),
  })
  const { input } = await pcs.forQuote(fromBase64Url(shown.quote, 'quote'))
  const document = ({ body, signature, issuerChain }: evidence.SignedDocument) => ({
    body: toBase64(body),
    signature: toBase64(signature),
    issuerChain,
  })
  return {
    vendor: 'intel',
    tcbInfo: document(input.tcbInfo),
    qeIdentity: document(input.qeIdentity),
    pckCrl: toBase64(input.pckCrl),
    rootCrl: toBase64(input.rootCrl),
  }
}
