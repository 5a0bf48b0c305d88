import type { Frame, Hooks } from '../backend/closures.ts'
import type { Block, Clause, Op } from '../plan/ir.ts'
import type { Plan } from '../plan/planner.ts'
import type { Location } from '../syntax/source.ts'

/** Which rows of a file's rules and expressions were reached. */
export type FileCoverage = {
  readonly file: string
  readonly covered: readonly number[]
  readonly notCovered: readonly number[]
  /** Covered rows in percent; 100 for a file without rules. */
  readonly percent: number
}

/**
 * Notes which expressions held and which heads were reached, while tests run. An expression that was only tried is not covered by
 * its failure alone: it counts once it was evaluated, a head once its body held.
 */
export class CoverageHooks implements Hooks {
  readonly #reached = new Map<string, Set<number>>()

  #note(at: Location): void {
    const rows = this.#reached.get(at.file)
    if (rows === undefined) this.#reached.set(at.file, new Set([at.row]))
    else rows.add(at.row)
  }

  mark(_: Frame, op: Op & { readonly op: 'mark' }): void {
    this.#note(op.site.loc)
  }

  /** A clause gave a value: its head was reached. */
  leaveClause(_: Frame, clause: Clause, held: boolean): void {
    if (held) this.#note(clause.rule.head.loc)
  }

  report(plan: Plan, isCounted: (file: string) => boolean): FileCoverage[] {
    const all = new Map<string, Set<number>>()
    const add = (at: Location): void => {
      const rows = all.get(at.file)
      if (rows === undefined) all.set(at.file, new Set([at.row]))
      else rows.add(at.row)
    }
    for (const node of plan.nodes) {
      for (const first of [...node.clauses, ...(node.fallback === undefined ? [] : [node.fallback])]) {
        for (let c: Clause | undefined = first; c !== undefined; c = c.else) {
          add(c.rule.head.loc)
          marks(c.block, add)
        }
      }
    }
    return [...all]
      .filter(([file]) => isCounted(file))
      .map(([file, rows]) => {
        const reached = this.#reached.get(file) ?? new Set<number>()
        const sorted = [...rows].sort((a, b) => a - b)
        const covered = sorted.filter((r) => reached.has(r))
        const notCovered = sorted.filter((r) => !reached.has(r))
        const percent = sorted.length === 0 ? 100 : Math.round((covered.length / sorted.length) * 1000) / 10
        return { file, covered, notCovered, percent }
      })
      .sort((a, b) => (a.file < b.file ? -1 : 1))
  }
}

function marks(block: Block, add: (at: Location) => void): void {
  for (const op of block.ops) {
    if (op.op === 'mark') add(op.site.loc)
    else if (op.op === 'either') for (const b of op.blocks) marks(b, add)
    else if ('body' in op) marks(op.body, add)
  }
}
