import { spawnSync } from 'node:child_process'
import { chownSync, existsSync, globSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { AgreementBody } from '@vouchsafe/core'
import { Tpm } from '@vouchsafe/tpm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AgentProcess, startAgent } from './testing/agent-process.ts'
import { World } from './testing/world.ts'

let world: World
beforeAll(async () => {
  world = await World.start()
})
afterAll(() => world?.stop())

const ANSWER =
  'A=$(cat <&4); B=$(cat <&5); echo "$A"; echo "$B" >&2; echo "{\\"count\\":42,\\"inputs\\":\\"$A $B\\"}" >&6'
const LONG = 'cat <&4 >/tmp/x; sleep 600'
const eventNames = (agent: { readonly events: readonly { readonly event: string }[] }) =>
  agent.events.map((e) => e.event)

/** Nothing that an agent makes may outlive it. */
async function expectNothingLeft(directory: string, agent: AgentProcess): Promise<void> {
  const isGone = () => readdirSync(directory).every((name) => !name.startsWith('vouchsafe-agent-'))
  await expect.poll(isGone, { timeout: 5000 }).toBe(true)
  expect(globSync(`/dev/shm/vouchsafe-agent-${agent.pid}-*`)).toEqual([])
}

describe('a run', () => {
  test('GU-18 waits for an owner, collects everything, runs, and seals the result to its recipient', async () => {
    const [a, b] = world.clinics
    const scenario = await world.scenario({ script: ANSWER, approvedBy: ['clinic-a'] })
    const tickets = JSON.stringify(await world.tickets())
    const enrolling = startAgent(['enrol', scenario.config(), '-'], { stdin: tickets })
    expect(await enrolling.exit, enrolling.said()).toBe(0)
    expect(enrolling.events).toMatchObject(
      [a, b].map(({ id }) => ({
        event: 'enrolled',
        owner: id,
        class: 'simulated',
        machine: expect.stringMatching(/^tpm:/),
      })),
    )
    const agent = scenario.run()
    expect(await agent.until('release.waiting')).toMatchObject({
      code: 'agreement.waiting',
      decision: expect.any(String),
    })
    expect(eventNames(agent)).not.toContain('workload.started')
    await scenario.say('approve', b)
    expect(await agent.exit, agent.said()).toBe(0)
    expect(await scenario.result()).toEqual({ count: 42, inputs: `${a.plain} ${b.plain}` })
    expect(agent.said()).not.toMatch(/canary|AGE-SECRET/)
    await expectNothingLeft(scenario.directory, agent)
  })

  test('G18 CS-50 shows the workload’s output only where the agreement opens it', async () => {
    const open = (body: AgreementBody) => ({ launch: { ...body.launch, output: 'log' as const } })
    const scenario = await (await world.scenario({ script: ANSWER, agreement: open })).enrol()
    const agent = scenario.run()
    expect(await agent.exit, agent.said()).toBe(0)
    for (const { plain } of world.clinics) expect(agent.said()).toContain(plain)
  })

  test('H14 without root: the same workload, without control groups, and it says so', async () => {
    const scenario = await (await world.scenario({ script: ANSWER, image: { user: '1234' } })).enrol()
    for (const file of [
      '.',
      'g',
      'g/tpm',
      'g/binary_bios_measurements',
      'state',
      'state/checkpoints.json',
      'agreement.json',
    ])
      chownSync(path.join(scenario.directory, file), 1500, 1500)
    const agent = scenario.run({}, { uid: 1500 })
    expect(await agent.exit, agent.said()).toBe(0)
    expect(agent.events.find((e) => e.event === 'workload.started')).toMatchObject({
      isolation: 'runc-rootless',
      limited: false,
    })
    expect(await scenario.result()).toMatchObject({ count: 42 })
    await expectNothingLeft(scenario.directory, agent)
  })

  test.each([
    ['G18 too few records', 'echo "{\\"count\\":9}" >&6', 1, 'result.too-few'],
    ['no result', ':', 1, 'result.missing'],
    ['a workload that fails', 'echo "{\\"count\\":99}" >&6; exit 3', 1, 'workload.failed'],
  ])('seals nothing for %s', async (_what, script, status, code) => {
    const scenario = await (await world.scenario({ script })).enrol()
    const agent = scenario.run()
    expect(await agent.exit).toBe(status)
    expect(agent.events.at(-1)).toMatchObject({ event: 'refused', code })
    expect(existsSync(path.join(scenario.directory, 'results'))).toBe(false)
  })

  test('gives up when the owners do not approve in time, and starts nothing', async () => {
    const scenario = await (await world.scenario({ script: ANSWER, approvedBy: ['clinic-b'] })).enrol()
    const agent = scenario.run({ waitSeconds: 0 })
    expect(await agent.exit).toBe(1)
    expect(agent.events.at(-1)).toMatchObject({ event: 'refused', code: 'wait.expired' })
    expect(eventNames(agent)).not.toContain('workload.started')
    await expectNothingLeft(scenario.directory, agent)
  })
})

describe('an operator who launches otherwise than agreed', () => {
  test.each([
    ['H14 other arguments', { args: ['/bin/sh', '-c', 'cat <&4'] }, 'appraisal.launch-arguments'],
    ['H14 one more variable', { env: { DUMP: '1' } }, 'appraisal.launch-environment'],
    ['H17 debug', { debug: true }, 'appraisal.launch-debug'],
    ['H14 the network', { network: 'host' }, 'appraisal.launch-network'],
    ['H16 an open output', { output: 'log' }, 'appraisal.launch-output'],
  ])('%s: it is measured as it is, and the broker refuses', async (_what, overrides, code) => {
    const scenario = await (await world.scenario({ script: ANSWER })).enrol()
    const agent = scenario.run({ overrides })
    expect(await agent.exit).toBe(1)
    expect(agent.events.find((e) => e.event === 'attest.refused')).toMatchObject({ code, decision: expect.any(String) })
    expect(eventNames(agent)).not.toContain('workload.started')
  })

  test('H18 a second launch before a reset is refused, whatever it is', async () => {
    const scenario = await (await world.scenario({ script: ANSWER })).enrol()
    expect(await scenario.run().exit).toBe(0)
    const again = scenario.run()
    expect(await again.exit).toBe(1)
    expect(again.events).toMatchObject([
      { event: 'image.unpacked' },
      { event: 'refused', code: 'launch.measured-before' },
    ])
  })

  test('an image with one byte changed under its digest is refused before anything is measured', async () => {
    const scenario = await (await world.scenario({ script: ANSWER })).enrol()
    const blobs = path.join(scenario.directory, 'image/blobs/sha256')
    const layer = readdirSync(blobs).find((name) => readFileSync(path.join(blobs, name)).includes('cat <&4')) ?? ''
    const bytes = readFileSync(path.join(blobs, layer))
    const at = bytes.indexOf('count')
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(path.join(blobs, layer), bytes)
    const agent = scenario.run()
    expect(await agent.exit).toBe(3)
    expect(agent.events).toMatchObject([{ event: 'refused', code: 'digest.mismatch' }])
    await using tpm = await Tpm.open(scenario.guest.tpm)
    expect((await tpm.pcrRead('sha256', [13])).values.get(13)).toEqual(new Uint8Array(32))
    await expectNothingLeft(scenario.directory, agent)
  })
})

describe('an operator who edits the agreement', () => {
  test.each<[string, (body: AgreementBody) => Partial<AgreementBody>]>([
    ['H19 its minimum count', (body) => ({ result: { ...body.result, minimumCount: 2 } })],
    [
      'G01 the recipient of the result',
      (body) => ({
        result: { ...body.result, recipients: body.result.recipients.map((r) => ({ ...r, id: 'operator' })) },
      }),
    ],
    ['H19 its arguments', (body) => ({ launch: { ...body.launch, args: ['/bin/sh', '-c', 'cat <&4'] } })],
  ])('%s: it is another agreement, which no broker knows', async (_what, change) => {
    const scenario = await (await world.scenario({ script: ANSWER })).enrol()
    const edited = { ...scenario.agreement.body, ...change(scenario.agreement.body) }
    writeFileSync(path.join(scenario.directory, 'agreement.json'), JSON.stringify(edited))
    const agent = scenario.run()
    expect(await agent.exit).toBe(1)
    expect(agent.events.find((e) => e.event === 'attest.refused')).toMatchObject({ code: 'agreement.unknown' })
    expect(eventNames(agent)).not.toContain('workload.started')
  })
})

describe('a lease', () => {
  const shortLease = { agreement: () => ({ leaseSeconds: 4 }) }

  test('G16 ends when fresh evidence no longer appraises: the workload is killed', async () => {
    const scenario = await (await world.scenario({ script: LONG, ...shortLease })).enrol()
    const agent = scenario.run()
    await agent.until('workload.started')
    await agent.until('lease.renewed')
    {
      await using tpm = await Tpm.open(scenario.guest.tpm)
      await tpm.pcrEvent(8, new TextEncoder().encode('another kernel'))
    }
    expect(await agent.until('lease.ended')).toMatchObject({ code: 'evidence.log', decision: expect.any(String) })
    expect(await agent.exit).toBe(1)
    expect(agent.events.find((e) => e.event === 'workload.killed')).toMatchObject({ why: 'evidence.log' })
    expect(existsSync(path.join(scenario.directory, 'results'))).toBe(false)
    await expectNothingLeft(scenario.directory, agent)
  })

  test('G06 ends when an owner withdraws', async () => {
    const scenario = await (await world.scenario({ script: LONG, ...shortLease })).enrol()
    const agent = scenario.run()
    await agent.until('workload.started')
    await scenario.say('withdraw', world.clinics[1])
    const ended = await agent.until('lease.ended')
    expect(await agent.exit, agent.said()).toBe(1)
    expect(ended, agent.said()).toMatchObject({ code: 'lease.ended' })
    await expectNothingLeft(scenario.directory, agent)
  })
})

describe('however the agent ends', () => {
  const commandLines = () =>
    readdirSync('/proc')
      .filter((name) => /^[0-9]+$/.test(name))
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
        } catch {
          return ''
        }
      })

  test.each(['SIGINT', 'SIGTERM'] as const)('%s kills the workload and removes everything', async (signal) => {
    const scenario = await (await world.scenario({ script: 'sleep 4711' })).enrol()
    const agent = scenario.run()
    await agent.until('workload.started')
    agent.signal(signal)
    expect(await agent.exit).toBe(1)
    expect(agent.events.slice(-2)).toMatchObject([
      { event: 'workload.killed' },
      { event: 'refused', code: 'interrupted' },
    ])
    expect(commandLines().filter((c) => /sleep[ \0]4711/.test(c))).toEqual([])
    await expectNothingLeft(scenario.directory, agent)
  })

  test('SIGINT while it waits for owners ends it at once', async () => {
    const scenario = await (await world.scenario({ script: ANSWER, approvedBy: ['clinic-a'] })).enrol()
    const agent = scenario.run()
    await agent.until('release.waiting')
    agent.signal('SIGINT')
    expect(await agent.exit).toBe(1)
    expect(agent.events.at(-1)).toMatchObject({ event: 'refused', code: 'interrupted' })
    await expectNothingLeft(scenario.directory, agent)
  })

  test('SIGKILL: the kernel ends the workload with it, and the next start removes what was left', async () => {
    const scenario = await (await world.scenario({ script: 'sleep 4712' })).enrol()
    const agent = scenario.run()
    const { container } = await agent.until('workload.started')
    await expect.poll(() => commandLines().some((c) => c.includes('4712'))).toBe(true)
    agent.signal('SIGKILL')
    expect(await agent.exit).toBe('SIGKILL')
    await expect.poll(() => commandLines().filter((c) => c.includes('4712')), { timeout: 3000 }).toEqual([])
    expect(readdirSync(scenario.directory)).toContain(container)
    const next = scenario.run()
    expect(await next.until('leftover.removed')).toMatchObject({ container })
    await next.exit
    await expectNothingLeft(scenario.directory, next)
  })

  test('H20 it listens on nothing, and no other user can open its descriptors', async () => {
    const scenario = await (await world.scenario({ script: LONG })).enrol()
    const agent = scenario.run()
    await agent.until('workload.started')
    const sockets = readdirSync(`/proc/${agent.pid}/fd`).flatMap(
      (fd) => /^socket:\[([0-9]+)\]$/.exec(link(agent.pid, fd))?.[1] ?? [],
    )
    expect(sockets.length).toBeGreaterThan(0) // its connections to the brokers
    expect(listeningInodes().filter((inode) => sockets.includes(inode))).toEqual([])
    expect(runAs(65534, `ls /proc/${agent.pid}/fd`)).toContain('Permission denied')
    expect(runAs(65534, `ls ${scenario.directory}/vouchsafe-agent-*/bundle`)).not.toContain('rootfs')
    agent.signal('SIGTERM')
    await agent.exit
  })
})

function link(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`)
  } catch {
    return ''
  }
}

function listeningInodes(): readonly string[] {
  const tcp = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/net/${name}`, 'latin1').split('\n').slice(1))
  const listening = tcp.map((line) => line.trim().split(/\s+/)).filter((fields) => fields[3] === '0A')
  const unix = readFileSync('/proc/net/unix', 'latin1').split('\n').slice(1)
  const accepting = unix.map((line) => line.split(/\s+/)).filter((fields) => fields[3] === '00010000')
  return [...listening.map((fields) => fields[9] ?? ''), ...accepting.map((fields) => fields[6] ?? '')]
}

function runAs(uid: number, command: string): string {
  return spawnSync('/bin/sh', ['-c', `${command} 2>&1`], { uid, gid: uid, encoding: 'utf8' }).stdout
}
