import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { SimulatorManufacturer } from '@vouchsafe/simulator'
import { PostgresServer, missingPostgres } from '../packages/broker/src/store/testing/postgres-server.ts'
import { type Clinic, type Place, startClinic } from './spine/clinic.ts'
import { type Growth, judgeGrowth, measureGrowth } from './spine/growth.ts'
import { physicalLimit } from './spine/limit.ts'
import { type Speeds, measureSpeed, printSpeed } from './spine/speed.ts'
import { SIZES } from './stores/history.ts'
import { Tally } from './stores/tally.ts'

/*
 * `npm run bench -- spine`: enrolments, attestations and releases of a real broker process over TLS, for a guest on a
 * software TPM, and how they grow with what the broker holds. `npm run bench -- ledger` measures the release
 * transaction alone.
 *
 * A software TPM shares the processors with the broker, and a real one is slower than both. So the guest gets ready
 * first, with real evidence over real nonces, and only what waits for the broker is on the clock; the TPM's time is
 * printed apart. Where many come at once, all of them are ready before the first is sent.
 */
const directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-bench-'))
const manufacturer = SimulatorManufacturer.create()
const limit = physicalLimit(directory)
const tally = new Tally()
const speeds: Speeds[] = []
const growth: Growth[] = []

async function measure(placeOf: () => Promise<Place> | Place): Promise<void> {
  const clinics: Clinic[] = []
  try {
    for (const size of SIZES) {
      const place = await placeOf()
      console.error(`${place.kind}: a broker with ${size.name}`)
      clinics.push(await startClinic(directory, place, size, manufacturer))
    }
    const [smallest] = clinics
    if (smallest === undefined) throw new Error('no sizes')
    const speed = await measureSpeed(smallest, limit.run)
    speeds.push(speed)
    printSpeed(speed)
    const grown = await measureGrowth(clinics)
    growth.push(...grown)
    judgeGrowth(tally, grown)
  } finally {
    for (const clinic of clinics) await clinic.stop()
  }
}

try {
  await measure(() => ({ kind: 'SQLite' }))
  if (!missingPostgres()) {
    const server = PostgresServer.start(['max_wal_size=8GB'])
    try {
      await measure(async () => ({ kind: 'PostgreSQL', server, database: await server.create() }))
    } finally {
      server.stop()
    }
  }
  const machine = { processors: cpus().length, model: cpus()[0]?.model ?? 'unknown', node: process.version }
  tally.end('spine', { machine, speeds, growth })
} finally {
  limit.close()
  rmSync(directory, { recursive: true, force: true })
}
