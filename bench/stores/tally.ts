import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Spread } from './measure.ts'

/** What a bench was asked, and whether it held. */
export class Tally {
  #passed = 0
  #failed = 0

  judge(what: string, good: boolean): void {
    console.log(`${good ? 'ok' : 'FAILED'}  ${what}`)
    if (good) this.#passed++
    else this.#failed++
  }

  /** Writes the figures beside the other benches', prints the last line and sets the exit status. */
  end(bench: string, figures: object): void {
    const out = path.join(import.meta.dirname, `../results/${bench}.json`)
    mkdirSync(path.dirname(out), { recursive: true })
    writeFileSync(out, `${JSON.stringify({ bench, unit: 'microseconds', ...figures }, null, 1)}\n`)
    console.log(`${this.#passed} passed, ${this.#failed} failed`)
    process.exitCode = this.#failed === 0 ? 0 : 1
  }
}

export const show = ({ median, low, high }: Spread, digits = 2): string =>
  `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`
