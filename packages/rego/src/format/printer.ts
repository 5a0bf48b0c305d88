import type { Location } from '../syntax/source.ts'

/** Collects lines of formatted text, and puts comments back where they stood. */
export class Printer {
  readonly #comments: readonly Location[]
  #next = 0
  readonly #lines: string[] = []
  #line = ''
  #indent = 0

  constructor(comments: readonly Location[]) {
    this.#comments = comments
  }

  write(text: string): void {
    this.#line += text
  }

  newline(): void {
    this.#lines.push(this.#line === '' ? '' : '\t'.repeat(this.#indent) + this.#line.trimEnd())
    this.#line = ''
  }

  blank(): void {
    if (this.#line !== '') this.newline()
    if (this.#lines.length > 0 && this.#lines.at(-1) !== '') this.#lines.push('')
  }

  get atLineStart(): boolean {
    return this.#line === ''
  }

  indented(print: () => void): void {
    this.#indent++
    print()
    this.#indent--
  }

  /** Whether a comment stands inside a stretch of text: then it cannot be one line. */
  hasComment(start: number, end: number): boolean {
    for (let i = this.#next; i < this.#comments.length; i++) {
      const c = this.#comments[i] as Location
      if (c.start >= end) return false
      if (c.start >= start) return true
    }
    return false
  }

  /**
   * Prints the comments that stand before an offset, each on a line of its own; blank lines between them stay.
   *
   * @param above - The row of what was printed before them, if a blank line below it counts.
   * @returns the row of the last one, or `above`
   */
  commentsBefore(offset: number, above?: number): number | undefined {
    let row = above
    for (let c = this.#pending(); c !== undefined && c.start < offset; c = this.#pending()) {
      if (this.#line !== '') this.newline()
      if (row !== undefined && c.row > row + 1) this.blank()
      this.write(commentText(c))
      this.newline()
      this.#next++
      ;({ row } = c)
    }
    return row
  }

  /** A comment that stands behind what was just printed, on the same line. */
  commentBehind(row: number): void {
    const c = this.#pending()
    if (c === undefined || c.row !== row) return
    this.write(`${this.#line === '' ? '' : ' '}${commentText(c)}`)
    this.#next++
    this.newline()
  }

  #pending(): Location | undefined {
    return this.#comments[this.#next]
  }

  finish(): string {
    this.commentsBefore(Infinity)
    if (this.#line !== '') this.newline()
    while (this.#lines.at(-1) === '') this.#lines.pop()
    return `${this.#lines.join('\n')}\n`
  }
}

function commentText(c: Location): string {
  return c.text.trimEnd()
}
