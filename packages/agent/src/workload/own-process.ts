import { readFileSync } from 'node:fs'

/** `vouchsafe-agent-<pid>-<start>`: what a process calls its files, so that the next one can tell whether it still lives. */
export type ProcessName = `vouchsafe-agent-${number}-${string}`

const NAME = /^vouchsafe-agent-([1-9][0-9]*)-([0-9]+)-/

export function ownProcessName(): ProcessName {
  return `vouchsafe-agent-${process.pid}-${startOf(process.pid) ?? '0'}`
}

/** True when `file` was named by a process that is gone. False for every name that is not ours. */
export function isLeftover(file: string): boolean {
  const [, pid, start] = NAME.exec(file) ?? []
  return pid !== undefined && startOf(Number(pid)) !== start
}

/** When a process started, in ticks since boot: tells it from a later one with its number. Undefined when it is gone. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // the second field is the command in parentheses, which may itself hold spaces and parentheses
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
