import type { Reason, WhatIf } from '@vouchsafe/core'
import { table } from '../table.ts'

export type Change = 'gains' | 'loses' | 'keeps' | 'still refused'

/** One machine and image, one resource: what becomes of its access. */
export interface WhatIfRow {
  readonly change: Change
  readonly resource: string
  readonly machine: string
  readonly image: string
  /** How many recorded attestations say so, and the newest of them. */
  readonly records: number
  readonly newest: string
  /** What decides in the newest: of a loss the new refusals, of a gain the old ones. */
  readonly why: readonly { readonly code: string; readonly expected: string; readonly actual: string }[]
}

/** A report as plain data. */
export interface WhatIfTotals {
  readonly judged: number
  readonly refused: number
  readonly rows: readonly WhatIfRow[]
}

/** Collects one recorded attestation after another. */
export class WhatIfReport {
  readonly #rows = new Map<string, WhatIfRow>()
  /** Attestations whose evidence was refused, which no policy changes. */
  refused = 0
  judged = 0

  add(at: string, outcome: WhatIf | null): void {
    if (outcome === null) {
      this.refused++
      return
    }
    this.judged++
    const { before, after, machine, image } = outcome
    const resources = new Set([before, after].flatMap((a) => [...a.resources, ...a.refusals.keys()]))
    // where nothing at all is accepted, the resources are those of the other side
    if (resources.size > 1) resources.delete('*')
    for (const resource of [...resources].sort()) {
      const had = before.resources.includes(resource)
      const has = after.resources.includes(resource)
      const change = had ? (has ? 'keeps' : 'loses') : has ? 'gains' : 'still refused'
      const why = change === 'keeps' ? [] : reasonsOf(change === 'gains' ? before : after, resource)
      this.#count({ change, resource, machine, image, records: 1, newest: at, why })
    }
  }

  /** Takes in what another report, of other records, came to. */
  merge({ judged, refused, rows }: WhatIfTotals): void {
    this.judged += judged
    this.refused += refused
    for (const row of rows) this.#count(row)
  }

  #count(row: WhatIfRow): void {
    const { change, resource, machine, image, why } = row
    const key = JSON.stringify([change, resource, machine, image, why.map((w) => w.code)])
    const known = this.#rows.get(key)
    if (known === undefined) this.#rows.set(key, row)
    else {
      this.#rows.set(key, { ...(isNewer(row, known) ? row : known), records: known.records + row.records })
    }
  }

  totals(): WhatIfTotals {
    return { judged: this.judged, refused: this.refused, rows: this.rows() }
  }

  /** Losses first, then gains, then what stays; most records first; then by name. */
  rows(): readonly WhatIfRow[] {
    const order: readonly Change[] = ['loses', 'gains', 'still refused', 'keeps']
    return [...this.#rows.values()].sort(
      (a, b) =>
        order.indexOf(a.change) - order.indexOf(b.change) || b.records - a.records || (textOf(a) < textOf(b) ? -1 : 1),
    )
  }

  /** One readable table: changes line by line, what stays as numbers. */
  text(): string {
    const rows = this.rows()
    const changed = rows.filter((r) => r.change === 'loses' || r.change === 'gains')
    const lines = [
      `${this.judged} attestations judged${this.refused === 0 ? '' : `; ${this.refused} more had evidence that was refused, which no policy changes`}`,
    ]
    if (changed.length > 0) {
      const shown = changed.slice(0, MAX_LINES)
      lines.push(
        '',
        table([
          ['', 'RESOURCE', 'MACHINE', 'IMAGE', 'RECORDS', 'WHY'],
          ...shown.map((r) => [
            r.change.toUpperCase(),
            r.resource,
            short(r.machine),
            short(r.image),
            String(r.records),
            r.why[0] === undefined
              ? ''
              : `${r.why[0].code}: ${clip(r.why[0].expected)}, found ${clip(r.why[0].actual)}`,
          ]),
        ]),
      )
      if (changed.length > shown.length) lines.push(`… and ${changed.length - shown.length} more (--json has all)`)
    }
    const count = (change: Change) => {
      const of = rows.filter((r) => r.change === change)
      return `${new Set(of.map((r) => r.machine)).size} machines in ${of.reduce((n, r) => n + r.records, 0)} records`
    }
    const summary = (['loses', 'gains', 'keeps', 'still refused'] as const).map((c) => [c, count(c)])
    lines.push('', table(summary))
    return lines.join('\n')
  }
}

const MAX_LINES = 40

/** In whichever order they come, the same one is the newest. */
function isNewer(a: WhatIfRow, b: WhatIfRow): boolean {
  return a.newest > b.newest || (a.newest === b.newest && textOf(a) < textOf(b))
}

function textOf({ resource, machine, image, why }: WhatIfRow): string {
  return JSON.stringify([resource, machine, image, why])
}

function reasonsOf(access: WhatIf['before'], resource: string): WhatIfRow['why'] {
  const reasons: readonly Reason[] = access.refusals.get(resource) ?? access.refusals.get('*') ?? []
  if (reasons.length === 0) return [{ code: 'policy.no-condition', expected: 'a grant', actual: 'none' }]
  return reasons.map(({ code, expected, actual }) => ({ code, expected, actual }))
}

function short(name: string): string {
  return name.length > 24 ? `${name.slice(0, 23)}…` : name
}

function clip(text: string): string {
  return text.length > 72 ? `${text.slice(0, 71)}…` : text
}
