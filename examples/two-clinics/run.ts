import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { openResult, verifyMaker } from '@vouchsafe/client'
import { type P256Jwk, p256JwkSchema, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { SimulatorManufacturer } from '@vouchsafe/simulator'
import { writeAgreement } from './agreement.ts'
import { Clinic } from './clinic.ts'
import { Machine } from './operator.ts'
import { answerSchema, twoClinics } from './patients.ts'
import { type Stage, tell } from '../tell.ts'
import { buildWorkload, WORKLOAD_ARGS } from './workload-image.ts'

/** `npm run example -- two-clinics [--json]`. The last line counts what went as it must; exit 0 when all did. */
await tell('tc-', story)

async function story({ report, directory, atEnd }: Stage): Promise<void> {
  const codeCache = path.join(directory, 'code')
  const patients = twoClinics()
  const resources = { 'clinic-a': 'treated/key', 'clinic-b': 'recovered/key' }

  report.title('Two clinics start a broker each, and an operator boots a machine')
  const manufacturer = SimulatorManufacturer.create()
  const startClinic = async (id: string) => {
    const clinic = await Clinic.start(id, path.join(directory, id), manufacturer.certificate, codeCache)
    atEnd(() => clinic.stop())
    return clinic
  }
  const [a, b] = await Promise.all([startClinic('clinic-a'), startClinic('clinic-b')])
  const clinics = [a, b]
  const machine = await boot('m1')
  for (const clinic of clinics) report.say(`${clinic.id}: ${clinic.pin.id} at ${clinic.pin.url}`)

  report.title('They agree on one image and sign what it may do')
  const layout = path.join(directory, 'layout')
  const image = await buildWorkload(layout)
  const recipient = newRecipient()
  const agreement = writeAgreement({
    clinics,
    resources,
    image,
    args: WORKLOAD_ARGS,
    registers: machine.registers,
    recipient: { id: 'clinic-a', key: recipient.jwk },
  })
  for (const { owner } of clinics) await owner.proposeAgreement(agreement.bytes)
  await a.approve(agreement, clinics)
  const data = {
    'clinic-a/treated/key': await a.encrypt(resources['clinic-a'], patients.a),
    'clinic-b/recovered/key': await b.encrypt(resources['clinic-b'], patients.b),
  }
  report.say(`agreement ${agreement.digest}, image ${image}`)

  report.title('Clinic B has not signed yet')
  const agent = await machine.start({ agreement, layout, data }, clinics)
  atEnd(() => agent.stop())
  const waiting = await agent.line({ event: 'release.waiting' })
  const waitingAt = waiting['owner'] === a.id ? a : b
  report.check(`the machine waits: ${String(waiting['code'])}`, waiting['code'] === 'agreement.waiting')
  report.say(`${waitingAt.id} sees why: ${(await waitingAt.why(String(waiting['decision']))).join('; ')}`)

  report.title('Clinic B signs')
  await b.approve(agreement, clinics)
  for (const { id } of clinics) {
    const granted = await agent.line({ event: 'release.granted', owner: id })
    report.check(`${id} released its key, decision ${String(granted['decision'])}`, true)
  }
  await agent.line({ event: 'result.sealed', recipient: a.id })
  report.check('the workload ended well', (await agent.ended()) === 0)

  report.title('Clinic A opens the result')
  const [file = ''] = readdirSync(machine.results)
  const sealed = readFileSync(path.join(machine.results, file), 'utf8').trim()
  const opened = await openResult(sealed, { agreement: agreement.digest, recipient: a.id }, recipient.privateKey)
  const { record } = await a.owner.decision(opened.decisions[a.id] ?? '')
  await verifyMaker(opened, record, a.pin.decisions)
  report.check('it was made by the very workload that clinic A released its key to', true)
  const answer = parseSchema(answerSchema, parseStrictJson(opened.text, { maxBytes: 65_536 }), 'answer')
  for (const arm of ['treated', 'untreated'] as const)
    report.say(`${arm}: ${answer[arm].recovered} of ${answer[arm].patients} recovered`)
  report.check('it is right', JSON.stringify(answer) === JSON.stringify(patients.answer))

  report.title('The operator tries a program that writes out more')
  const other = await buildWorkload(layout, (script) =>
    script.replace('{ count, ...arms }', '{ count, ...arms, treated }'),
  )
  const second = await boot('m2')
  const hostile = await second.start({ agreement, layout, image: other, data }, clinics)
  atEnd(() => hostile.stop())
  const refused = await hostile.line({ event: 'attest.refused' })
  report.check(`refused: ${String(refused['code'])}`, refused['code'] === 'appraisal.image')
  const refusedBy = refused['owner'] === a.id ? a : b
  const reasons = await refusedBy.why(String(refused['decision']))
  const named = reasons.some((reason) => reason.includes(other) && reason.includes(image))
  report.check(`${refusedBy.id} sees which image it was, and which was agreed`, named)
  report.check('the agent gave up', (await hostile.ended()) !== 0)
  report.check('no result was made', !existsSync(second.results) || readdirSync(second.results).length === 0)

  report.title('An auditor checks both ledgers offline')
  for (const clinic of clinics) {
    const { ok, entries } = await clinic.audit()
    report.check(`${clinic.id}: ${entries} entries, consistent`, ok && entries > 0)
  }

  async function boot(name: string): Promise<Machine> {
    const booted = await Machine.boot(path.join(directory, name), manufacturer, codeCache)
    atEnd(() => booted.guest.stop())
    return booted
  }
}

/** Who may read the result has a key of their own; the private half never leaves them. */
function newRecipient(): { readonly jwk: P256Jwk; readonly privateKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { jwk: parseSchema(p256JwkSchema, publicKey.export({ format: 'jwk' }), 'recipient key'), privateKey }
}
