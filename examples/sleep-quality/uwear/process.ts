import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SelfSigned } from '../self-signed.ts'
import type { Outcome } from './send-night.ts'

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
export const DATA_FILE = here('sleep.json')

/** What UWear prints with `--json`. */
export type Answer =
  | (Outcome & { readonly root: 'kept' | 'downloaded' })
  | { readonly sent: false; readonly error: { readonly code: string; readonly message: string } }

/** What UWear is told, as files. */
export class UwearConfig {
  readonly #directory: string
  readonly #root: { readonly from: string; readonly sha256: string }

  constructor(directory: string, identity: SelfSigned, known: { from: string; sha256: string; digest: string }) {
    this.#directory = directory
    mkdirSync(this.#directory, { mode: 0o700 })
    this.#root = { from: known.from, sha256: known.sha256 }
    const values = JSON.parse(readFileSync(here('values.json'), 'utf8')) as Record<string, unknown>
    values['allowed_submods_container_image_digest'] = [known.digest]
    this.#save('values.json', JSON.stringify(values))
    this.#save('cert.pem', identity.cert)
    this.#save('key.pem', identity.key)
  }

  /** @returns The configuration's file, for USleep at this port; `'told at launch'` leaves the address out. */
  write(port: number | 'told at launch', root: { readonly sha256?: string; readonly file?: string } = {}): string {
    const config = {
      ...(port === 'told at launch' ? {} : { address: { host: '127.0.0.1', port } }),
      identity: { certFile: this.#path('cert.pem'), keyFile: this.#path('key.pem') },
      root: { ...this.#root, ...root, file: this.#path(root.file ?? 'root.pem') },
      valuesFile: this.#path('values.json'),
      dataFile: DATA_FILE,
    }
    return this.#save(`config-${randomUUID()}.json`, JSON.stringify(config))
  }

  #path(name: string): string {
    return path.join(this.#directory, name)
  }

  #save(name: string, text: string): string {
    writeFileSync(this.#path(name), text, { mode: 0o600 })
    return this.#path(name)
  }
}

/** UWear is a process of its own; its exit status says no, its answer says why. */
export function runUwear(configFile: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NODE_COMPILE_CACHE: path.join(path.dirname(configFile), 'code-cache') } // starts faster the second time
    execFile(process.execPath, [here('main.ts'), configFile, '--json'], { env }, (error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as Answer)
      } catch {
        reject(new Error(`UWear gave no answer: ${stderr}`, { cause: error }))
      }
    })
  })
}
