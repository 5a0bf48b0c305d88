import { styleText } from 'node:util'

interface Check {
  readonly name: string
  readonly ok: boolean
}

/** Tells the story while it runs, or all of it at the end as one object with `--json`. */
export class Report {
  readonly #json: boolean
  readonly #steps: { title: string; checks: Check[]; answers: unknown[] }[] = []

  constructor(json: boolean) {
    this.#json = json
  }

  title(title: string): void {
    this.#steps.push({ title, checks: [], answers: [] })
    this.say(`\n${styleText('bold', title)}`)
  }

  say(text: string): void {
    if (!this.#json) console.log(text)
  }

  /** Keeps an answer for `--json`. */
  answer(answer: object): void {
    this.#steps.at(-1)?.answers.push(answer)
  }

  check(name: string, ok: boolean, remark?: string): void {
    this.#steps.at(-1)?.checks.push({ name, ok })
    this.say(`${ok ? styleText('green', 'ok') : styleText('red', 'FAILED')}  ${name}`)
    if (remark !== undefined) this.say(`    ${remark}`)
  }

  /** @returns The exit status. */
  finish(): number {
    const checks = this.#steps.flatMap((step) => step.checks)
    const failed = checks.filter((check) => !check.ok).length
    const passed = checks.length - failed
    if (this.#json) console.log(JSON.stringify({ passed, failed, steps: this.#steps }))
    this.say('')
    console[this.#json ? 'error' : 'log'](`${passed} passed, ${failed} failed`)
    return failed === 0 && passed > 0 ? 0 : 1
  }
}
