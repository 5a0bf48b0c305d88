import { clockBack, swappedKeys } from './broker-drills.ts'
import { distrustedPlatform } from './distrust-drill.ts'
import type { Drill } from './drill.ts'
import { forwardedToken, relayedEvidence, replayedQuote } from './evidence-drills.ts'
import { debugLaunch, envOverride, imageByte } from './launch-drills.ts'
import { editedLedger } from './ledger-drills.ts'

/** In the order of the story. The distrust comes last: it ends what the others build on. */
export const DRILLS: readonly Drill[] = [
  imageByte,
  envOverride,
  debugLaunch,
  replayedQuote,
  forwardedToken,
  relayedEvidence,
  clockBack,
  swappedKeys,
  editedLedger,
  distrustedPlatform,
]
