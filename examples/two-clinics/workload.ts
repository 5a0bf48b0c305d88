/**
 * The workload: of those treated and those not, how many recovered? Clinic A knows who was treated, clinic B who
 * recovered. It runs in a container, on Node alone, without network. What it is given comes by file descriptor, and the
 * one thing that leaves it is what it writes to the last of them.
 */
import { readFileSync, writeFileSync } from 'node:fs'

interface Manifest {
  readonly inputs: Readonly<Record<string, { readonly fd: number }>>
  readonly result: { readonly fd: number }
}

const manifest = JSON.parse(readFileSync(3, 'utf8')) as Manifest
const treated = readTable('clinic-a/treated/key')
const recovered = readTable('clinic-b/recovered/key')

const arms = { treated: { patients: 0, recovered: 0 }, untreated: { patients: 0, recovered: 0 } }
let count = 0
for (const [patient, wasTreated] of treated) {
  const outcome = recovered.get(patient)
  if (outcome === undefined) continue
  const arm = arms[wasTreated ? 'treated' : 'untreated']
  arm.patients++
  if (outcome) arm.recovered++
  count++
}
// `count` says how many records went in: below the agreement's minimum the agent withholds all of it
writeFileSync(manifest.result.fd, JSON.stringify({ count, ...arms }))

/** `patient,0` or `patient,1`, decrypted by the agent with the key that the clinic's broker released. */
function readTable(name: string): ReadonlyMap<string, boolean> {
  const input = manifest.inputs[name]
  if (input === undefined) throw new Error(`no ${name}`)
  const lines = readFileSync(input.fd, 'utf8').trimEnd().split('\n')
  return new Map(lines.map((line) => [line.split(',')[0] ?? '', line.endsWith(',1')]))
}
