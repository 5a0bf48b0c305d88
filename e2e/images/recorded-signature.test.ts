import { rmSync } from 'node:fs'
import type { BrokerPin } from '@vouchsafe/core'
import { parseDigest } from '@vouchsafe/image'
import { signBundle, signStatement } from '@vouchsafe/image/signing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BrokerProcess } from '../../packages/broker/src/testing/broker-process.ts'
import { CommandLine } from '../../packages/cli/src/commands/testing/command-line.ts'
import { image } from '../../packages/image/src/testing/pull.ts'
import { newKey, pem } from '../../packages/image/src/testing/signing.ts'
import { file } from '../../packages/image/src/testing/unpack.ts'
import { startClinic } from './clinic.ts'
import { LoopbackRegistry } from './loopback-registry.ts'

const line = new CommandLine()
const [ann, ben] = [newKey(), newKey('ed25519')]
let broker: BrokerProcess
let loopback: LoopbackRegistry
let pin: BrokerPin

beforeAll(async () => {
  ;({ broker, pin } = await startClinic(line))
  loopback = await LoopbackRegistry.start(line.file('registry'))
  line.write('registries.json', JSON.stringify(loopback.hosts))
  line.write('ann.pub', pem(ann))
  line.write('ben.pub', pem(ben))
})
afterAll(async () => {
  await shutDown()
  line.remove()
})

let isDown = false
/** Registry and broker go; once. */
async function shutDown(): Promise<void> {
  if (isDown) return
  isDown = true
  await loopback?.stop()
  await broker?.end('SIGTERM')
}

interface Answer {
  readonly recorded: readonly Readonly<Record<string, unknown>>[]
  readonly signatures: readonly unknown[]
  readonly problems: readonly string[]
}

test('CS-85 a signature is recorded, taken out of its registry, still told of by the ledger, and proved when neither is there', async () => {
  const made = await image([[file('app')]])
  const reference = await loopback.publish(made.directory, made.digest, 'team/app')
  await loopback.sign(made.digest, 'team/app', ann)
  const more = ['--registries', 'registries.json', '--key', 'ann.pub'] as const
  const before = new Date().toISOString()
  const { recorded } = await line.answer<Answer>('image', 'record', reference, ...more, '--proofs', 'proofs')
  const after = new Date().toISOString()
  const [only] = recorded
  expect(recorded).toEqual([expect.objectContaining({ who: 'ann.pub', key: ann.public.id, repeated: false })])
  const approvals = () => line.answer<Answer>('image', 'approvals', reference, ...more, '--checkpoint', 'seen')
  expect(await approvals()).toMatchObject({ recorded: [{ inRegistry: true }], signatures: [{ who: 'ann.pub' }] })

  // one that lies in no registry: an approval service handed it out
  const dockerReference = `${loopback.host}/team/app`
  line.write('approval.json', signBundle(signStatement({ digest: parseDigest(made.digest), dockerReference }), ben))
  const approval = ['--bundle', 'approval.json', '--key', 'ben.pub'] as const
  const handed = await line.answer<Answer>('image', 'record', reference, ...more, ...approval)
  expect(handed.recorded).toMatchObject([{ who: 'ben.pub', form: 'bundle' }])

  await loopback.removeSignatures(made.digest, 'team/app')
  expect(await approvals()).toMatchObject({
    recorded: [
      { who: 'ann.pub', entry: only?.['entry'], inRegistry: false },
      { key: ben.public.id, inRegistry: false },
    ],
    signatures: [],
    problems: [],
  })

  // years later: no registry, no broker, no owner; a file, the signer's key, and the log's from an agreement
  await shutDown()
  rmSync(line.file('broker'), { recursive: true })
  rmSync(line.file('owner.json'))
  const proof = ['image', 'proof', `proofs/signature-${only?.['entry']}.json`]
  const told = line.runProcess([...proof, reference, '--key', 'ann.pub', '--log', pin.log, '--json'])
  expect(told.status, told.stderr).toBe(0)
  const { at, ...rest } = told.json<Readonly<Record<string, string>>>()
  expect(rest).toMatchObject({ digest: made.digest, who: 'ann.pub', key: ann.public.id, by: 'clinic-a' })
  expect((at ?? '') >= before && (at ?? '') <= after).toBe(true)
  const other = line.runProcess([...proof, `sha256:${'0'.repeat(64)}`, '--key', 'ann.pub', '--log', pin.log])
  expect(other.status).toBe(1)
})
