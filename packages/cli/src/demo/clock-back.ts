/**
 * Loaded before a broker in the drill `clock-back`: its clock stands a day behind. The broker itself has no switch for
 * this; a process whose clock is wrong is what the drill needs, and this is one.
 */
const DAY_MS = 86_400_000
const now = Date.now.bind(Date)

class ShiftedDate extends Date {
  constructor(...args: readonly unknown[]) {
    if (args.length === 0) super(now() - DAY_MS)
    else super(...(args as [number]))
  }
  static override now(): number {
    return now() - DAY_MS
  }
}

globalThis.Date = ShiftedDate as DateConstructor

export {}
