import type { TsmInterface } from '../devices/configfs-tsm.ts'

/** What the CPU makes of an entry's bytes. */
export interface FakeCpu {
  readonly provider: string
  readonly report: (inblob: Uint8Array) => Uint8Array
  readonly auxblob?: Uint8Array
}

interface Entry {
  inblob: Uint8Array
  generation: number
  /** The report that was made, and of which generation it is. */
  made: { readonly generation: number; readonly outblob: Uint8Array } | undefined
}

const trouble = (code: string) => Object.assign(new Error(code), { code })

/**
 * Entries that behave as the kernel's: every write raises the generation; a report is made when it is read, and made anew
 * once an input has changed; without input there is none; an entry that does not exist cannot be used.
 *
 * @source Linux: drivers/virt/coco/guest/report.c
 */
export class FakeTsm implements TsmInterface {
  readonly #cpu: FakeCpu
  readonly #entries = new Map<string, Entry>()
  #made = 0
  /** Called before each step, for what other processes do meanwhile. May throw what the kernel would. */
  before: (step: string, entry: string) => void = () => undefined

  constructor(cpu: FakeCpu) {
    this.#cpu = cpu
  }

  get open(): number {
    return this.#entries.size
  }

  /** How many entries there ever were. */
  get attempts(): number {
    return this.#made
  }

  makeEntry(): string {
    const name = `entry-${++this.#made}`
    this.before('mkdir', name)
    this.#entries.set(name, { inblob: new Uint8Array(), generation: 0, made: undefined })
    return name
  }

  write(name: string, attribute: 'inblob' | 'privlevel', value: Uint8Array | string): void {
    this.before(`write ${attribute}`, name)
    const entry = this.#entry(name)
    if (attribute === 'inblob') {
      if (value.length > 64) throw trouble('EINVAL')
      entry.inblob = new Uint8Array(Buffer.from(value))
    }
    entry.generation++
  }

  read(name: string, attribute: 'outblob' | 'auxblob' | 'provider' | 'generation'): Uint8Array {
    this.before(`read ${attribute}`, name)
    const entry = this.#entry(name)
    if (attribute === 'provider') return Buffer.from(`${this.#cpu.provider}\n`)
    if (attribute === 'generation') return Buffer.from(`${entry.generation}\n`)
    if (entry.inblob.length === 0) throw trouble('EINVAL')
    if (entry.made?.generation !== entry.generation)
      entry.made = { generation: entry.generation, outblob: this.#cpu.report(entry.inblob) }
    return attribute === 'outblob' ? entry.made.outblob : (this.#cpu.auxblob ?? new Uint8Array())
  }

  removeEntry(name: string): void {
    this.before('rmdir', name)
    this.#entry(name)
    this.#entries.delete(name)
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw trouble('ENOENT')
    return entry
  }
}
