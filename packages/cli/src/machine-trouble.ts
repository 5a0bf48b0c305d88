import type { CLI_ERROR_CODES } from './exit-status.ts'

/**
 * What the operating system refuses for reasons of this machine: no input is wrong, and nobody said no. One code for all of
 * it, wherever it struck, so that a script can tell it from an answer.
 */
export const MACHINE_REFUSED: keyof typeof CLI_ERROR_CODES = 'machine.refused'

/** Never the fault of what was handed over. */
const EXHAUSTED: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: make room, or name a place on another one',
  EDQUOT: 'the quota is used up: make room, or name a place on another disk',
  EROFS: 'the file system is read-only: name a place on another one',
  EMFILE: 'too many files are open: raise the limit of this process (ulimit -n)',
  ENFILE: 'too many files are open on this machine: end what holds them, or raise fs.file-max',
}
const NO_PERMISSION = 'this user may not do that there: check owner and permissions, or name another place'
const FORBIDDEN: Readonly<Record<string, string>> = { EACCES: NO_PERMISSION, EPERM: NO_PERMISSION }

/** Codes of packages that say no more than that the file system refused. */
const OF_A_FILE_SYSTEM: ReadonlySet<string> = new Set(['unpack.filesystem', 'unpack.target', 'store.filesystem'])

/**
 * What to do about it, where the machine is what refused.
 *
 * @param code - Of a package that knows the error already. What is not permitted then stays what it says, say a key that
 *   cannot be read, unless it says no more than that.
 */
export function machineTrouble(error: Error, code?: string): string | undefined {
  const system = systemCode(error)
  const mayForbid = code === undefined || OF_A_FILE_SYSTEM.has(code)
  return EXHAUSTED[system] ?? (mayForbid ? FORBIDDEN[system] : undefined)
}

/** The code of the call that failed, below what was said about it since. */
export function systemCode(error: Error): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if ('code' in at && 'syscall' in at) return String(at.code)
  return ''
}

/** A write that failed does not say to what it wrote. */
export function atPlace(error: unknown, place: string): unknown {
  const isNameless = error instanceof Error && 'syscall' in error && !('path' in error)
  return isNameless ? new Error(`${place}: ${error.message}`, { cause: error }) : error
}
