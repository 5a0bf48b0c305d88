/** What a command ended with: yes, the answer is no, wrong usage, bad input, unreachable, a bug (style, section 12). */
export const EXIT = { yes: 0, no: 1, usage: 2, badInput: 3, unreachable: 4, bug: 5 } as const

/** How the user wants to be answered. stdout is the answer, stderr is talk. */
export interface Output {
  readonly json: boolean
  /** Prints the answer: one documented JSON object, or text for people. */
  answer(value: unknown, text: string): void
  /** Progress and remarks, on stderr; silent with `--json`. */
  talk(text: string): void
}

export function newOutput(json: boolean): Output {
  return {
    json,
    answer: (value, text) => void process.stdout.write(`${json ? JSON.stringify(value) : text}\n`),
    talk: (text) => {
      if (!json) process.stderr.write(`${text}\n`)
    },
  }
}

/** A mistake in how a command was called. */
export class UsageError extends Error {
  readonly hint: string
  constructor(message: string, hint: string) {
    super(message)
    this.hint = hint
  }
}

const hints = new WeakMap<Error, string>()

/** The same error, with what to try next where it arose; it stands before the general hint of its code. */
export function withHint<E>(error: E, hint: string): E {
  if (error instanceof Error && !hints.has(error)) hints.set(error, hint)
  return error
}

/** What `withHint` said of an error. */
export function hintOf(error: unknown): string | undefined {
  return error instanceof Error ? hints.get(error) : undefined
}
