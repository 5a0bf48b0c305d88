import { defaultComponents, type IntelAuthorities, rawSign, svns, TEST_FMSPC, toPem } from './intel.ts'
import { TEST_QE_SIGNER } from './intel-quote.ts'
import { makeRevocationList, type TestCertificate, type TestKey } from './x509.ts'

export interface CollateralSpec {
  readonly authorities: IntelAuthorities
  readonly tee?: 'TDX' | 'SGX'
  /** Members that replace those of a healthy document. */
  readonly tcbInfo?: Readonly<Record<string, unknown>>
  readonly qeIdentity?: Readonly<Record<string, unknown>>
  readonly tcbSigner?: TestCertificate
  readonly issuerChain?: readonly TestCertificate[]
  readonly crlIssuer?: TestCertificate
  readonly revokedPcks?: readonly (number | bigint)[]
  readonly revokedByRoot?: readonly (number | bigint)[]
  readonly issueDate?: Date
  readonly nextUpdate?: Date
  readonly pckCrl?: Uint8Array
  readonly rootCrl?: Uint8Array
}

/** Collateral as Intel's service would answer: whole responses and the header with their issuers' chain. */
export interface TestCollateral {
  readonly tcbInfo: Uint8Array
  readonly qeIdentity: Uint8Array
  readonly issuerChain: string
  readonly pckCrl: Uint8Array
  readonly rootCrl: Uint8Array
}

const HEALTHY = { tcbDate: '2025-01-01T00:00:00Z', tcbStatus: 'UpToDate' } as const
const anyModule = { mrsigner: '00'.repeat(48), attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) }

export function makeIntelCollateral(spec: CollateralSpec): TestCollateral {
  const { authorities } = spec
  const tee = spec.tee ?? 'TDX'
  const signer = spec.tcbSigner ?? authorities.tcbSigner
  const issueDate = spec.issueDate ?? new Date('2026-05-20T00:00:00Z')
  const nextUpdate = spec.nextUpdate ?? new Date('2026-06-19T00:00:00Z')
  const dated = { issueDate: seconds(issueDate), nextUpdate: seconds(nextUpdate), tcbEvaluationDataNumber: 18 }
  const components = (list: Iterable<number>) => Array.from(list, (svn) => ({ svn }))
  const tcb = {
    sgxtcbcomponents: components(defaultComponents()),
    pcesvn: 13,
    ...(tee === 'TDX' && { tdxtcbcomponents: components(svns(5, 0, 6)) }),
  }
  const tcbInfo = {
    id: tee,
    version: 3,
    ...dated,
    fmspc: TEST_FMSPC,
    pceId: '0000',
    tcbType: 0,
    ...(tee === 'TDX' && {
      tdxModule: anyModule,
      tdxModuleIdentities: [{ id: 'TDX_01', ...anyModule, tcbLevels: [{ tcb: { isvsvn: 5 }, ...HEALTHY }] }],
    }),
    tcbLevels: [{ tcb, ...HEALTHY }],
    ...spec.tcbInfo,
  }
  const enclaveIdentity = {
    id: tee === 'TDX' ? 'TD_QE' : 'QE',
    version: 2,
    ...dated,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: Buffer.from(TEST_QE_SIGNER).toString('hex').toUpperCase(),
    isvprodid: tee === 'TDX' ? 2 : 1,
    tcbLevels: [{ tcb: { isvsvn: 7 }, ...HEALTHY }],
    ...spec.qeIdentity,
  }
  const window = { thisUpdate: issueDate, nextUpdate }
  return {
    tcbInfo: signedResponse('tcbInfo', JSON.stringify(tcbInfo), signer.key),
    qeIdentity: signedResponse('enclaveIdentity', JSON.stringify(enclaveIdentity), signer.key),
    issuerChain: toPem(...(spec.issuerChain ?? [signer, authorities.root])),
    pckCrl:
      spec.pckCrl ??
      makeRevocationList({
        issuer: spec.crlIssuer ?? authorities.platformCa,
        revoked: spec.revokedPcks ?? [1, 2],
        ...window,
      }),
    rootCrl:
      spec.rootCrl ?? makeRevocationList({ issuer: authorities.root, revoked: spec.revokedByRoot ?? [], ...window }),
  }
}

/** `{"tcbInfo":…,"signature":"…"}`, signed over the exact text. */
export function signedResponse(member: string, json: string, key: TestKey): Uint8Array {
  const signature = Buffer.from(rawSign(key, new TextEncoder().encode(json))).toString('hex')
  return new TextEncoder().encode(`{"${member}":${json},"signature":"${signature}"}`)
}

function seconds(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z')
}
