import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { PrincipalKey } from '@vouchsafe/client'
import type { BrokerPin } from '@vouchsafe/core'
import { initBroker } from '../../packages/broker/src/init.ts'
import { type BrokerProcess, startBroker } from '../../packages/broker/src/testing/broker-process.ts'
import type { CommandLine } from '../../packages/cli/src/commands/testing/command-line.ts'
import { writeOwner } from '../../packages/cli/src/files.ts'

/** A broker of one clinic, in a process of its own, and its owner's files `a.pem` and `owner.json` where the commands run. */
export async function startClinic(
  line: CommandLine,
): Promise<{ readonly broker: BrokerProcess; readonly pin: BrokerPin }> {
  const key = PrincipalKey.generate()
  const { config } = await initBroker(
    {
      directory: line.file('broker'),
      profile: 'simulated',
      listen: { host: '127.0.0.1', port: 0 },
      publicUrl: 'https://127.0.0.1:0',
      tenants: [{ id: 'clinic-a', owner: 'clinic-a', ownerKey: key.key, anchors: [] }],
    },
    new Date(),
  )
  const broker = await startBroker(config)
  const pinned = readFileSync(path.join(path.dirname(config), 'clinic-a.pin.json'), 'utf8')
  const pin = { ...(JSON.parse(pinned) as BrokerPin), url: broker.url }
  writeFileSync(line.file('a.pem'), key.toPem(), { mode: 0o600 })
  writeOwner(line.file('owner.json'), line.file('a.pem'), pin)
  return { broker, pin }
}
