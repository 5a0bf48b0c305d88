import pc from 'picocolors'
import type { Answer } from './patients.ts'

/** A refusal as a drill must end: which check refused, what it wanted and found, what an honest operator would do. */
export interface RefusalCard {
  readonly code: string
  readonly check: string
  readonly expected: string
  readonly actual: string
  readonly advice: string
}

export interface DrillResult extends RefusalCard {
  readonly id: string
  readonly title: string
  /** The attack was refused, for the reason that it must be refused for. */
  readonly ok: boolean
}

export interface DemoSummary {
  readonly ok: boolean
  readonly answer: Answer | null
  readonly steps: readonly { readonly id: string; readonly ms: number }[]
  readonly drills: readonly DrillResult[]
  readonly ledgers: readonly { readonly owner: string; readonly entries: number; readonly ok: boolean }[]
}

/** Tells the story as it happens. */
export interface Reporter {
  opening(): void
  step(id: string, title: string, ms: number, detail: Readonly<Record<string, unknown>>): void
  drill(result: DrillResult, ms: number): void
  failed(where: string, error: string): void
  closing(summary: DemoSummary): void
}

/** One JSON object a step, and a last line with everything. */
export function jsonReporter(): Reporter {
  const line = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`)
  return {
    opening: () => line({ event: 'demo', simulated: true }),
    step: (id, title, ms, detail) => line({ event: 'step', id, title, ms, ...detail }),
    drill: (d, ms) => line({ event: 'drill', ...outcome(d), title: d.title, advice: d.advice, ms }),
    failed: (where, error) => line({ event: 'failed', where, error }),
    closing: ({ drills, ...summary }) => line({ ...summary, drills: drills.map(outcome), simulated: true }),
  }
}

/** `refused` for what was kept out; `detected` for what cannot be kept out but cannot be hidden. */
function outcome({ ok, id, code, check, expected, actual }: DrillResult) {
  return { id, ...(id === 'edited-ledger' ? { detected: ok } : { refused: ok }), code, check, expected, actual }
}

const WIDTH = 100

/** For people: progress, colour, refusal cards. */
export function textReporter(): Reporter {
  const say = (text: string) => process.stdout.write(`${text}\n`)
  const banner = () =>
    say(
      pc.bgMagenta(
        pc.white(
          pc.bold(
            ' SIMULATED  a software TPM under a simulator’s root: everything works, nothing is protected '.padEnd(
              WIDTH,
            ),
          ),
        ),
      ),
    )
  let drills = 0
  return {
    opening: () => {
      banner()
      say('\nTwo clinics want one number that neither can compute alone. Neither trusts the other, or the machine.\n')
    },
    step: (_id, title, ms, detail) => {
      say(`${pc.green('✓')} ${title} ${pc.dim(`${ms.toFixed(0)} ms`)}`)
      for (const [name, value] of Object.entries(detail))
        say(pc.dim(`    ${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`))
    },
    drill: (d, ms) => {
      if (drills++ === 0) {
        say('')
        banner()
        say('\nTen drills: each is a real attack on what just ran, and must be refused for its own reason.\n')
      }
      const verdict = d.ok
        ? pc.green(d.id === 'edited-ledger' ? 'DETECTED' : 'REFUSED')
        : pc.red('NOT STOPPED AS IT MUST BE')
      say(`${verdict}  ${pc.bold(d.title)} ${pc.dim(`${ms.toFixed(0)} ms`)}`)
      for (const [name, value] of [
        ['check', `${d.check} (${d.code})`],
        ['expected', d.expected],
        ['actual', d.actual],
        ['do', d.advice],
      ] as const)
        say(`  ${pc.dim(name.padEnd(9))} ${value}`)
      say('')
    },
    failed: (where, error) => say(`${pc.red('✗')} ${where}: ${error}`),
    closing: (s) => {
      banner()
      say(CLOSING)
      const refused = s.drills.filter((d) => d.ok).length
      const total = s.steps.reduce((sum, step) => sum + step.ms, 0)
      say(
        `${s.ok ? pc.green('All as it must be') : pc.red('NOT all as it must be')}: ${s.steps.length} steps in ${(total / 1000).toFixed(1)} s, ${refused} of ${s.drills.length} drills stopped, ${s.ledgers.filter((l) => l.ok).length} of ${s.ledgers.length} ledgers check.`,
      )
    },
  }
}

const CLOSING = `
What changes for real hardware is one line, the guest’s TPM address:

    "tpm": "device"            (here: a software TPM’s socket)

plus: your TPM manufacturer’s roots as anchors, the machine’s own endorsement key enrolled by a ticket, reference values
of your own boot, and a new store of profile production. This store stays simulated for ever.

What a simulator cannot prove, and a TPM alone cannot either: whoever is root on this machine could have driven this
software TPM into any state, and whoever controls the hypervisor can do so with a virtual TPM. Agreements that need the
host kept out say so ("hostExcluded": true), and no TPM satisfies them. See SECURITY.md.
`
