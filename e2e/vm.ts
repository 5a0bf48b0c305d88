import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type TpmEvidence, fromBase64Url, fromHex, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { SimulatorManufacturer } from '@vouchsafe/simulator'
import { type TcgLog, bootAggregate, compareBoots, parseImaLog, parseTcgLog } from '@vouchsafe/tpm/eventlog'
import { type Stage, tell } from '../examples/tell.ts'
import { COMMAND_LINE } from './vm/command-line.ts'
import { debianKernel, installMissing } from './vm/debian.ts'
import { makeInitramfs } from './vm/initramfs.ts'
import { type GuestEvent, MEMORY_MIB, VirtualMachine } from './vm/machine.ts'
import { Owner } from './vm/owner.ts'
import { WORKLOAD_ARGS, buildWorkload } from './vm/workload.ts'

/*
 * `npm run e2e -- vm [--json]`: a Debian kernel boots in QEMU under OVMF, with a TPM that firmware and kernel
 * measure into, and the agent inside attests to a broker outside. Three boots: one to see what it measures, one that the
 * owner agreed to, one with another command line. Minutes, since the processor is emulated; not part of CI.
 */
const OTHER_COMMAND_LINE = `${COMMAND_LINE} mitigations=off`
const PATIENTS = 42

await tell('vm-', story)

async function story({ report, directory, atEnd }: Stage): Promise<void> {
  report.title('A machine, and an owner with a broker outside of it')
  installMissing()
  const kernel = debianKernel()
  const manufacturer = SimulatorManufacturer.create()
  const initramfs = await makeInitramfs(kernel.modules)
  const home = path.join(directory, 'o')
  mkdirSync(home, { mode: 0o700 })
  const table = `id\n${Array.from({ length: PATIENTS }, (_, i) => `${i}\n`).join('')}`
  const owner = await Owner.start(home, manufacturer.certificate, table)
  atEnd(() => owner.stop())
  const machine = await VirtualMachine.make(path.join(directory, 'm'), { kernel, initramfs, manufacturer })
  atEnd(() => machine.stop())
  const image = await buildWorkload(path.join(home, 'image'))
  report.say(`${path.basename(kernel.image)}; initial RAM disk ${initramfs.length} bytes; image ${image}`)

  report.title('First boot: nobody knows yet what this machine measures, so a boot that cannot be is pinned')
  await owner.agree('draft', image, WORKLOAD_ARGS, { '0': '0'.repeat(64) })
  const first = await boot('draft', COMMAND_LINE)
  const enrolled = find(first, { event: 'enrolled' })
  report.check('it enrols by the endorsement key of its TPM', enrolled['class'] === 'simulated')
  const unpinned = find(first, { event: 'attest.refused' })
  report.check('it is refused: that is not what was agreed', unpinned['code'] === 'appraisal.boot-state')
  const unpinnedEvidence = await owner.evidenceOf(String(unpinned['decision']))
  const registers = bootRegisters(unpinnedEvidence)
  report.check(
    'firmware, kernel and IMA measured into registers 0 to 7, 9 and 10',
    Object.keys(registers).join() === '0,1,2,3,4,5,6,7,9,10',
    `registers ${Object.keys(registers).join(', ')}`,
  )

  report.title('Second boot: the owner has pinned what was seen, and approved')
  await owner.agree('count', image, WORKLOAD_ARGS, registers)
  const second = await boot('count', COMMAND_LINE, String(enrolled['machine']))
  const granted = find(second, { event: 'release.granted' })
  report.check('the same boot measures the same, and the key is released', granted['owner'] === 'clinic-a')
  report.check('the workload ran in its container', find(second, { event: 'workload.ended' })['status'] === 0)
  const { text } = find(second, { event: 'result', file: 'clinic-a.jwe' })
  writeFileSync(path.join(home, 'clinic-a.jwe'), String(text))
  const keys = ['--agreement', 'count.json', '--recipient', 'clinic-a', '--key', 'results.pem', '--as', 'owner.json']
  const opened = await owner.run('result', 'open', 'clinic-a.jwe', ...keys)
  report.check('the owner opens the result, and it is right', String(opened['text']) === `{"count":${PATIENTS}}`)
  const agreed = await owner.evidenceOf(String(granted['decision']))
  report.check('the record of the release replays, and holds the kernel’s list, tied to this boot', holdsBoot(agreed))

  report.title('Third boot: the same machine, kernel and agreement, another command line')
  // the owner works out what that boot would measure before it is
  writeFileSync(path.join(home, 'first.log'), fromBase64Url(unpinnedEvidence.bootLog))
  const parts = ['--kernel', kernel.image, '--initrd', machine.initramfs, '--append', OTHER_COMMAND_LINE]
  const memory = ['--memory', String(MEMORY_MIB)]
  const computed = await owner.run('reference', 'compute', '--boot-log', 'first.log', ...parts, ...memory)
  const third = await boot('count', OTHER_COMMAND_LINE, String(enrolled['machine']))
  const refused = find(third, { event: 'attest.refused' })
  report.check(`it is refused: ${String(refused['code'])}`, refused['code'] === 'appraisal.boot-state')
  report.check('nothing was released', !third.some(({ event }) => event === 'release.granted' || event === 'result'))
  const why = await owner.say('why', String(refused['decision']))
  report.say(why)
  const named = /register 9 is [0-9a-f]{64}, made by event \d+, the kernel's stub was started with command line sha256 /
  report.check('`why` names the event and the register', named.test(why))
  report.check('`why` names the pin', why.includes(`register 9 is ${registers['9']}`))
  const others = [...why.matchAll(/expected {2}register (\d+) /g)].map(([, n]) => n)
  report.check('and no other register but IMA’s, which sums up the boot', others.join() === '9,10')
  const evidence = await owner.evidenceOf(String(refused['decision']))
  const { '10': _programs, ...measured } = bootRegisters(evidence)
  report.check(
    'KB-30 its registers, quoted, are those computed from kernel, RAM disk and command line before it booted',
    isDeepStrictEqual(measured, computed['registers']) && measured['9'] !== registers['9'],
    JSON.stringify(computed['registers']),
  )
  const { changed } = compareBoots(bootLogOf(agreed), bootLogOf(evidence), 'sha256', nodeCrypto)
  const [change, ...more] = changed.flatMap(({ changes }) => changes)
  const kinds = change?.kind === 'changed' && more.length === 0 && change.after.register === 'PCR 9'
  report.check('the two boot logs differ in that one event', kinds, JSON.stringify(changed))
  await owner.run('ledger', 'export', '--out', 'clinic-a.jsonl')
  await owner.run('ledger', 'check', 'clinic-a.jsonl')
  report.check('the ledger holds it all, and is consistent', true)

  async function boot(agreement: string, commandLine: string, enrolledAs?: string): Promise<readonly GuestEvent[]> {
    const again = enrolledAs === undefined ? [] : ['--again', enrolledAs]
    const { ticket } = await owner.run('machine', 'ticket', 'guest-1', ...again)
    const config = {
      agreement: `${agreement}.json`,
      imageLayout: 'image',
      data: { 'clinic-a/patients/key': 'patients.age' },
      results: 'results',
      state: 'state',
      waitSeconds: 60,
      timeoutSeconds: 120,
    }
    writeFileSync(path.join(home, 'agent.json'), JSON.stringify(config))
    writeFileSync(path.join(home, 'tickets.json'), JSON.stringify({ 'clinic-a': ticket }), { mode: 0o600 })
    const files = ['agent.json', 'tickets.json', `${agreement}.json`, 'image', 'patients.age']
    const { events, seconds } = await machine.boot({ commandLine, job: { directory: home, files } })
    report.say(`${seconds} s with "${commandLine}"`)
    for (const event of events) report.say(`    ${JSON.stringify(event).slice(0, 200)}`)
    return events
  }
}

