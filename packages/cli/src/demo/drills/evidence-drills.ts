import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { GuestClient } from '@vouchsafe/client'
import type { Captured, HostileOutcome } from '../../attack/hostile.ts'
import type { RawGuest } from '../../attack/raw-guest.ts'
import { JsonProcess } from '../processes.ts'
import type { RefusalCard } from '../reporter.ts'
import { type Clinic, resourceOf } from '../world.ts'
import { type Drill, type DrillContext, cardOf } from './drill.ts'
import { launchedGuest } from './launched-guest.ts'

const HOSTILE = fileURLToPath(new URL('../../attack/hostile.ts', import.meta.url))

/** Runs the hostile process against a broker, and gets the refusal from that broker's owner. */
async function attack({ world }: DrillContext, at: Clinic, captured: Captured): Promise<RefusalCard> {
  const file = world.file(`captured-${captured.attack}.json`)
  writeFileSync(file, JSON.stringify(captured), { mode: 0o600 })
  const hostile = new JsonProcess(`hostile ${captured.attack}`, [HOSTILE, file], {
    logFile: world.file('hostile.log'),
    codeCache: world.codeCache,
  })
  world.cleanup.add(() => hostile.stop('SIGKILL'))
  const outcome = await hostile.line((line) => line as HostileOutcome, 30_000)
  await hostile.exited()
  if (!outcome.refused)
    return { code: 'none', check: 'none', expected: 'a refusal', actual: `the broker gave ${outcome.got}`, advice: '' }
  const card = await cardOf(at, outcome.decision)
  // the guest's code and the owner's must be one and the same
  return card.code === outcome.code
    ? card
    : { ...card, code: 'none', actual: `the guest was told ${outcome.code}, the record says ${card.code}` }
}

/** An honest attestation to capture: request and token. */
async function honest(
  context: DrillContext,
  at: Clinic,
  guest: RawGuest,
  machine: string,
  send: boolean,
): Promise<Captured> {
  const client = new GuestClient(at.pin, { timeoutMs: 10_000 })
  try {
    const { body } = await guest.attestBody(client, machine, context.agreement)
    const token = send ? (await client.attest(body)).token : ''
    return { pin: at.pin, attack: 'replay', body, token, resources: [resourceOf(at)] }
  } finally {
    client.close()
  }
}

export const replayedQuote: Drill = {
  id: 'replayed-quote',
  title: 'Yesterday’s quote is replayed',
  mustRefuseWith: 'evidence.stale',
  run: async (context) => {
    const { guest, machine } = await launchedGuest(context)
    return attack(context, context.a, { ...(await honest(context, context.a, guest, machine, true)), attack: 'replay' })
  },
}

export const relayedEvidence: Drill = {
  id: 'relayed-evidence',
  title: 'A thief relays honest evidence, with keys of his own',
  mustRefuseWith: 'evidence.binding',
  run: async (context) => {
    const { guest, machine } = await launchedGuest(context)
    return attack(context, context.a, { ...(await honest(context, context.a, guest, machine, false)), attack: 'relay' })
  },
}

export const forwardedToken: Drill = {
  id: 'forwarded-token',
  title: 'The guest’s token for A is presented at B',
  mustRefuseWith: 'token.issuer',
  run: async (context) => {
    const { guest, machine } = await launchedGuest(context)
    const captured = await honest(context, context.a, guest, machine, true)
    return attack(context, context.b, {
      ...captured,
      pin: context.b.pin,
      attack: 'forward',
      resources: [resourceOf(context.b)],
    })
  },
}
