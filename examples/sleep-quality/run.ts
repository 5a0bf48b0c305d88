import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { styleText } from 'node:util'
import { VouchsafeError, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { SimulatedTokenAuthority, startRootPage } from '@vouchsafe/simulator'
import type { JsonProcess } from '../json-process.ts'
import { audit } from './machine/audit.ts'
import { type MachineOptions, startMachine } from './machine/start-machine.ts'
import { startProxy } from './machine/proxy.ts'
import type { Report } from '../report.ts'
import { type Stage, tell } from '../tell.ts'
import { blobsOf, existing, identityOf } from './existing.ts'
import { buildUsleepImage } from './usleep/build-image.ts'
import { UWEAR_FOLDER, buildUwearImage } from './uwear/build-image.ts'
import type { Settings } from './usleep/serve.ts'
import { type Answer, DATA_FILE, runUwear, UwearConfig } from './uwear/process.ts'

/** `npm run example -- sleep-quality [--json]`. The last line counts what went as it must; exit 0 when all did. */
await tell('sleep-', story)

async function story({ report, directory, atEnd }: Stage): Promise<void> {
  report.title('Preparing: an attestation service, an image of USleep, and what UWear knows of both')
  const authority = SimulatedTokenAuthority.create()
  const rootSha256 = toHex(nodeCrypto.digest('sha256', authority.root))
  const page = await startRootPage(authority)
  atEnd(() => page.close())
  const { layout: named, identities } = existing(process.env)
  const uwear = await identityOf('UWear', identities)
  const balancer = await identityOf('load balancer', identities)
  const settings: Settings = { audience: 'uwear', senders: [uwear.sha256, balancer.sha256] }
  const ownLayout = path.join(directory, 'layout')
  const layout = named ?? ownLayout
  const before = blobsOf(layout)
  const approved = await buildUsleepImage(settings, layout)
  const found = before.includes(approved.digest.slice('sha256:'.length))
  report.say(
    `UWear reads USleep's source, builds it, and approves ${approved.digest}${found ? ', which is there already' : ''}`,
  )
  report.answer({ approved: approved.digest, found, sender: uwear.sha256 })
  const config = new UwearConfig(path.join(directory, 'uwear'), uwear, {
    from: page.address,
    sha256: rootSha256,
    digest: approved.digest,
  })

  report.title('The approved workload')
  const good = await launch('m1', approved.digest, layout)
  const first = await runUwear(config.write(good.port))
  tellRules(report, first)
  report.check('the root was downloaded and has the pinned SHA-256', 'root' in first && first.root === 'downloaded')
  report.check('every rule holds', 'rules' in first && first.allow && first.rules.every((r) => r.holds))
  report.check('the night was sent', first.sent)
  const verdict = first.sent ? first.verdict : undefined
  report.check(`verdict: ${verdict?.verdict}`, verdict?.verdict === 'great sleep!')
  report.check(
    `verdict by the codelab's rules: ${verdict?.asCodelab}`,
    verdict?.asCodelab === 'total sleep time is less than 8 hours',
    'these call 510 minutes less than 8 hours: their first comparison is reversed',
  )

  report.title('A workload that UWear has not approved: for another audience, and so another image')
  const other = await buildUsleepImage({ ...settings, audience: 'another-company' }, ownLayout)
  const bad = await launch('m2', other.digest, ownLayout)
  const second = await runUwear(config.write(bad.port))
  tellRules(report, second)
  report.check('the root on disk was used again', 'root' in second && second.root === 'kept')
  report.check('exactly image_digest and audience are false', failing(second) === 'image_digest audience')
  report.check('nothing was sent', !second.sent && (await nothingCame(bad.machine)))

  report.title('The approved workload behind a load balancer that ends TLS')
  const proxy = await startProxy({ host: '127.0.0.1', port: good.port }, balancer)
  atEnd(proxy.close)
  await good.machine.line({ event: 'verdict.sent' })
  const heard = good.machine.lines.length
  const third = await runUwear(config.write(proxy.port))
  tellRules(report, third)
  report.check('exactly nonce is false', failing(third) === 'nonce')
  report.check('nothing was sent', !third.sent && (await nothingCame(good.machine, heard)))

  report.title('A root that is not the pinned one')
  const fourth = await runUwear(config.write(good.port, { sha256: '0'.repeat(64), file: 'other-root.pem' }))
  const code = 'error' in fourth ? fourth.error.code : 'none'
  report.check(`refused before anybody was called: ${code}`, code === 'endorsement.untrusted' && !fourth.sent)

  report.title('UWear as a workload itself: its program measured, too, and the address told at launch')
  const own = await runAttestedUwear({ REMOTE_ADDRESS: `127.0.0.1:${good.port}` })
  report.check('the night was sent', own.answer['sent'] === true)
  report.check(
    'an auditor sees which program that was, and what was told to it at launch',
    own.seen.image_digest === own.digest && own.seen.env_override?.['REMOTE_ADDRESS'] === `127.0.0.1:${good.port}`,
  )
  report.check('its machine is gone', !existsSync(own.directory))
  const kept = readFileSync(own.logFile, 'utf8')
  report.check('its log is not, and tells the verdict', kept.includes('great sleep!') && !leaks(kept))
  const stranger = await runAttestedUwear({ UWEAR_POLICY: '/tmp/mine.rego' }).catch((error: unknown) => error)
  const refusal = stranger instanceof VouchsafeError ? stranger.code : 'none'
  report.check(`another variable is refused: ${refusal}`, refusal === 'appraisal.launch-environment')

  report.title('What the operators can read')
  const logs = [...good.machine.output, ...bad.machine.output].join('\n')
  report.say(logs.trim())
  report.check('launch and verdict, nothing of the night, no token, no key', !leaks(logs))

  async function launch(name: string, digest: typeof approved.digest, from: string) {
    const { workload: machine, stop } = await startMachine(machineOf('usleep', name, digest, from))
    atEnd(stop)
    return { machine, port: Number((await machine.line({ event: 'usleep.listening' }))['port']) }
  }

  function machineOf(company: string, name: string, digest: typeof approved.digest, from: string): MachineOptions {
    return {
      directory: path.join(directory, name),
      layout: from,
      digest,
      authority,
      instance: { project: `${company}-project`, zone: 'here-1', name: `${company}-1`, id: '1' },
      accounts: [`workload@${company}-project`],
    }
  }

  /** UWear on a machine of its own: started, heard, shown to an auditor, and taken away. */
  async function runAttestedUwear(variables: Readonly<Record<string, string>>) {
    const file = config.write('told at launch')
    const { digest } = await buildUwearImage(path.basename(file), ownLayout)
    const machine = machineOf('uwear', 'm3', digest, ownLayout)
    const logFile = path.join(directory, 'uwear.log')
    const mounts = { [UWEAR_FOLDER]: path.dirname(file) }
    const { workload, vouch, stop } = await startMachine({ ...machine, variables, mounts, logFile })
    try {
      const seen = await audit(vouch, authority.root)
      const answer = await workload.line({ root: 'kept' })
      return { answer, digest, seen, logFile, directory: machine.directory }
    } finally {
      await stop()
    }
  }
}

/** UWear's answer, a line for each rule. */
function tellRules(report: Report, answer: Answer): void {
  report.answer(answer)
  for (const { rule, holds, why } of 'rules' in answer ? answer.rules : []) {
    report.say(`  ${rule.padEnd(24)}${holds ? 'true' : styleText('red', 'false')}`)
    if (why !== undefined) report.say(`      ${why}`)
  }
}

function failing(answer: Answer): string {
  if (!('rules' in answer)) return 'no rules'
  const names = answer.rules.filter((r) => !r.holds).map((r) => r.rule.replace(/_verified$/, ''))
  return names.join(' ')
}

/** Waits until USleep knows that it was refused: whatever had been sent would be in its log by then. */
async function nothingCame(machine: JsonProcess, from = 0): Promise<boolean> {
  await machine.line({ event: 'token.refused' })
  return !machine.lines.slice(from).some((line) => line['event'] === 'verdict.sent')
}

/** Whether a log tells more than it may: any fact of the night, a token or its parts, a key. */
function leaks(log: string): boolean {
  const { name, sleep } = JSON.parse(readFileSync(DATA_FILE, 'utf8')) as {
    name: string
    sleep: Record<string, { minutes: number }>
  }
  const words = [name, ...Object.values(sleep).map(({ minutes }) => String(minutes))]
  return words.some((word) => new RegExp(`\\b${word}\\b`).test(log)) || /eyJ|PRIVATE|[A-Za-z0-9_-]{43}/.test(log)
}
