import { createHash } from 'node:crypto'
import { z } from 'zod'

const armSchema = z.strictObject({ patients: z.number(), recovered: z.number() })
/** What the workload answers. */
export const answerSchema = z.strictObject({ count: z.number(), treated: armSchema, untreated: armSchema })
export type Answer = z.infer<typeof answerSchema>

/** Two clinics' tables, the same on every run, and the answer that follows from both together. */
export function twoClinics(): { readonly a: string; readonly b: string; readonly answer: Answer } {
  const a: string[] = []
  const b: string[] = []
  const answer = { count: 0, treated: { patients: 0, recovered: 0 }, untreated: { patients: 0, recovered: 0 } }
  for (let n = 0; n < 2000; n++) {
    const bytes = createHash('sha256').update(`patient ${n}`).digest()
    const patient = bytes.toString('hex', 0, 8)
    const [draw, arm, luck] = [bytes.readUInt8(8) % 10, bytes.readUInt8(9) % 2, bytes.readUInt8(10) % 10]
    const isTreated = arm === 1
    const recovers = luck < (isTreated ? 7 : 4)
    if (draw < 8) a.push(`${patient},${arm}`)
    if (draw > 1) b.push(`${patient},${recovers ? 1 : 0}`)
    if (draw < 2 || draw > 7) continue // known to one clinic only
    const counted = answer[isTreated ? 'treated' : 'untreated']
    answer.count++
    counted.patients++
    if (recovers) counted.recovered++
  }
  return { a: `${a.toSorted().join('\n')}\n`, b: `${b.toSorted().join('\n')}\n`, answer }
}
