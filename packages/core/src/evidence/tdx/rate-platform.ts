import { toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { sameBytes } from '../../x509/index.ts'
import { ratingOf, type TcbRating, type TdxTcbInfo } from '../dcap/collateral-schema.ts'
import type { Pck } from '../dcap/pck.ts'
import { combineTcbStatus, type TcbStatus, withRelaunch } from '../dcap/tcb-status.ts'
import { sameUnderMask } from '../dcap/verify-quote.ts'
import type { TdReport } from './parse-td-report.ts'

/** What Intel says of a TDX platform: of each part, and of all together. */
export interface TdxRating {
  readonly status: TcbStatus
  readonly platform: TcbRating
  /** Of the module that the TD was launched under; absent for modules of major version 0, which the platform's rating covers. */
  readonly module?: TcbRating & { readonly id: string }
  readonly qe: TcbRating
  /** Of all parts, each once. */
  readonly advisories: readonly string[]
  /** `tcbEvaluationDataNumber` of the collateral: which round of Intel's judging this is. */
  readonly evaluationNumber: number
}

/**
 * Rates the platform as Intel's algorithm does, but keeps the rating of every part: the status is the worst of platform,
 * module and quoting enclave.
 *
 * @throws {VouchsafeError} `endorsement.mismatch` when no level or module identity of the collateral fits.
 * @source Intel PCS API v4: TCB info, "TCB levels"; Intel TDX DCAP: TDX module identity
 */
export function rateTdxPlatform(report: TdReport, pck: Pck, info: TdxTcbInfo, qe: TcbRating): TdxRating {
  const launch = rate(report, report.teeTcbSvn, pck, info)
  const evaluationNumber = info.tcbEvaluationDataNumber
  const atLaunch = combineTcbStatus([launch.platform.status, launch.module?.status ?? 'UpToDate', qe.status])
  const advisories: string[] = []
  for (const part of [launch.platform, launch.module, qe])
    if (part !== undefined) for (const id of part.advisories) if (!advisories.includes(id)) advisories.push(id)
  if (report.teeTcbSvn2 === undefined) return { status: atLaunch, qe, advisories, evaluationNumber, ...launch }
  const now = rate(report, report.teeTcbSvn2, pck, info)
  const statusNow = combineTcbStatus([now.platform.status, now.module?.status ?? 'UpToDate', qe.status])
  return { status: withRelaunch(atLaunch, statusNow), qe, advisories, evaluationNumber, ...launch }
}

function rate(report: TdReport, svns: Uint8Array, pck: Pck, info: TdxTcbInfo): Pick<TdxRating, 'platform' | 'module'> {
  const moduleVersion = svns[1] ?? 0
  const level = info.tcbLevels.find(
    ({ tcb }) =>
      reaches(pck.componentSvns, tcb.sgxtcbcomponents, 0) &&
      pck.pceSvn >= tcb.pcesvn &&
      // since module version 1 the module has levels of its own, which take the place of the first two components
      reaches(svns, tcb.tdxtcbcomponents, moduleVersion > 0 ? 2 : 0),
  )
  if (level === undefined)
    throw new VouchsafeError(
      'endorsement.mismatch',
      `tcbInfo: the platform is below every TCB level: TEE_TCB_SVN ${toHex(svns)}, CPU ${pck.componentSvns.join(' ')}, PCE ${pck.pceSvn}`,
    )
  const platform = ratingOf(level)
  if (moduleVersion === 0) {
    checkModule(report, info.tdxModule, 'tdxModule')
    return { platform }
  }
  const id = `TDX_${moduleVersion.toString(16).padStart(2, '0')}`
  const identity = info.tdxModuleIdentities.find((m) => m.id.toLowerCase() === id.toLowerCase())
  if (identity === undefined)
    throw new VouchsafeError('endorsement.mismatch', `tcbInfo: has no identity of module ${id}`)
  checkModule(report, identity, id)
  const moduleLevel = identity.tcbLevels.find((l) => l.tcb.isvsvn <= (svns[0] ?? 0))
  if (moduleLevel === undefined)
    throw new VouchsafeError('endorsement.mismatch', `tcbInfo: module ${id} of SVN ${svns[0]} is below every TCB level`)
  return { platform, module: { id, ...ratingOf(moduleLevel) } }
}

/** Whether every component from the `first` on is at least at its level. One that the level does not speak of is not. */
function reaches(svns: ArrayLike<number>, level: readonly number[], first: number): boolean {
  for (let i = first; i < svns.length; i++) if (!((svns[i] ?? 0) >= (level[i] ?? Infinity))) return false
  return true
}

function checkModule(report: TdReport, identity: TdxTcbInfo['tdxModule'], id: string): void {
  const wrong = (field: string, found: Uint8Array, wanted: Uint8Array) =>
    new VouchsafeError('endorsement.mismatch', `TD report: ${field} is ${toHex(found)}, ${id} says ${toHex(wanted)}`)
  if (!sameBytes(report.mrSignerSeam, identity.mrsigner))
    throw wrong('MRSIGNERSEAM', report.mrSignerSeam, identity.mrsigner)
  if (!sameUnderMask(report.seamAttributes, identity.attributes, identity.attributesMask))
    throw wrong('SEAMATTRIBUTES', report.seamAttributes, identity.attributes)
}
