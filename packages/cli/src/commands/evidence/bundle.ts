import { writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import {
  AmdKds,
  CollateralKeeper,
  DiskCollateralStore,
  exportCollateralBundle,
  httpUpstream,
  IntelPcs,
} from '@vouchsafe/client'
import { evidence, VouchsafeError, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Command } from 'commander'
import { readInput } from '../../read-input.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { table } from '../../table.ts'
import { readCertificates } from './hardware-options.ts'

interface BundleOptions {
  readonly for?: readonly string[]
  readonly out: string
  readonly cache: string
  readonly amdUrl?: string
  readonly intelUrl?: string
  readonly intelRootCrlUrl?: string
  readonly trustRoot?: readonly string[]
  readonly offline?: boolean
  readonly json?: boolean
}

const CACHE = path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'vouchsafe', 'collateral')

/** `vouchsafe evidence bundle`: vendors’ collateral in one file, for machines without a network. */
export function bundleCommand(done: Done): Command {
  const list = (value: string, before: readonly string[] = []) => [...before, value]
  return verb('bundle', 'write the vendors’ collateral that is kept here into one file, to verify evidence offline')
    .requiredOption('--out <file>', 'where to write it')
    .option('--for <file>', 'fetch what judging this evidence takes first; may be repeated', list)
    .option('--cache <folder>', 'where collateral is kept', CACHE)
    .option('--offline', 'fetch nothing')
    .option('--amd-url <url>', 'AMD’s key distribution service, or a mirror of it')
    .option('--intel-url <url>', 'Intel’s provisioning service, or a caching one (PCCS)')
    .option('--intel-root-crl-url <url>', 'where the revocation list of Intel’s root is')
    .option('--trust-root <file>', 'roots other than the vendors’ own; may be repeated', list)
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ vouchsafe evidence bundle --for quote.bin --out bundle.json',
        '  $ vouchsafe evidence verify quote.bin --nonce $REPORT_DATA --collateral bundle.json   # anywhere, later',
        '',
        'A bundle is not signed and need not be: its vendors signed all that is in it, and it is verified again when read.',
      ].join('\n'),
    )
    .action(async (options: BundleOptions) => {
      const store = new DiskCollateralStore(options.cache)
      const keeper = new CollateralKeeper({ store, upstream: options.offline === true ? 'offline' : httpUpstream() })
      const vendors = vendorsOf(keeper, options)
      for (const file of options.for ?? []) await fetchFor(file, vendors)
      writeFileSync(options.out, await exportCollateralBundle(store))
      const entries = await Promise.all((await store.keys()).map((key) => store.get(key)))
      const kept = entries.flatMap((e) => (e === undefined ? [] : [{ key: e.key, fetched: e.fetchedAt.toISOString() }]))
      const rows = kept.map(({ key, fetched }) => [fetched, key])
      outputOf(options).answer(
        { out: options.out, entries: kept },
        kept.length === 0
          ? `${options.out}: nothing is kept in ${options.cache}; name evidence with --for`
          : `${table(rows)}\n${options.out}: ${kept.length} entries`,
      )
      done(EXIT.yes)
    })
}

interface Vendors {
  readonly amd: AmdKds
  readonly intel: IntelPcs
}

function vendorsOf(keeper: CollateralKeeper, options: BundleOptions): Vendors {
  const given = (options.trustRoot ?? []).flatMap(readCertificates).map((der) => x509.parseCertificate(der))
  const anchors = given
    .filter((c) => x509.sameBytes(c.issuer.raw, c.subject.raw))
    .map((c) => x509.parseAnchor(c.der, { class: 'hardware', name: c.label }))
  const own = anchors.length > 0
  return {
    amd: new AmdKds({
      keeper,
      roots: own ? evidence.snpRootsOf(anchors, given) : evidence.amdSnpRoots(),
      crypto: nodeCrypto,
      ...(options.amdUrl !== undefined && { baseUrl: options.amdUrl }),
    }),
    intel: new IntelPcs({
      keeper,
      anchors: own ? anchors : [evidence.intelSgxRoot()],
      crypto: nodeCrypto,
      ...(options.intelUrl !== undefined && { baseUrl: options.intelUrl }),
      ...(options.intelRootCrlUrl !== undefined && { rootCrlUrl: options.intelRootCrlUrl }),
    }),
  }
}

async function fetchFor(name: string, { amd, intel }: Vendors): Promise<void> {
  const shown = evidence.readPresented(evidence.detectEvidence(readInput(name)))
  const snp = async (report: Uint8Array, vek?: Uint8Array) => {
    if (vek === undefined) return void (await amd.forReport(report))
    // the guest brings its certificate along: only what revokes it is missing
    await amd.revocationList(evidence.readVek(x509.parseCertificate(vek)).product)
  }
  switch (shown.format) {
    case 'snp':
      return snp(shown.report, shown.vek)
    case 'tdx':
    case 'sgx':
      return void (await intel.forQuote(shown.quote))
    case 'azure-vtpm':
      return shown.hardware.kind === 'snp'
        ? snp(evidence.parseHclReport(shown.hclReport).hardwareReport, shown.hardware.vek)
        : void (await intel.forQuote(shown.hardware.quote))
    case 'hcl-report': {
      const hcl = evidence.parseHclReport(shown.hclReport)
      if (hcl.kind === 'snp') return snp(hcl.hardwareReport)
      throw new VouchsafeError('evidence.unsupported', `${name}: a TDREPORT tells nothing of its platform’s collateral`)
    }
    case 'cca':
    case 'nvidia-gpu':
    case 'tpm':
      throw new UsageError(`${name}: evidence of kind ${shown.format} takes no collateral from bundles`, 'leave it out')
  }
}
