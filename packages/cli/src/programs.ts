import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Where the product's processes begin. The command line starts them; it imports nothing of theirs. */
export const programs = {
  // looked for when asked for: a machine that only fetches its secrets has this command line as one file, and neither of them
  get broker() {
    return fileURLToPath(import.meta.resolve('@vouchsafe/broker/bin'))
  },
  get agent() {
    return fileURLToPath(import.meta.resolve('@vouchsafe/agent/bin'))
  },
}

/** Runs one of them in the foreground; signals reach it as they reach us. @returns its exit status */
export function runProgram(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' })
    // the terminal sends signals to both; we outlive the child so that its status is ours
    const ignore = () => {}
    process.on('SIGINT', ignore)
    process.on('SIGTERM', () => child.kill('SIGTERM'))
    child.on('error', reject)
    child.on('close', (code) => {
      process.off('SIGINT', ignore)
      resolve(code ?? 1)
    })
  })
}
