const hidden = '[secret]'

/**
 * Key material. It prints as `[secret]` in strings, JSON and Node's inspector, and opens with `.expose()`: one word
 * to search for. The bytes are copied in, so that wiping the source or this does not touch the other.
 */
export class Secret {
  readonly #bytes: Uint8Array<ArrayBuffer>

  constructor(bytes: Uint8Array) {
    this.#bytes = new Uint8Array(bytes)
  }

  /** The bytes themselves, not a copy: do not keep, log or write to them. */
  expose(): Uint8Array<ArrayBuffer> {
    return this.#bytes
  }

  /** Overwrites the bytes. Copies that the runtime or a cipher made are out of reach, so this is care and no promise. */
  wipe(): void {
    this.#bytes.fill(0)
  }

  toString(): string {
    return hidden
  }

  toJSON(): string {
    return hidden
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return hidden
  }
}
