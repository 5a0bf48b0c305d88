import { createHash } from 'node:crypto'

/** Patients a clinic has, as CSV: `id,born,systolic`. */
export interface Clinic {
  readonly csv: string
  readonly rows: number
}

/** What the two clinics could only find out together. */
export interface Answer {
  readonly count: number
  readonly mean: number
}

const PEOPLE = 30_000
/** Of one hundred people: who goes to clinic A, who to B; those in between go to both. */
const A_BELOW = 55
const B_FROM = 35

/**
 * Two clinics of more than 10,000 patients each, the same for the same seed, and the answer that the demo must reach.
 * Rows stand in an order of their own in each clinic: nothing but the ids connects them.
 */
export function twoClinics(seed: string): { readonly a: Clinic; readonly b: Clinic; readonly answer: Answer } {
  const a: string[] = []
  const b: string[] = []
  let count = 0
  let sum = 0
  for (let person = 0; person < PEOPLE; person++) {
    const r = createHash('sha256').update(`${seed}/${person}`).digest()
    const id = r.subarray(0, 6).toString('hex')
    const born = 1930 + (r.readUInt8(6) % 80)
    const systolic = 95 + (r.readUInt8(7) % 80)
    const draw = r.readUInt16BE(8) % 100
    if (draw < A_BELOW) a.push(`${id},${born},${systolic}`)
    if (draw >= B_FROM) b.push(`${id},${born},${95 + (r.readUInt8(10) % 80)}`)
    if (draw >= B_FROM && draw < A_BELOW) {
      count++
      sum += systolic
    }
  }
  const table = (rows: string[]): Clinic => ({
    csv: ['id,born,systolic', ...rows.toSorted()].join('\n') + '\n',
    rows: rows.length,
  })
  return { a: table(a), b: table(b.toReversed()), answer: { count, mean: Math.round((sum * 100) / count) / 100 } }
}