/** What a boot measured. 13 is the launch's own; 16 and above can be reset by whoever runs the machine. */
function bootRegisters({ registers }: TpmEvidence): Readonly<Record<string, string>> {
  const counts = ([n, value]: readonly [string, string]) => Number(n) < 16 && n !== '13' && !/^0+$/.test(value)
  return Object.fromEntries(Object.entries(registers).filter(counts))
}

function bootLogOf({ bootLog }: TpmEvidence): TcgLog {
  return parseTcgLog(fromBase64Url(bootLog))
}

/** The kernel's list begins with a digest over the registers of the boot before it. */
function holdsBoot({ imaLog = '', registers }: TpmEvidence): boolean {
  const [first] = parseImaLog(fromBase64Url(imaLog))
  const values = new Map(Object.entries(registers).map(([n, value]) => [Number(n), fromHex(value)]))
  const aggregate = toHex(bootAggregate('sha256', values, nodeCrypto))
  return first?.entry?.path === 'boot_aggregate' && toHex(first.entry.digest) === aggregate
}

/** The first event with these members. */
function find(events: readonly GuestEvent[], wanted: GuestEvent): GuestEvent {
  const found = events.find((event) => Object.entries(wanted).every(([name, value]) => event[name] === value))
  if (found === undefined)
    throw new Error(
      `the guest said no ${JSON.stringify(wanted)}, but:\n${events.map((e) => JSON.stringify(e)).join('\n')}`,
    )
  return found
}
