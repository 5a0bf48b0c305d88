import { spawn } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout's root. */
export const root: string = path.resolve(fileURLToPath(import.meta.url), '../..')

/** Runs a program with its output shown, and gives its exit status; a signal counts as 1. */
export function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } })
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

/** Path of a program that npm installed. */
export function bin(name: string): string {
  return path.join(root, 'node_modules/.bin', name)
}
