import type { Case } from './cases.ts'

/** One engine with one case in hand. */
export type Contestant = {
  readonly engine: string
  /** From text to the first answer, apart from starting the process. */
  readonly prepareMs: number
  /** What the prepared policy keeps, where the engine can tell. */
  readonly heapMiB: number | undefined
  /** The decision, as JSON with sets as sorted arrays: all engines must agree. */
  readonly answer: string
  /** Evaluates for so many milliseconds. */
  readonly run: (ms: number) => Promise<Slice>
}

/** Another engine. */
export type Peer = { readonly contestant: (c: Case) => Promise<Contestant>; readonly close: () => void }

/** Microseconds of single evaluations. */
export type Slice = { readonly median: number; readonly p99: number }

export function slice(ms: number, evaluate: () => unknown): Slice {
  const micros: number[] = []
  const started = performance.now()
  let now = started
  while (now - started < ms || micros.length < 3) {
    evaluate()
    const after = performance.now()
    micros.push((after - now) * 1000)
    now = after
  }
  micros.sort((a, b) => a - b)
  const at = (q: number): number => micros[Math.min(micros.length - 1, Math.floor(micros.length * q))] ?? Number.NaN
  return { median: at(0.5), p99: at(0.99) }
}

/** Values as text that does not depend on the order of object members or of sets. */
export function canonical(v: unknown): string {
  if (Array.isArray(v)) return `[${v.map(canonical).sort().join(',')}]`
  if (typeof v === 'object' && v !== null) {
    const members = Object.entries(v).map(([k, x]) => `${JSON.stringify(k)}:${canonical(x)}`)
    return `{${members.sort().join(',')}}`
  }
  return typeof v === 'number' ? String(Math.round(v * 1e9) / 1e9) : JSON.stringify(v ?? null)
}
