import type { Agreement } from '@vouchsafe/core'
import { replayRecord } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { SimulatorManufacturer } from '@vouchsafe/simulator'
import type { RefusalCard } from '../reporter.ts'
import type { Clinic, World } from '../world.ts'

/** What a drill may use: the world as the story left it. */
export interface DrillContext {
  readonly world: World
  readonly a: Clinic
  readonly b: Clinic
  readonly agreement: Agreement
  readonly manufacturer: SimulatorManufacturer
  /** The agreed image's layout. */
  readonly layout: string
  /** Encrypted data files by resource path. */
  readonly data: Readonly<Record<string, string>>
}

/** One drill: a real attack, the code that must stop it, and how the refusal came out. */
export interface Drill {
  readonly id: string
  readonly title: string
  readonly mustRefuseWith: string
  readonly run: (context: DrillContext) => Promise<RefusalCard>
}

/** The card of a recorded decision: what its owner sees, computed again from the record. */
export async function cardOf(clinic: Clinic, decision: string | null): Promise<RefusalCard> {
  if (decision === null)
    return { code: 'none', check: 'none', expected: 'a recorded decision', actual: 'nothing was recorded', advice: '' }
  const { record } = await clinic.owner.decision(decision)
  const { verdict, signed, reproduced } = await replayRecord(record, clinic.pin.decisions, nodeCrypto)
  const [first] = verdict.reasons
  if (first === undefined || signed !== true || !reproduced)
    return {
      code: 'none',
      check: 'none',
      expected: 'a signed denial that can be reproduced',
      actual: `kind ${verdict.kind}, signed ${signed}, reproduced ${reproduced}`,
      advice: '',
    }
  return {
    code: first.code,
    check: CHECKS[first.code] ?? first.stage,
    expected: first.expected,
    actual: first.actual,
    advice: first.advice,
  }
}

/** What was checked, in words, by the code of the refusal. */
const CHECKS: Readonly<Record<string, string>> = {
  'appraisal.image': 'the image that was measured at launch',
  'appraisal.launch-environment': 'the environment that was measured at launch',
  'appraisal.launch-debug': 'the debug mode that was measured at launch',
  'evidence.stale': 'the nonce in the evidence',
  'evidence.binding': 'the transcript that the quote commits to',
  'token.issuer': 'the issuer of the token',
  'token.audience': 'the audience of the token',
  'appraisal.distrusted': 'the owner’s distrust rules',
}
