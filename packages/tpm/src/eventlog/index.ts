export type { Bank } from './bank.ts'
export { EV, eventTypeName } from './event-types.ts'
export type { RegisterSpace, SpecIdHeader, TcgEvent, TcgLog } from './tcg-log.ts'
export { parseCcelLog, parseTcgLog } from './parse-tcg-log.ts'
export { newTcgLog, writeTcgLog } from './write-tcg-log.ts'
export { measuredEvent, noActionEvent } from './measured-event.ts'
export type { NewTcgEvent } from './measured-event.ts'
export { startupLocality, startupLocalityData } from './startup-locality.ts'
export type { StartupLocality } from './startup-locality.ts'
export { replayTcgLog, replayTcgLogWith } from './replay.ts'
export type { Replay } from './replay.ts'
export { completeExitBootServices } from './exit-boot-services.ts'
export { verifyReplays } from './verify-replays.ts'
export type { AttestedRegisters, Coverage } from './verify-replays.ts'

export { CEL_CONTENT } from './cel-record.ts'
export type { CelLog, CelRecord } from './cel-record.ts'
export { parseCel } from './parse-cel.ts'
export { celRecord, encodeCelRecord, writeCel } from './write-cel.ts'
export { replayCel } from './replay-cel.ts'
export {
  decodeLaunchEvent,
  encodeLaunchEvent,
  LAUNCH_ISOLATIONS,
  LAUNCH_NETWORKS,
  LAUNCH_OUTPUTS,
  LAUNCH_RESTARTS,
} from './launch-event.ts'
export type { LaunchEvent, LaunchIsolation, LaunchNetwork, LaunchOutput, LaunchRestart } from './launch-event.ts'
export { LAUNCH_REGISTER, launchEvents, launchRecord, readLaunch } from './launch.ts'
export type { Launch } from './launch.ts'
export { readConfidentialSpaceHost, readConfidentialSpaceLaunch } from './confidential-space.ts'
export type { ConfidentialSpaceHost, ConfidentialSpaceLaunch } from './confidential-space.ts'
