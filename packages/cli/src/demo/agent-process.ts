import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { RawGuest } from '../attack/raw-guest.ts'
import { JsonProcess } from './processes.ts'
import type { Clinic, World } from './world.ts'

/** What the operator gives the agent: everything but secrets. */
export interface AgentSetup {
  /** Names its files; unlike any other agent's. */
  readonly name: string
  readonly guest: RawGuest
  readonly layout: string
  readonly data: Readonly<Record<string, string>>
  readonly overrides?: Readonly<Record<string, unknown>>
}

/** The agent of one guest: enrolled with both clinics, ready to run. */
export interface GuestAgent {
  readonly results: string
  run(): JsonProcess
}

/** Writes an agent's configuration and enrols its machine with the tickets that the owners give. */
export async function enrolAgent(world: World, clinics: readonly Clinic[], setup: AgentSetup): Promise<GuestAgent> {
  const directory = world.file(setup.name)
  mkdirSync(directory, { mode: 0o700 })
  const config = {
    tpm: setup.guest.machine.tpm,
    bootLog: setup.guest.machine.bootLog,
    agreement: world.file('agreement.json'),
    imageLayout: setup.layout,
    data: setup.data,
    results: path.join(directory, 'results'),
    state: path.join(directory, 'state'),
    workspace: directory,
    overrides: setup.overrides ?? {},
    waitSeconds: 120,
  }
  const configFile = path.join(directory, 'agent.json')
  writeFileSync(configFile, JSON.stringify(config))
  const tickets: Record<string, string> = {}
  for (const { id, owner } of clinics) tickets[id] = (await owner.issueTicket(setup.name, 600)).ticket
  const ticketsFile = path.join(directory, 'tickets.json')
  writeFileSync(ticketsFile, JSON.stringify(tickets), { mode: 0o600 })
  const program = await world.agentProgram()
  const start = (name: string, args: readonly string[]) => {
    const agent = new JsonProcess(name, [program, ...args], {
      logFile: world.file(`${setup.name}.log`),
      codeCache: world.codeCache,
    })
    world.cleanup.add(() => agent.stop())
    return agent
  }
  const enrolling = start(`agent enrol of ${setup.name}`, ['enrol', configFile, ticketsFile])
  for (const { id } of clinics) await enrolling.line((line) => agentEvent(line, 'enrolled', id), 60_000)
  await enrolling.exited()
  return { results: config.results, run: () => start(`agent of ${setup.name}`, ['run', configFile]) }
}

/** An agent's event of that name, of that owner where one is given. */
export function agentEvent(line: unknown, name: string, owner?: string): Readonly<Record<string, unknown>> | null {
  const event = line as Readonly<Record<string, unknown>>
  return event['event'] === name && (owner === undefined || event['owner'] === owner) ? event : null
}
