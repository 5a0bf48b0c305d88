import { fileURLToPath } from 'node:url'
import { JsonProcess } from '../json-process.ts'

/** The product's own programs, started as processes: nothing of theirs is imported. */
const PROGRAMS = {
  broker: fileURLToPath(import.meta.resolve('@vouchsafe/broker/bin')),
  agent: fileURLToPath(import.meta.resolve('@vouchsafe/agent/bin')),
} as const

/** @param codeCache - A private directory for compiled code, so that the second process starts faster. */
export function startProgram(program: keyof typeof PROGRAMS, args: readonly string[], codeCache: string): JsonProcess {
  const env = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, NODE_COMPILE_CACHE: codeCache }
  return new JsonProcess([PROGRAMS[program], ...args], { env })
}
