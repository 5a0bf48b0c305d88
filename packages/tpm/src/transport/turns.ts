/** One task at a time, in the order in which they came. A task that finds nobody before it starts at once. */
export class Turns {
  #last: Promise<unknown> | undefined

  /** Runs `task` in its turn. A task that fails does not hold up the next. */
  take<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last === undefined ? attempt(task) : this.#last.then(task)
    const release = () => {
      if (this.#last === mine) this.#last = undefined
    }
    const mine: Promise<unknown> = result.then(release, release)
    this.#last = mine
    return result
  }
}

/** As an async function would: what the task throws becomes a rejection. */
function attempt<T>(task: () => Promise<T>): Promise<T> {
  try {
    return task()
  } catch (error) {
    return Promise.reject(error)
  }
}
