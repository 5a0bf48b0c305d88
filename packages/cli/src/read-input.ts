import { readFileSync } from 'node:fs'

/** Bytes of a file, or of standard input for `-`. */
export function readInput(file: string): Uint8Array {
  return new Uint8Array(readFileSync(file === '-' ? 0 : file))
}
