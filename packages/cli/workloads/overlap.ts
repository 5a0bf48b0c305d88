/**
 * The two clinics' workload: how many patients do both have, and what is the mean of clinic A's column over them?
 * Runs in the container on Node alone. What it is given comes by file descriptor, never by argument or environment:
 * descriptor 3 holds a JSON manifest that names the others.
 */
import { closeSync, readFileSync, writeSync } from 'node:fs'

interface Manifest {
  readonly inputs: Readonly<Record<string, { readonly fd: number; readonly kind: string }>>
  readonly result: { readonly fd: number }
}

const manifest = JSON.parse(readFileSync(3, 'utf8')) as Manifest
const a = readTable('clinic-a/patients-a/key')
const b = readTable('clinic-b/patients-b/key')

let count = 0
let sum = 0
for (const [id, systolic] of a) {
  if (!b.has(id)) continue
  count++
  sum += systolic
}
// in hundredths, so that every machine prints the same digits
const mean = count === 0 ? 0 : Math.round((sum * 100) / count) / 100
writeSync(manifest.result.fd, JSON.stringify({ count, mean }))
closeSync(manifest.result.fd)

/** A clinic's table, by patient. The agent has decrypted it with the key that the clinic released. */
function readTable(name: string): ReadonlyMap<string, number> {
  const input = manifest.inputs[name]
  if (input?.kind !== 'data') throw new Error(`no data ${name}`)
  const [, ...lines] = readFileSync(input.fd, 'utf8').trimEnd().split('\n')
  return new Map(
    lines.map((line) => {
      const [id = '', , systolic = ''] = line.split(',')
      return [id, Number(systolic)]
    }),
  )
}
