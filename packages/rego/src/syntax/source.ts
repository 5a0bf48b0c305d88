/** One text and where its lines begin. */
export class Source {
  readonly file: string
  readonly text: string
  #lineStarts: number[] | undefined

  constructor(file: string, text: string) {
    this.file = file
    this.text = text.isWellFormed() ? text : text.toWellFormed()
  }

  /** The 1-based row of an offset. */
  row(offset: number): number {
    const starts = this.#starts()
    let low = 0
    let high = starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((starts[middle] as number) <= offset) low = middle
      else high = middle
    }
    return low + 1
  }

  /** The 1-based column in code points. At the very end of the text it is one less: there is no character to point at. */
  column(offset: number): number {
    const start = this.#starts()[this.row(offset) - 1] as number
    let column = offset >= this.text.length ? 0 : 1
    for (let i = start; i < offset && i < this.text.length; i++) {
      if ((this.text.charCodeAt(i) & 0xfc00) !== 0xdc00) column++
    }
    return column
  }

  #starts(): number[] {
    if (this.#lineStarts !== undefined) return this.#lineStarts
    const starts = [0]
    for (let at = this.text.indexOf('\n'); at >= 0; at = this.text.indexOf('\n', at + 1)) starts.push(at + 1)
    return (this.#lineStarts = starts)
  }
}

/** A stretch of a source, from `start` up to but not including `end`, in UTF-16 units. */
export class Location {
  readonly source: Source
  readonly start: number
  readonly end: number

  constructor(source: Source, start: number, end: number) {
    this.source = source
    this.start = start
    this.end = end
  }

  get file(): string {
    return this.source.file
  }

  get row(): number {
    return this.source.row(this.start)
  }

  get col(): number {
    return this.source.column(this.start)
  }

  get text(): string {
    return this.source.text.slice(this.start, this.end)
  }

  toJSON(): { file: string; row: number; col: number } {
    return { file: this.file, row: this.row, col: this.col }
  }
}
