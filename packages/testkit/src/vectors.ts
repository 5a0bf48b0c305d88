import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import path from 'node:path'

/** Where the recorded vectors lie: `VOUCHSAFE_VECTORS`, else `../shared/vectors` beside the checkout. */
export const vectorsRoot =
  process.env['VOUCHSAFE_VECTORS'] ?? path.resolve(fileURLToPath(import.meta.url), '../../../../../shared/vectors')

/** False where the vectors are absent: tests then skip, with one loud line. `.ci/run` fails in that case. */
export const haveVectors: boolean = existsSync(vectorsRoot)

let told = false

/** Use as `describe.skipIf(missingVectors())`: says once, loudly, that recorded vectors are absent. */
export function missingVectors(): boolean {
  if (!haveVectors && !told) {
    told = true
    console.error(`SKIPPED: recorded vectors are not at ${vectorsRoot}; set VOUCHSAFE_VECTORS to test against them`)
  }
  return !haveVectors
}

/** The bytes of one vector, `name` relative to the vectors folder, for example `vm-boot/q.msg`. */
export function readVector(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(path.join(vectorsRoot, name)))
}

/** One vector as text. */
export function readVectorText(name: string): string {
  return readFileSync(path.join(vectorsRoot, name), 'utf8')
}
