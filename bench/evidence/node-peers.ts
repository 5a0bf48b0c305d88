import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { toHex } from '@vouchsafe/core'
import type { Inputs } from './inputs.ts'
import { type Contestant, inProcess } from './measure.ts'

export const NODE_PEERS = { phala: '@phala/dcap-qvl 0.3.9, TDX', tinfoil: '@tinfoilsh/verifier 1.1.0, SNP' } as const

const folder = path.resolve(import.meta.dirname, '../peers/evidence-node')

/** Installs the JavaScript verifiers on first use, apart from everything of ours: one of them is under the AGPL. */
export function installNodePeers(): string {
  if (!existsSync(path.join(folder, 'node_modules'))) {
    const npm = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--silent']
    execFileSync('npm', npm, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  }
  return folder
}

/** The JavaScript verifiers. */
export async function nodePeers({ at, snp, tdx }: Inputs): Promise<readonly Contestant[]> {
  installNodePeers()
  const require = createRequire(path.join(folder, 'package.json'))
  const { QuoteVerifier } = require('@phala/dcap-qvl') as {
    QuoteVerifier: {
      newWithRootCa(der: Buffer): { verify(quote: Buffer, collateral: unknown, now: number): { status: string } }
    }
  }
  const verifier = QuoteVerifier.newWithRootCa(Buffer.from(tdx.root))
  const quote = Buffer.from(tdx.quote)
  const collateral = phalaCollateral(tdx)
  const seconds = at.getTime() / 1000
  const list = [
    inProcess(NODE_PEERS.phala, () => {
      if (verifier.verify(quote, collateral, seconds).status !== 'UpToDate') throw new Error('not up to date')
    }),
  ]
  if (snp === undefined) return list
  // by its parts, because the whole ends in a policy of its maker's own that no other machine fulfils
  const part = (name: string) => import(path.join(folder, 'node_modules/@tinfoilsh/verifier/dist/sev', name))
  const { Report } = (await part('report.js')) as { Report: new (bytes: Uint8Array) => object }
  const { CertificateChain } = (await part('cert-chain.js')) as {
    CertificateChain: { fromReport(report: object, vcek: Uint8Array): Promise<object> }
  }
  const { verifyAttestation } = (await part('verify.js')) as {
    verifyAttestation(chain: object, report: object): Promise<boolean>
  }
  const verify = async () => {
    const report = new Report(snp.report)
    const chain = await CertificateChain.fromReport(report, snp.vek)
    if (!(await verifyAttestation(chain, report))) throw new Error('not verified')
  }
  return [...list, inProcess(NODE_PEERS.tinfoil, verify)]
}

/** Collateral in the form that both of Phala's verifiers take. A response that is not one is handed over whole. */
export function phalaCollateral({
  collateral: c,
  platformChain,
}: Pick<Inputs['tdx'], 'collateral' | 'platformChain'>): Readonly<Record<string, string>> {
  const split = (response: Uint8Array, member: 'tcbInfo' | 'enclaveIdentity') => {
    const [, body = '', signature = ''] =
      new RegExp(`^\\{"${member}":(.*),"signature":"([0-9a-f]*)"\\}\\s*$`, 's').exec(
        new TextDecoder().decode(response),
      ) ?? []
    return [body, signature] as const
  }
  const [tcbInfo, tcbInfoSignature] = split(c.tcbInfo, 'tcbInfo')
  const [qeIdentity, qeIdentitySignature] = split(c.qeIdentity, 'enclaveIdentity')
  return {
    pck_crl_issuer_chain: platformChain,
    root_ca_crl: toHex(c.rootCrl),
    pck_crl: toHex(c.pckCrl),
    tcb_info_issuer_chain: c.issuerChain,
    tcb_info: tcbInfo,
    tcb_info_signature: tcbInfoSignature,
    qe_identity_issuer_chain: c.issuerChain,
    qe_identity: qeIdentity,
    qe_identity_signature: qeIdentitySignature,
  }
}
