const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * Lets work that is ended by Ctrl-C or SIGTERM clear away what is half done. A second signal ends at once. Dispose of it
 * after the clearing: the process then ends by the signal it was sent, as whoever sent it expects.
 */
export class Interruption implements Disposable {
  readonly #controller = new AbortController()
  #received: NodeJS.Signals | undefined
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#received = signal
    this.#off()
    this.#controller.abort()
  }

  constructor() {
    for (const name of SIGNALS) process.on(name, this.#onSignal)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  #off(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal)
  }

  [Symbol.dispose](): void {
    this.#off()
    if (this.#received !== undefined) process.kill(process.pid, this.#received)
  }
}
